"""Swaps in a full product when the platform, or somebody else, is not as the look found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.sandbox import FaultPlan
from bulk.sandbox.worlds.stored import StoredModule
from tests.nights import CREATE, DELETE, FULL, LIST, PACKAGES
from tests.unit.engine.sync.conftest import NEW, swapped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.sandbox.worlds.console import Console

    MakeSynced = Callable[..., Awaitable[Any]]


async def test_a_product_with_more_than_ten_modules_is_brought_down_before_a_swap(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    theirs = StoredModule(
        product_key=FULL, module_name="theirs", alias_name="theirs", desc=None, created_at="2026-01-01T00:00Z"
    )
    nights.box.world().put(theirs)
    nights.replace((FULL, "m0"), (FULL, "m1"), by=[NEW])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.notes) == (0, ())
    assert nights.box.texts(FULL).keys() == {*(f"m{index}" for index in range(2, 10)), "new", "theirs"}
    assert [change.action for change in nights.box.changes if change.product_key == FULL][-3:] == [
        DELETE,
        DELETE,
        CREATE,
    ]


async def test_names_of_a_swap_are_compared_without_letter_case(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((FULL, "m0"), by=[(FULL, "NewOne", "new", "")])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"], "NewOne" in nights.box.texts(FULL)) == (0, 1, True)


async def test_a_module_goes_although_somebody_made_the_one_for_its_slot_meanwhile(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())

    def make(console: Console) -> None:
        console.delete(FULL, "m5")
        console.create(FULL, "new", alias_name="new")

    nights.when(PACKAGES, make, of=FULL)

    summary = await nights.sync(prune=True)

    assert (summary.outcomes["exists"], summary.changes) == (1, {"created": 0, "updated": 0, "deleted": 1})
    assert "m0" not in nights.box.texts(FULL)


async def test_a_module_goes_although_its_slot_is_not_needed_after_a_new_listing(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = swapped(await make_synced())
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)

    def make(console: Console) -> None:
        console.delete(FULL, "m5")
        console.create(FULL, "new", alias_name="new")

    nights.when(LIST, make, nth=2, of=FULL)

    summary = await nights.sync(prune=True)

    assert (summary.outcomes["exists"], summary.changes) == (1, {"created": 0, "updated": 0, "deleted": 1})
    assert "m0" not in nights.box.texts(FULL)


async def test_a_swap_is_not_begun_in_a_product_that_was_refused(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("update:code:iot.prod.NotExistedProduct=1x")))
    nights.box.console().update(FULL, "m5", alias_name="hand", desc="")
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {"update": 1})
    records = nights.records("outcome, code, message")
    assert [records[FULL, name][:2] for name in ("new", "m0")] == [
        ("failed", "iot.prod.NotExistedProduct"),
        ("surplus", "iot.prod.NotExistedProduct"),
    ]
    assert all("an earlier change of its product failed" in records[FULL, name][2] for name in ("new", "m0"))


async def test_a_create_gets_no_slot_if_the_module_in_it_may_not_go(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())
    nights.when(PACKAGES, lambda console: console.add_package(FULL, "m0"))

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"]) == (1, 0)
    records = nights.records()
    assert (records[FULL, "new"], records[FULL, "m0"]) == (("over_budget", "swap"), ("surplus", "package"))


@pytest.mark.parametrize("m0", ["stays", "is used"])
async def test_a_create_gets_the_slot_that_somebody_freed_meanwhile(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, m0: str
) -> None:
    """Delete and create then no longer depend on each other."""
    nights = swapped(await make_synced())
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)

    def make_room(console: Console) -> None:
        console.delete(FULL, "m5")
        if m0 == "is used":
            console.update(FULL, "m0", alias_name="used", desc="now")

    nights.when(LIST, make_room, nth=2, of=FULL)

    summary = await nights.sync(prune=True)

    assert ("new" in nights.box.texts(FULL), "m0" in nights.box.texts(FULL)) == (True, m0 == "is used")
    assert (summary.exit_code, summary.changes["deleted"]) == ((1, 0) if m0 == "is used" else (0, 1))


async def test_a_create_is_not_sent_if_the_platform_refuses_the_delete_for_it(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("delete:code:iot.ota.DeleteOTAModulePackageExist=1x")))
    before = len(nights.box.seen)

    first = await nights.sync(prune=True)
    second = await nights.sync(prune=True)

    assert (first.exit_code, first.outcomes["over_budget"], first.notes) == (1, 1, ())
    assert (second.exit_code, "new" in nights.box.texts(FULL), "m0" in nights.box.texts(FULL)) == (0, True, False)
    assert nights.written(before) == {"delete": 2, "create": 1}


async def test_a_create_is_not_sent_if_the_delete_for_it_stays_in_doubt(make_synced: MakeSynced) -> None:
    """The swap stays open: if the delete was carried out after all, its module is made up for."""
    refused = "create:code:iot.ota.CreateOTAModuleParamError=1x@14"
    nights = swapped(await make_synced(faults=FaultPlan.parse(f"delete:reset-before=6x,{refused}")))

    first = await nights.sync(prune=True)
    records = nights.records()
    nights.box.console().delete(FULL, "m0")
    second = await nights.sync()

    assert (first.exit_code, records[FULL, "m0"][0], records[FULL, "new"]) == (1, "unknown", ("over_budget", "swap"))
    assert (second.exit_code, second.outcomes["failed"], "new" in nights.box.texts(FULL)) == (1, 1, False)
    assert "m0" in nights.box.texts(FULL)


async def test_creates_wait_for_the_right_to_delete(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(denied=frozenset({DELETE})))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True, settings={"concurrency": 1})

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert nights.written(before) == {"delete": 1}
    assert nights.records()[FULL, "new"] == ("withheld", "needs_delete")


async def test_the_limit_of_deletes_counts_a_delete_for_a_create_too(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())

    summary = await nights.sync(prune=True, max_deletes=Limit(0))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert "m0" in nights.box.texts(FULL)


async def test_a_stop_after_a_delete_in_doubt_leaves_the_swap_to_the_next_night(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("delete:reset-after=1x")))
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))

    first = await nights.sync(prune=True, call={"stop": stop})
    between = nights.records()
    second = await nights.sync(prune=True)

    assert (first.exit_code, between[FULL, "m0"], between[FULL, "new"]) == (
        130,
        ("unknown", "stopped"),
        ("pending", None),
    )
    assert (second.exit_code, second.notes, "new" in nights.box.texts(FULL)) == (0, (), True)
