"""Swaps and deletes where others are quicker, rights are missing, or a product holds more than it may."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.control.guard import Limit
from bulk.sandbox import FaultPlan
from bulk.sandbox.worlds.stored import StoredModule
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import FULL, LIST, OTHER, PACKAGES, THIRD

if TYPE_CHECKING:
    from bulk.sandbox import Seen
    from bulk.sandbox.worlds.console import Console
    from tests.integration.sync.conftest import Nights


async def test_a_rival_who_makes_the_very_module_of_a_swap_leaves_nothing_to_make_up_for(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    synced.when("DeleteOTAModule", lambda console: console.create(FULL, "new", alias_name="new", desc=None))

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.outcomes["exists"], summary.notes) == (0, 1, ())
    assert "m0" not in synced.modules(FULL)


async def test_a_product_beyond_ten_is_brought_down_before_a_swap(synced: Nights) -> None:
    theirs = StoredModule(
        product_key=FULL, module_name="theirs", alias_name="theirs", desc=None, created_at="2026-01-01T00:00Z"
    )
    synced.box.world().put(theirs)
    synced.write([*synced.without((FULL, "m0"), (FULL, "m1")), (FULL, "new", "new", ""), (THIRD, "n", "n", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.notes) == (0, ())
    assert synced.modules(FULL).keys() == {*(f"m{index}" for index in range(2, 10)), "new", "theirs"}


async def test_a_rival_who_makes_room_lets_the_create_go_first(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    def make_room(seen: Seen, console: Console) -> None:
        if seen.action == PACKAGES and "m0" in synced.modules(FULL):
            console.delete(FULL, "m0")

    synced.box.let_in(make_room)

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.outcomes["created"]) == (0, 18)
    assert len(synced.modules(FULL)) == 10


@pytest.mark.parametrize("config", [{"denied": frozenset({"DeleteOTAModule"})}])
async def test_all_that_needs_a_delete_waits_where_the_key_may_not_delete(nights: Nights) -> None:
    full = [(f"a1Full{number}0000", f"m{index}", "a", f"{index}") for number in range(4) for index in range(10)]
    nights.write(full)
    await nights.sync()
    nights.write(
        [row for row in full if row[1] != "m0"] + [(f"a1Full{number}0000", "new", "new", "") for number in range(4)]
    )

    summary = await nights.sync(prune=True, settings={"concurrency": 1}, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.outcomes["withheld"]) == (5, 4)
    assert summary.withheld == {"creates": 4, "updates": 0, "deletes": 4}


async def test_a_package_that_the_platform_alone_knows_of_is_the_reason_that_is_counted(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    synced.when(PACKAGES, lambda console: console.add_package(OTHER, "m1"), nth=2)
    before = synced.mark()

    await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.sent(before)["DeleteOTAModule"] == 1
    assert synced.records()[OTHER, "m1"] == ("surplus", "package")


async def test_an_update_whose_module_is_gone_has_moved_and_is_not_ours_any_more(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")

    synced.when(LIST, lambda console: console.delete(OTHER, "m1"), product_key=OTHER, nth=2)

    summary = await synced.sync()

    assert (summary.outcomes["moved"], summary.outcomes["failed"]) == (1, 0)
    assert synced.records("outcome, owned")[OTHER, "m1"] == ("moved", 0)


async def test_a_delete_that_waited_long_for_its_turn_is_sent_by_a_new_listing_alone(
    synced: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    synced.when(
        LIST, lambda console: console.update(OTHER, "m1", alias_name="used", desc="now"), product_key=OTHER, nth=2
    )
    before = synced.mark()

    await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.sent(before)["DeleteOTAModule"] == 0
    assert synced.records()[OTHER, "m1"] == ("surplus", "changed")


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("create:code:iot.ota.CreateOTAModuleParamError=8x@19")}])
async def test_what_could_not_be_made_again_is_named_every_night_until_it_is_there(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    first = await synced.sync(prune=True)
    second = await synced.sync(prune=True)
    nights = [await synced.sync(prune=True) for _ in range(4)]

    assert [summary.exit_code for summary in (first, second)] == [1, 1]
    assert all(any("m0 of a1Prod00000 was deleted" in note for note in one.notes) for one in (first, second))
    assert (nights[-1].exit_code, nights[-1].notes) == (0, ())
    assert "new" in synced.modules(FULL)


@pytest.mark.parametrize("instant", ["before the look", "before the work"])
async def test_an_approval_to_delete_is_none_to_leave_a_product_empty(synced: Nights, instant: str) -> None:
    """A plan was approved while somebody else had a module there."""
    console = synced.box.console()
    console.create(OTHER, "theirs", alias_name="theirs", desc=None)
    synced.write([row for row in synced.rows if row[0] != OTHER] + [(THIRD, f"n{n}", "n", f"{n}") for n in range(4)])
    waiting = await synced.sync(prune=True, prune_products=(OTHER,), max_deletes=Limit(0))
    assert waiting.plan is not None

    if instant == "before the look":
        console.delete(OTHER, "theirs")
    else:
        synced.when(LIST, lambda console: console.delete(OTHER, "theirs"), product_key=OTHER, nth=1)

    summary = await synced.apply(Path(waiting.plan))

    assert summary.exit_code == 5
    assert len(synced.modules(OTHER)) == (4 if instant == "before the look" else 1)


async def test_an_approval_to_leave_a_product_empty_is_carried_out(synced: Nights) -> None:
    synced.write([row for row in synced.rows if row[0] != OTHER] + [(THIRD, f"n{n}", "n", f"{n}") for n in range(4)])
    waiting = await synced.sync(prune=True, prune_products=(OTHER,), **EVERYTHING_GOES)
    assert waiting.plan is not None

    summary = await synced.apply(Path(waiting.plan))

    assert (waiting.exit_code, summary.exit_code) == (5, 0)
    assert synced.modules(OTHER) == {}


async def test_an_approved_rename_in_a_full_product_is_carried_out_at_once(synced: Nights) -> None:
    """So is the create that waited for the slot of a second delete with the same texts."""
    twins = [(FULL, f"twin{number}", "twin", "") for number in range(2)]
    synced.write([*synced.without((FULL, "m0"), (FULL, "m1")), *twins])
    assert (await synced.sync(prune=True, **EVERYTHING_GOES)).exit_code == 0
    more = [(FULL, "renamed", "twin", ""), (FULL, "more", "more", "")]
    synced.write([*synced.without(*(twin[:2] for twin in twins)), *more])
    waiting = await synced.sync(prune=True, **EVERYTHING_GOES)
    assert (waiting.exit_code, waiting.withheld) == (5, {"creates": 2, "updates": 0, "deletes": 2})
    assert waiting.plan is not None

    summary = await synced.apply(Path(waiting.plan))

    assert (summary.exit_code, summary.outcomes["over_budget"]) == (0, 0)
    assert synced.modules(FULL).keys() == {*(f"m{index}" for index in range(2, 10)), "renamed", "more"}


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("create:code:iot.ota.CreateOTAModuleParamError=1x@19")}])
async def test_no_module_is_deleted_again_for_a_create_that_was_refused_for_good(synced: Nights) -> None:
    """Until its row asks for something else."""
    kept = synced.without((FULL, "m0"))
    synced.write([*kept, (FULL, "new", "new", "")])
    first = await synced.sync(prune=True)
    assert (first.exit_code, first.outcomes["failed"], "m0" in synced.modules(FULL)) == (1, 1, True)
    before = synced.mark()

    nights = [await synced.sync(prune=True) for _ in range(2)]

    assert synced.written(before) == 0
    assert [(one.exit_code, one.outcomes["failed"], one.surplus) for one in nights] == [(1, 1, 1)] * 2
    assert synced.records()[FULL, "m0"] == ("surplus", "create_refused")
    message, code = synced.records("message, code")[FULL, "new"]
    assert code == "iot.ota.CreateOTAModuleParamError"
    assert "correct the row" in message

    synced.write([*kept, (FULL, "new", "corrected", "")])
    last = await synced.sync(prune=True)

    assert last.exit_code == 0
    assert synced.modules(FULL).keys() == {*(f"m{index}" for index in range(1, 10)), "new"}


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("create:code:iot.ota.CreateOTAModuleParamError=1x@19")}])
async def test_a_create_that_was_refused_for_good_is_tried_where_a_slot_is_free(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])
    assert (await synced.sync(prune=True)).exit_code == 1
    synced.box.console().delete(FULL, "m5")
    synced.write([*synced.without((FULL, "m5")), (THIRD, "n", "n", "")])

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, "new" in synced.modules(FULL)) == (0, True)
