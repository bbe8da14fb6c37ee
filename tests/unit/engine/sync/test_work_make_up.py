"""A module was deleted for a create that then did not succeed: it is made again, or a person reads that it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.sandbox import FaultPlan
from tests.nights import CREATE, DELETE, FULL, OTHER
from tests.unit.engine.sync.conftest import NEW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.sandbox.worlds.console import Console

    MakeSynced = Callable[..., Awaitable[Any]]

REFUSED = "create:code:iot.ota.CreateOTAModuleParamError"
NOT_RESTORED = "m0 of a1Prod00000 was deleted for a module that could then not be created"
AS_BEFORE = {f"m{index}" for index in range(10)}
SWAPPED = AS_BEFORE - {"m0"} | {"new"}


@pytest.fixture
def make_swap(make_synced: MakeSynced) -> MakeSynced:
    """Return what makes a job whose full product is to have a new module in place of its first.

    Its first night made 13 modules: the swap's create is the 14th, and what makes the deleted one again the 15th.
    """

    async def make(faults: str = "") -> Any:
        nights = await make_synced(faults=FaultPlan.parse(faults))
        nights.replace((FULL, "m0"), by=[NEW])
        return nights

    return make


def names(nights: Any) -> set[str]:
    found: set[str] = set(nights.box.texts(FULL))
    return found


async def test_a_deleted_module_is_made_again_if_the_one_for_its_slot_is_refused(make_swap: MakeSynced) -> None:
    nights = await make_swap(f"{REFUSED}=1x@14")

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.outcomes(summary), summary.notes) == (1, {"created": 12, "failed": 1}, ())
    assert nights.box.texts(FULL)["m0"] == ("alias0", "desc 0")
    assert nights.records("outcome, code, owned")[FULL, "m0"] == ("surplus", "restored", 1)


async def test_a_swap_that_was_made_up_for_is_not_repeated_every_night(make_swap: MakeSynced) -> None:
    nights = await make_swap(f"{REFUSED}=1x@14")
    await nights.sync(prune=True)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (nights.written(before), summary.outcomes["failed"]) == ({}, 1)
    assert nights.records()[FULL, "m0"] == ("surplus", "create_refused")


async def test_a_row_that_asks_for_something_else_gets_the_slot_after_all(make_swap: MakeSynced) -> None:
    nights = await make_swap(f"{REFUSED}=1x@14")
    await nights.sync(prune=True)
    nights.replace((FULL, "new"), by=[(FULL, "new", "corrected", "")])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, names(nights)) == (0, SWAPPED)


async def test_a_module_that_cannot_be_made_again_is_named_until_it_is_there(make_swap: MakeSynced) -> None:
    nights = await make_swap(f"{REFUSED}=2x@14")

    first = await nights.sync(prune=True)
    between = nights.records()[FULL, "m0"]
    second = await nights.sync(prune=True)

    assert (first.exit_code, between) == (1, ("deleted", "not_restored"))
    assert [NOT_RESTORED in note for note in first.notes] == [True]
    assert (second.exit_code, second.notes, names(nights)) == (0, (), SWAPPED)


async def test_a_deleted_module_is_not_made_again_in_a_product_that_was_refused(make_swap: MakeSynced) -> None:
    nights = await make_swap("create:code:iot.prod.NotExistedProduct=1x@14")
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {"delete": 1, "create": 1})
    assert [NOT_RESTORED in note for note in summary.notes] == [True]


async def test_the_slot_that_somebody_took_is_reported_and_nothing_is_made_again(make_swap: MakeSynced) -> None:
    nights = await make_swap()
    nights.when(DELETE, lambda console: console.create(FULL, "theirs"))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.outcomes["over_budget"], len(names(nights))) == (1, 1, 10)
    assert nights.written(before) == {"delete": 1, "create": 1}
    assert [NOT_RESTORED in note for note in summary.notes] == [True]


async def test_a_row_without_slot_is_reported_with_what_was_deleted_for_it_every_night(make_swap: MakeSynced) -> None:
    nights = await make_swap()
    nights.when(DELETE, lambda console: console.create(FULL, "theirs"))
    await nights.sync(prune=True)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {})
    assert [NOT_RESTORED in note for note in summary.notes] == [True]


@pytest.mark.parametrize(
    ("deed", "outcome", "is_reported"),
    [
        (lambda console: console.create(FULL, "theirs"), "over_budget", True),
        (lambda console: console.create(FULL, "new", alias_name="new"), "exists", False),
        (lambda console: console.create(FULL, "new", alias_name="theirs"), "drifted", True),
    ],
)
async def test_a_listing_for_the_delete_shows_what_somebody_put_into_its_slot(
    make_swap: MakeSynced, deed: Callable[[Console], object], outcome: str, is_reported: bool
) -> None:
    """The reply to the delete is lost, so that a listing proves it, and the create is not sent."""
    nights = await make_swap("delete:reset-after=1x")
    nights.when(DELETE, deed)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.outcomes[outcome], nights.written(before)) == (1, {"delete": 1})
    assert [NOT_RESTORED in note for note in summary.notes] == ([True] if is_reported else [])
    assert nights.records("owned")[FULL, "new"] == (0,)


async def test_a_module_that_somebody_made_again_is_not_made_again_by_us(make_swap: MakeSynced) -> None:
    nights = await make_swap("create:reset-before=1x@14")
    nights.when(CREATE, lambda console: console.create(FULL, "m0", alias_name="theirs"), name="new")
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)
    next_night = await nights.sync(prune=True)

    assert (summary.outcomes["over_budget"], summary.notes) == (1, ())
    assert nights.written(before) == {"delete": 1, "create": 1}
    assert (next_night.outcomes["over_budget"], next_night.notes) == (1, ())
    assert nights.box.texts(FULL)["m0"] == ("theirs", "")


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_stop_during_a_swap_leaves_its_end_to_the_next_night(make_swap: MakeSynced, nth: int) -> None:
    """At its delete, or at its create, whose reply is lost as well."""
    nights = await make_swap("create:reset-before=1x@14" if nth == 2 else "")
    stop = StopSignal()
    nights.when(DELETE if nth == 1 else CREATE, lambda _: stop.request("interrupted", exit_code=130))

    first = await nights.sync(prune=True, call={"stop": stop})
    between = names(nights)
    second = await nights.sync(prune=True)

    assert (first.exit_code, between) == (130, AS_BEFORE - {"m0"})
    assert (second.exit_code, second.notes, names(nights)) == (0, (), SWAPPED)


async def test_a_create_that_goes_on_for_a_cut_off_swap_makes_up_for_it_too(make_swap: MakeSynced) -> None:
    """Its delete was in another night; the create is refused in this one."""
    nights = await make_swap(f"{REFUSED}=1x@14")
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))
    await nights.sync(prune=True, call={"stop": stop})
    assert names(nights) == AS_BEFORE - {"m0"}

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.outcomes["failed"], names(nights)) == (1, 1, AS_BEFORE)


async def test_a_cut_off_swap_whose_slot_needs_another_delete_is_reported_if_that_may_not_go(
    make_swap: MakeSynced,
) -> None:
    nights = await make_swap()
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))
    await nights.sync(prune=True, call={"stop": stop})
    nights.box.console().create(FULL, "theirs")
    nights.replace((FULL, "m1"), by=[(OTHER, "more", "", "")])
    nights.when("ListOTAFirmware", lambda console: console.add_package(FULL, "m1"))

    summary = await nights.sync(prune=True)

    assert nights.records()[FULL, "new"] == ("over_budget", "swap")
    assert [NOT_RESTORED in note for note in summary.notes] == [True]
    assert len(names(nights)) == 10


@pytest.mark.parametrize(("stops_at", "code"), [("refusal", None), ("restore", "stopped")])
async def test_a_stop_before_a_module_was_made_again_leaves_that_to_the_next_night(
    make_swap: MakeSynced, stops_at: str, code: str
) -> None:
    lost = ",create:throttle=1x@15" if stops_at == "restore" else ""
    nights = await make_swap(f"{REFUSED}=1x@14{lost}")
    stop = StopSignal()
    nth = 1 if stops_at == "refusal" else 2
    nights.when(CREATE, lambda _: stop.request("interrupted", exit_code=130), nth=nth)

    first = await nights.sync(prune=True, call={"stop": stop})
    between = nights.records()[FULL, "m0"]
    second = await nights.sync(prune=True)

    assert (first.exit_code, between) == (130, ("deleted", code))
    assert (second.exit_code, second.notes, names(nights)) == (0, (), SWAPPED)


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        (lambda _: None, "gone"),
        (lambda console: console.create(FULL, "m0", alias_name="alias0", desc="desc 0"), "restored"),
        (lambda console: console.create(FULL, "m0", alias_name="theirs"), "gone"),
    ],
)
async def test_the_look_decides_what_became_of_a_module_that_may_have_been_made_again(
    make_swap: MakeSynced, deed: Callable[[Console], object], code: str
) -> None:
    """The request to make it again is lost and then refused; the next night's listing shows what is there."""
    nights = await make_swap(f"{REFUSED}=1x@14,create:reset-before=1x@15,{REFUSED}=1x@16")
    first = await nights.sync(prune=True)
    assert [NOT_RESTORED in note for note in first.notes] == [True]
    deed(nights.box.console())
    nights.write([row for row in nights.rows if row[1] != "new"] + [(OTHER, "more", "more", "")])

    second = await nights.sync()

    assert second.exit_code == 0
    assert nights.records()[FULL, "m0"][1] == code
    assert nights.records("owned")[FULL, "m0"] == (int(code == "restored"),)
