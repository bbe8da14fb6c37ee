"""`bulk apply` takes a plan for what it was when a person read it, and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.errors import BulkError, LedgerTargetError, SettingsError
from bulk.ledger.times import iso_utc
from bulk.ledger.views.approvals import CutOff
from bulk.ledger.views.status import read_status
from bulk.sandbox import FaultPlan
from tests.nights import FULL, OTHER, THIRD, lines_of, write_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeSynced = Callable[..., Awaitable[Any]]

HOUR_S = 3_600.0


async def withheld_plan(nights: Any, *, drifted: int = 2, **options: Any) -> Path:
    """Let updates wait for a person, and return the plan that lists them."""
    for index in range(drifted):
        nights.box.console().update(FULL, f"m{index}", alias_name="hand", desc=f"{index}")
    summary = await nights.sync(max_updates=Limit(0), **options)
    assert (summary.exit_code, summary.withheld["updates"]) == (5, drifted)
    return Path(summary.plan)


async def refused(nights: Any, plan: Path, error: type[BulkError], said: str, **options: Any) -> None:
    before = len(nights.box.seen)
    with pytest.raises(error, match=said):
        await nights.apply(plan, **options)
    assert len(nights.box.seen) == before, "nothing was sent"


async def test_a_plan_is_applied_once(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)

    applied = await nights.apply(plan)

    assert (applied.exit_code, applied.changes["updated"], applied.notes) == (0, 2, ())
    await refused(nights, plan, SettingsError, "was applied completely already: run the sync again")


async def test_only_the_lines_that_a_person_left_in_a_plan_are_carried_out(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    header, first, _ = lines_of(plan)
    write_lines(plan, [header, first])

    applied = await nights.apply(plan)

    assert (applied.exit_code, applied.changes["updated"], applied.outcomes["moved"]) == (1, 1, 1)
    left = {name: nights.box.texts(FULL)[name][0] for name in ("m0", "m1")}
    assert left[first["module_name"]].startswith("alias")
    assert sorted(left.values())[1] == "hand"


async def test_a_plan_whose_first_line_was_edited_gives_no_rights(make_synced: MakeSynced) -> None:
    """With ``prune`` written into it, and a delete among its changes, a plan of updates would delete."""
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    plan = await withheld_plan(nights)
    header, *changes = lines_of(plan)
    header["flags"]["prune"] = True
    found = {"module_name": "m0", "alias_name": "alias0", "desc": "desc 1"}
    delete = {**changes[0], "product_key": OTHER, "module_name": "m0", "kind": "delete", "wanted": None, "line": None}
    write_lines(plan, [header, *changes, {**delete, "found": found}])

    await refused(nights, plan, SettingsError, "its first line was edited")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[0].pop("flags"), "first line is not that of a plan of this version"),
        (lambda lines: lines[0].update(made_at=7), "first line is not that of a plan of this version"),
        (lambda lines: lines[0].update(bulk_plan=2), "first line is not that of a plan; name one"),
        (lambda lines: lines.pop(0), "first line is not that of a plan; name one"),
        (lambda lines: lines[1].pop("wanted"), "line 2: it is no change of a plan"),
        (lambda lines: lines.append(["update"]), "line 4: it is no change of a plan"),
    ],
)
async def test_a_file_with_a_line_that_is_not_of_a_plan_is_refused(
    make_synced: MakeSynced, spoil: Callable[[Any], object], said: str
) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    lines = lines_of(plan)
    spoil(lines)
    write_lines(plan, lines)

    await refused(nights, plan, SettingsError, said)


@pytest.mark.parametrize(
    ("moved_h", "max_age_h", "said"),
    [
        (25, 24, "is 25 hours old, and --max-age allows 24"),
        (73, 72, "is 73 hours old, and --max-age allows 72"),
        (-1, 24, "by this machine's clock the plan is from the future"),
    ],
)
async def test_a_plan_of_another_time_is_refused(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, moved_h: int, max_age_h: int, said: str
) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    now = time.time() + moved_h * HOUR_S
    monkeypatch.setattr("bulk.engine.sync.apply.time", SimpleNamespace(time=lambda: now))

    await refused(nights, plan, SettingsError, said, max_age_s=max_age_h * HOUR_S)


@pytest.mark.parametrize(("moved_h", "max_age_h"), [(71, 72), (-0.05, 24)])
async def test_a_plan_is_applied_within_its_age_though_clocks_differ_a_little(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, moved_h: float, max_age_h: int
) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    now = time.time() + moved_h * HOUR_S
    monkeypatch.setattr("bulk.engine.sync.apply.time", SimpleNamespace(time=lambda: now))

    summary = await nights.apply(plan, max_age_s=max_age_h * HOUR_S)

    assert (summary.exit_code, summary.changes["updated"], summary.stopped) == (0, 2, None)


async def test_a_plan_whose_time_is_no_time_is_refused(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    lines = lines_of(plan)
    lines[0]["made_at"] = "yesterday"
    write_lines(plan, lines)

    await refused(nights, plan, SettingsError, r"from the future \(yesterday\)")


async def test_a_plan_is_not_applied_to_an_older_copy_of_its_ledger(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    copy = shutil.copy(nights.ledger, f"{nights.ledger}.copy")
    plan = await withheld_plan(nights)
    shutil.copy(copy, nights.ledger)

    await refused(nights, plan, LedgerTargetError, "is an older copy of the ledger")


async def test_a_plan_is_not_applied_to_a_ledger_that_began_anew(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    nights.ledger.unlink()
    await refused(nights, plan, LedgerTargetError, "is not there: put it back")
    assert not nights.ledger.exists()

    await nights.sync()
    await refused(nights, plan, LedgerTargetError, "is not the ledger that the plan was made from")


async def test_the_settings_of_an_apply_name_the_ledger_of_its_plan_or_none(
    make_synced: MakeSynced, tmp_path: Path
) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)

    await refused(
        nights, plan, LedgerTargetError, "the plan is for the ledger", settings={"ledger": str(tmp_path / "other.db")}
    )
    assert (await nights.apply(plan, settings={"ledger": str(nights.ledger)})).exit_code == 0


async def test_an_input_that_is_gone_must_be_put_back(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    nights.file.unlink()

    await refused(nights, plan, SettingsError, "its input .* is not there: put it back")


@pytest.mark.parametrize("settings", [{"only": (OTHER,)}, {"limit": 1}])
async def test_an_apply_cannot_be_narrowed(make_synced: MakeSynced, settings: dict[str, Any]) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)

    await refused(nights, plan, SettingsError, "the plan itself says what is in scope", settings=settings)


@pytest.mark.parametrize("narrowed", [{"only": (FULL,)}, {"limit": 1}])
async def test_an_apply_looks_at_no_more_than_its_sync(make_synced: MakeSynced, narrowed: dict[str, Any]) -> None:
    nights = await make_synced()
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")
    plan = await withheld_plan(nights, settings=narrowed)
    before = len(nights.box.seen)

    applied = await nights.apply(plan, settings=narrowed)

    assert {seen.product_key for seen in list(nights.box.seen)[before:]} == {FULL}
    assert (applied.exit_code, applied.changes["updated"]) == (0, 2)


async def test_a_plan_is_not_applied_to_another_target(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)

    await refused(
        nights,
        plan,
        LedgerTargetError,
        "the settings now send the account to https://elsewhere.example",
        settings={"endpoint": "https://elsewhere.example"},
    )


async def test_a_plan_is_not_applied_if_one_of_its_accounts_has_another_target(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    estate.drift("cn", "m0")
    summary = await estate.sync(max_updates=Limit(0))
    estate.boxes["eu"].endpoint = "https://elsewhere.example"

    with pytest.raises(LedgerTargetError, match=r"now send account 'eu' to https://elsewhere\.example"):
        await estate.apply(summary.plan)
    del estate.boxes["eu"]
    with pytest.raises(LedgerTargetError, match="now send account 'eu' to nowhere"):
        await estate.apply(summary.plan)


async def test_a_plan_of_several_accounts_is_applied_in_each(make_estate: Callable[..., Awaitable[Any]]) -> None:
    estate = await make_estate()
    estate.drift("cn", "m0", "m1")
    estate.drift("eu", "m0")
    summary = await estate.sync(max_updates=Limit(0))

    applied = await estate.apply(summary.plan)

    assert (applied.exit_code, applied.changes["updated"]) == (0, 3)
    assert {name: len(account.requests) > 0 for name, account in applied.accounts.items()} == {"cn": True, "eu": True}


async def test_an_approved_rename_is_carried_out(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"), by=[(OTHER, "renamed", "alias1", "desc 1")])
    withheld = await nights.sync(prune=True)

    applied = await nights.apply(withheld.plan)

    assert (withheld.exit_code, withheld.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert (applied.exit_code, nights.box.texts(OTHER).keys()) == (0, {"m0", "m2", "renamed"})


async def test_a_plan_is_not_finished_while_one_of_its_accounts_has_stopped(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate(eu={"faults": FaultPlan.parse("list:code:Forbidden.RAM=1x@7")})
    estate.drift("cn", "m0")
    estate.drift("eu", "m0")
    plan = (await estate.sync(max_updates=Limit(0))).plan

    stopped = await estate.apply(plan)
    finished = await estate.apply(plan)

    assert (stopped.exit_code, stopped.changes["updated"]) == (3, 1)
    assert (finished.exit_code, finished.changes["updated"]) == (0, 1)
    with pytest.raises(SettingsError, match="was applied completely already"):
        await estate.apply(plan)


async def test_what_the_input_asks_for_since_the_plan_is_left_to_the_next_sync(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights)
    nights.write([*nights.rows, (THIRD, "new", "new", "")])

    applied = await nights.apply(plan)

    assert (applied.exit_code, applied.changes) == (1, {"created": 0, "updated": 2, "deleted": 0})
    assert applied.notes == ("the input changed since the plan was made: differences are left for the next sync",)
    assert (await nights.sync()).changes["created"] == 1


async def test_approved_changes_count_against_no_limit_of_the_night(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    await nights.apply(await withheld_plan(nights))
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")

    summary = await nights.sync(max_updates=Limit(1))

    assert (summary.exit_code, summary.changes["updated"]) == (0, 1)


async def test_a_plan_waits_for_a_key_that_has_the_right(make_synced: MakeSynced) -> None:
    denied = {"UpdateOTAModule"}
    nights = await make_synced(denied=denied)
    plan = await withheld_plan(nights)

    still = await nights.apply(plan)
    denied.clear()
    done = await nights.apply(plan)

    assert (still.exit_code, still.withheld["updates"]) == (5, 2)
    assert (done.exit_code, done.changes["updated"]) == (0, 2)
    await refused(nights, plan, SettingsError, "was applied completely already")


async def test_an_apply_that_was_cut_off_says_what_is_left_and_the_same_command_continues_it(
    make_synced: MakeSynced,
) -> None:
    nights = await make_synced()
    plan = await withheld_plan(nights, drifted=3)
    stop = StopSignal()
    nights.when("UpdateOTAModule", lambda _: stop.request("interrupted", exit_code=130), nth=2)

    cut_off = await nights.apply(plan, stop=stop)
    left = await asyncio.to_thread(read_status, nights.ledger)
    finished = await nights.apply(plan)
    after = await asyncio.to_thread(read_status, nights.ledger)

    assert (cut_off.exit_code, cut_off.changes["updated"], left.cut_off) == (130, 2, CutOff(plan=str(plan), changes=1))
    assert (finished.exit_code, finished.changes["updated"], after.cut_off) == (0, 1, None)


async def test_a_plan_has_a_time_that_sorts_like_the_ledgers(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    header = lines_of(await withheld_plan(nights))[0]

    assert iso_utc(time.time() - 60) < header["made_at"] <= iso_utc(time.time())
    assert (header["ledger"], header["input"]) == (str(nights.ledger), str(nights.file))
