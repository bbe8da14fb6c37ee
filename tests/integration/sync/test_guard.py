"""What a night may not bring without a person: limits, approval, and what is carried out of an approved plan."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.errors import LedgerTargetError, SettingsError
from bulk.ledger.sql import query
from bulk.ledger.times import iso_utc
from bulk.settings import Settings
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import FULL, OTHER, THIRD

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Nights

NOTHING = {"created": 0, "updated": 0, "deleted": 0}


def drift(nights: Nights, modules: int) -> None:
    for index in range(modules):
        nights.box.console().update(FULL, f"m{index}", alias_name="hand", desc=f"{index}")


def mode_of(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


def lines_of(plan: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in plan.read_text(encoding="utf-8").splitlines()]


def write_lines(plan: Path, lines: list[dict[str, Any]]) -> None:
    plan.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def replaced(nights: Nights, modules: int) -> None:
    """Take modules of the full product out of the file, and put as many others in."""
    rows = nights.without(*((FULL, f"m{index}") for index in range(modules)))
    nights.write([*rows, *((FULL, f"n{index}", f"n{index}", "") for index in range(modules))])


async def test_too_many_updates_wait_and_creates_go_on(synced: Nights) -> None:
    drift(synced, 3)
    synced.write([*synced.rows, (OTHER, "new", "new", "")])

    summary = await synced.sync(max_updates=Limit(2))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 3, "deletes": 0})
    assert summary.changes == {"created": 1, "updated": 0, "deleted": 0}
    assert (summary.outcomes["withheld"], summary.outcomes["created"]) == (3, 16)
    assert "3 updates planned: the limit is 2" in summary.notes[0]
    assert synced.modules(FULL)["m0"] == ("hand", "0")


async def test_what_was_sent_within_a_night_counts_against_its_limit(synced: Nights) -> None:
    drift(synced, 2)
    first = await synced.sync(max_updates=Limit(3))
    synced.box.console().update(OTHER, "m0", alias_name="hand", desc="1")
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="1")

    second = await synced.sync(max_updates=Limit(3))

    assert (first.exit_code, second.exit_code) == (0, 5)
    assert "and 2 sent or adopted in the last 20 hours" in second.notes[0]


async def test_a_run_that_is_repeated_does_not_count_the_same_change_twice(synced: Nights) -> None:
    drift(synced, 3)
    await synced.sync(max_updates=Limit(3))
    drift(synced, 3)

    summary = await synced.sync(max_updates=Limit(3))

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 3, "deleted": 0})


async def test_too_many_deletes_wait_and_so_do_creates_that_need_their_slots(synced: Nights) -> None:
    replaced(synced, 3)
    before = synced.mark()

    summary = await synced.sync(prune=True, max_deletes=Limit(2))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 3, "updates": 0, "deletes": 3})
    assert synced.written(before) == 0
    assert summary.plan is not None
    assert mode_of(summary.plan) == 0o600


async def test_an_approved_plan_is_carried_out_once(synced: Nights) -> None:
    replaced(synced, 3)
    drift(synced, 5)
    withheld = await synced.sync(prune=True, max_deletes=Limit(2), max_updates=Limit(1))
    assert withheld.plan is not None

    applied = await synced.apply(Path(withheld.plan))

    # The drifted m0, m1 and m2 left the file, and are not as this ledger wrote them: they stay.
    assert applied.changes == {"created": 0, "updated": 2, "deleted": 0}
    with pytest.raises(SettingsError, match="applied completely already"):
        await synced.apply(Path(withheld.plan))


async def test_an_approved_swap_is_carried_out(synced: Nights) -> None:
    replaced(synced, 3)
    withheld = await synced.sync(prune=True, max_deletes=Limit(2))
    assert withheld.plan is not None

    applied = await synced.apply(Path(withheld.plan))
    quiet = await synced.sync(prune=True)

    assert (applied.exit_code, applied.changes) == (0, {"created": 3, "updated": 0, "deleted": 3})
    assert (quiet.exit_code, quiet.changes) == (0, NOTHING)
    assert len(synced.modules(FULL)) == 10


async def test_an_edited_plan_can_only_withhold(synced: Nights) -> None:
    drift(synced, 3)
    withheld = await synced.sync(max_updates=Limit(2))
    assert withheld.plan is not None
    plan = Path(withheld.plan)
    header, *changes = lines_of(plan)
    changes[0]["wanted"]["alias_name"] = "edited"
    foreign = {**changes[0], "product_key": OTHER, "module_name": "m0", "kind": "delete", "wanted": None, "line": None}
    edited = [header, changes[0], changes[1], foreign]
    write_lines(plan, edited)

    summary = await synced.apply(plan)

    assert summary.changes == {"created": 0, "updated": 1, "deleted": 0}
    assert (summary.exit_code, summary.outcomes["moved"]) == (1, 2)
    assert "m0" in synced.modules(OTHER)


async def test_what_changed_since_the_plan_is_moved(synced: Nights) -> None:
    drift(synced, 3)
    withheld = await synced.sync(max_updates=Limit(2))
    assert withheld.plan is not None
    synced.box.console().update(FULL, "m0", alias_name="again", desc="by hand")

    summary = await synced.apply(Path(withheld.plan))

    assert (summary.outcomes["updated"], summary.outcomes["moved"]) == (2, 1)
    assert synced.modules(FULL)["m0"] == ("again", "by hand")


async def test_an_old_plan_is_refused(synced: Nights) -> None:
    drift(synced, 3)
    withheld = await synced.sync(max_updates=Limit(2))
    assert withheld.plan is not None

    with pytest.raises(SettingsError, match="hours old, and --max-age allows 0"):
        await synced.apply(Path(withheld.plan), max_age_s=0.0)


async def test_a_plan_for_another_target_or_ledger_is_refused(synced: Nights, tmp_path: Path) -> None:
    from bulk.engine.sync.apply import apply

    drift(synced, 3)
    withheld = await synced.sync(max_updates=Limit(2))
    assert withheld.plan is not None

    with pytest.raises(LedgerTargetError, match="the settings now send"):
        await apply(Path(withheld.plan), Settings(endpoint="http://127.0.0.1:9"), credentials=synced.keys())
    with pytest.raises(LedgerTargetError, match="the plan is for the ledger"):
        await apply(Path(withheld.plan), synced.settings(ledger=str(tmp_path / "other.db")), credentials=synced.keys())


async def test_a_file_that_is_no_plan_is_refused(synced: Nights, tmp_path: Path) -> None:
    write_lines(tmp_path / "no-plan", [{}])

    with pytest.raises(SettingsError, match="not that of a plan"):
        await synced.apply(tmp_path / "no-plan")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(FULL, f"m{index}", f"alias{index}", "desc 0") for index in range(10)], "fewer_rows"),
        ([(key, f"m{index}", f"alias{index}", "") for key in (FULL, OTHER) for index in range(9)], "fewer_products"),
    ],
)
async def test_an_input_that_shrank_withholds_deletes(synced: Nights, rows: list[Any], reason: str) -> None:
    synced.write([row for row in rows if row[:2] != (FULL, "m0")] + ([(FULL, "n1", "", "")] if len(rows) > 10 else []))

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert summary.exit_code == 5
    assert summary.withheld is not None
    assert summary.withheld["deletes"] > 0
    assert reason in {line.get("withheld") for line in lines_of(Path(summary.plan or ""))}


async def test_a_rename_waits_for_a_person(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "renamed", "alias0", "desc 1")])
    before = synced.mark()

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert synced.written(before) == 0


@pytest.mark.parametrize("config", [{"denied": frozenset({"UpdateOTAModule", "DeleteOTAModule"})}])
async def test_a_key_without_the_right_creates_and_withholds_the_rest(synced: Nights) -> None:
    drift(synced, 1)
    rows = synced.without((OTHER, "m0"))
    synced.write([*rows, (OTHER, "new", "new", ""), (THIRD, "new", "new", "")])

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.stopped) == (5, None)
    assert summary.changes == {"created": 2, "updated": 0, "deleted": 0}
    assert summary.withheld == {"creates": 0, "updates": 1, "deletes": 1}
    assert any("iot:UpdateOTAModule" in note for note in summary.notes)
    assert any("iot:DeleteOTAModule" in note for note in summary.notes)


async def test_status_knows_what_waits(synced: Nights) -> None:
    drift(synced, 3)
    await synced.sync(max_updates=Limit(2))

    assert waiting(synced) == [("update", "max_updates", 3)]


async def test_a_plan_of_a_part_takes_the_place_of_those_of_the_same_part(synced: Nights) -> None:
    drift(synced, 3)
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")
    for only in ((FULL,), (OTHER,), (FULL,)):
        await synced.sync(settings={"only": only}, max_updates=Limit(0))
    of_parts = waiting(synced)
    await synced.sync(max_updates=Limit(0))

    assert of_parts == [("update", "max_updates", 1), ("update", "max_updates", 3)]
    assert waiting(synced) == [("update", "max_updates", 4)]


async def test_an_applied_plan_of_a_part_waits_no_more(synced: Nights) -> None:
    drift(synced, 3)
    withheld = await synced.sync(settings={"only": (FULL,)}, max_updates=Limit(0))
    assert withheld.plan is not None

    await synced.apply(Path(withheld.plan))

    assert waiting(synced) == []


async def test_changes_of_yesterday_do_not_count_against_the_limit_of_tonight(synced: Nights) -> None:
    drift(synced, 2)
    await synced.sync(max_updates=Limit(2))
    with closing(connect(synced.ledger)) as connection:
        connection.execute("UPDATE claims SET at = ?", (iso_utc(time.time() - 20.5 * 3_600),))
        connection.commit()
    synced.box.console().update(OTHER, "m0", alias_name="hand", desc="1")

    summary = await synced.sync(max_updates=Limit(2))

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 1, "deleted": 0})


async def test_deletes_that_were_sent_count_and_approved_ones_do_not(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "n0", "n0", "")])
    first = await synced.sync(prune=True, max_deletes=Limit(1))
    synced.write([*synced.without((OTHER, "m1")), (OTHER, "n1", "n1", "")])
    second = await synced.sync(prune=True, max_deletes=Limit(1))
    assert second.plan is not None
    await synced.apply(Path(second.plan))
    synced.write([*synced.without((OTHER, "m2")), (OTHER, "n2", "n2", "")])

    third = await synced.sync(prune=True, max_deletes=Limit(2))

    assert [summary.exit_code for summary in (first, second, third)] == [0, 5, 0]
    assert "and 1 sent in the last 20 hours" in second.notes[0]
    assert (third.changes or {})["deleted"] == 1


async def test_limits_are_shares_of_what_is_managed_and_what_is_owned(nights: Nights) -> None:
    """Ten of the 18 modules are there before the first night: managed, and not owned."""
    for index in range(10):
        nights.box.console().create(FULL, f"m{index}", alias_name=f"alias{index}", desc="desc 0")
    await nights.sync()
    drift(nights, 3)
    nights.write([*nights.without((OTHER, "m0"), (OTHER, "m1")), (OTHER, "n", "n", ""), (THIRD, "n", "n", "")])

    summary = await nights.sync(prune=True, max_updates=Limit(0, 10.0), max_deletes=Limit(0, 20.0))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 3, "deletes": 2})
    assert summary.notes == (
        "3 updates planned: the limit is 2, 10% of 20 managed modules",
        "2 deletes planned: the limit is 1, 20% of 8 owned modules",
    )


async def test_the_last_plans_are_kept(synced: Nights) -> None:
    drift(synced, 1)
    for _ in range(16):
        summary = await synced.sync(max_updates=Limit(0))

    plans = list(synced.ledger.parent.glob("*.plan-*.jsonl"))
    assert len(plans) == 14
    assert Path(summary.plan or "") in plans


def waiting(nights: Nights) -> list[tuple[str, str, int]]:
    with closing(connect(nights.ledger)) as connection:
        return sorted(record[3:] for record in connection.execute(query("pending_approvals")))


async def test_what_a_clock_that_was_ahead_has_sent_counts(synced: Nights) -> None:
    drift(synced, 2)
    await synced.sync(max_updates=Limit(2))
    with closing(connect(synced.ledger)) as connection:
        connection.execute("UPDATE claims SET at = ?", (iso_utc(time.time() + 30 * 86_400),))
        connection.commit()
    synced.box.console().update(OTHER, "m0", alias_name="hand", desc="1")

    assert (await synced.sync(max_updates=Limit(2))).exit_code == 5


async def test_an_approved_plan_is_past_the_limits_that_held_it_back(synced: Nights) -> None:
    replaced(synced, 7)
    withheld = await synced.sync(prune=True)
    assert withheld.plan is not None

    applied = await synced.apply(Path(withheld.plan))

    assert "7 deletes planned: the limit is 5" in withheld.notes[0]
    assert (applied.exit_code, applied.changes) == (0, {"created": 7, "updated": 0, "deleted": 7})


@pytest.mark.parametrize("config", [{"denied": frozenset({"UpdateOTAModule"})}])
async def test_an_action_without_the_right_is_tried_once(synced: Nights) -> None:
    drift(synced, 3)
    before = synced.mark()

    summary = await synced.sync()

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 3, "deletes": 0})
    assert synced.sent(before)["UpdateOTAModule"] == 1


async def test_adoptions_of_earlier_runs_count_against_the_limit_of_tonight(nights: Nights) -> None:
    """Or one product after the other would be adopted within the limit. What was approved does not count."""
    for product, modules in ((OTHER, 3), (THIRD, 3)):
        for index in range(modules):
            texts = {"alias_name": f"alias{index}", "desc": f"desc {int(product[-1])}"}
            nights.box.console().create(product, f"m{index}", **texts)
    first = await nights.sync(settings={"only": (OTHER,)}, adopt=True, max_updates=Limit(4))
    for _ in range(2):
        second = await nights.sync(settings={"only": (THIRD,)}, adopt=True, max_updates=Limit(4))

    assert [(one.withheld or {})["updates"] for one in (first, second)] == [0, 3]
    assert second.notes[0].startswith("3 updates planned and 3 sent or adopted in the last 20 hours: the limit is 4")
    await nights.apply(Path(second.plan or ""))
    await nights.sync()
    drift(nights, 1)
    later = await nights.sync(max_updates=Limit(4))
    with closing(connect(nights.ledger)) as connection:
        connection.execute("UPDATE runs SET started_at = ?", (iso_utc(time.time() - 20.5 * 3_600),))
        connection.commit()
    drift(nights, 4)

    tomorrow = await nights.sync(max_updates=Limit(4))

    assert later.exit_code == 0
    assert {nights.records("owned")[THIRD, f"m{index}"] for index in range(3)} == {(1,)}
    assert (tomorrow.exit_code, (tomorrow.changes or {})["updated"]) == (0, 4)
