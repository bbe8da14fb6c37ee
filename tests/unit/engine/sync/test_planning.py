"""`bulk plan --sync` says what a sync would do, and does nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.engine.sync.planning import sync_plan_json
from bulk.errors import InputError
from bulk.events import PlanStarted, RunEnded, RunStarted
from bulk.sandbox import FaultPlan
from tests.nights import FULL, LIST, OTHER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bulk.events import Event

    MakeSynced = Callable[..., Awaitable[Any]]


async def drifted(make_synced: MakeSynced, **config: Any) -> Any:
    """Return a job with an update, a create and a delete to plan."""
    nights = await make_synced(**config)
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")
    nights.replace((OTHER, "m1"), by=[(OTHER, "new", "new", "")])
    return nights


async def test_a_plan_changes_neither_the_platform_nor_the_ledger(make_synced: MakeSynced, tmp_path: Path) -> None:
    nights = await drifted(make_synced)
    before, ledger = len(nights.box.seen), nights.records("outcome, code, owned, settled_at")

    plan = await nights.plan(tmp_path / "PLAN", prune=True)

    assert (plan.exit_code, plan.planned) == (0, {"create": 1, "delete": 1, "update": 1})
    assert nights.written(before) == {}
    assert nights.records("outcome, code, owned, settled_at") == ledger
    assert (plan.summary.plan, plan.ledger) == (None, str(nights.ledger))


async def test_a_plan_is_carried_out_as_it_was_planned(make_synced: MakeSynced, tmp_path: Path) -> None:
    nights = await drifted(make_synced)
    await nights.plan(tmp_path / "PLAN", prune=True)

    applied = await nights.apply(tmp_path / "PLAN")

    assert (applied.exit_code, applied.changes) == (0, {"created": 1, "updated": 1, "deleted": 1})


async def test_the_first_night_can_be_planned_and_applied(make_nights: Callable[..., Any], tmp_path: Path) -> None:
    nights = make_nights()
    nights.box.fill([(OTHER, "m0", "alias0", "desc 1")])

    plan = await nights.plan(tmp_path / "PLAN", adopt=True)
    assert not nights.ledger.exists()
    applied = await nights.apply(tmp_path / "PLAN")

    assert (plan.exit_code, plan.planned) == (0, {"create": 12, "adopt": 1})
    assert (applied.exit_code, applied.changes["created"], nights.records("owned")[OTHER, "m0"]) == (0, 12, (1,))


async def test_a_plan_shows_what_waits_and_what_stays(make_synced: MakeSynced) -> None:
    nights = await drifted(make_synced)
    nights.box.console().add_package(OTHER, "m1")
    for index in range(4):
        nights.box.console().update(FULL, f"m{index}", alias_name="hand", desc="")

    plan = await nights.plan(prune=True, max_updates=Limit(4))

    assert (plan.exit_code, plan.planned, plan.withheld) == (5, {"create": 1, "update": 5}, {"max_updates": 5})
    assert [entry.kind for entry in plan.examples] == ["create", *["update"] * 3]
    assert (plan.surplus, plan.summary.plan) == ({"package": 1}, None)
    shown = sync_plan_json(plan)
    assert (shown["withheld"], shown["exit_code"], shown["stopped"]) == ({"max_updates": 5}, 5, None)


async def test_a_row_that_cannot_be_as_wanted_is_told_by_the_exit_code(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.write([*nights.rows, (FULL, "new", "new", "")])

    plan = await nights.plan()

    assert (plan.exit_code, plan.planned) == (1, {})


async def test_a_plan_that_was_stopped_writes_no_file(make_synced: MakeSynced, tmp_path: Path) -> None:
    nights = await drifted(make_synced)
    stop = StopSignal()
    nights.when(LIST, lambda _: stop.request("interrupted", exit_code=130))

    plan = await nights.plan(tmp_path / "PLAN", call={"stop": stop})

    assert (plan.exit_code, plan.summary.stopped) == (130, "interrupted")
    assert not (tmp_path / "PLAN").exists()


async def test_a_plan_that_the_platform_stopped_writes_no_file(make_synced: MakeSynced, tmp_path: Path) -> None:
    nights = await drifted(make_synced, faults=FaultPlan.parse("list:code:Forbidden.RAM=1x@5"))

    plan = await nights.plan(tmp_path / "PLAN")

    assert (plan.exit_code, (tmp_path / "PLAN").exists()) == (3, False)


async def test_a_plan_is_announced_as_a_plan_and_ends_no_run(make_synced: MakeSynced) -> None:
    nights = await drifted(make_synced)
    heard: list[Event] = []

    await nights.plan(call={"listener": heard.append})

    assert [event.products for event in heard if isinstance(event, PlanStarted)] == [2]
    assert not [event for event in heard if isinstance(event, RunStarted | RunEnded)]


async def test_a_plan_of_another_file_is_refused(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.write([(f"a1Else{number:05d}", "m0", "", "") for number in range(20)])
    before = len(nights.box.seen)

    with pytest.raises(InputError, match="looks like another file"):
        await nights.plan()

    assert len(nights.box.seen) == before
