"""`bulk sync` and `bulk apply` as commands: what they refuse, and the command that approves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.cli.invocation import Invocation
from bulk.cli.sync_screen import plan_sync_lines, sync_lines
from bulk.engine.sync.planning import SyncPlan
from bulk.ledger.planning import PlannedEntry
from bulk.model import ROW_OUTCOMES, Summary

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY = Summary(
    run_id="cafe0001",
    ledger="m.csv.ledger.db",
    input="m.csv",
    target="https://h (tuya)",
    rows=10,
    outcomes=dict.fromkeys(ROW_OUTCOMES, 0) | {"created": 7, "withheld": 3},
    absent=0,
    requests={"list": 4},
    retries=0,
    throttled=0,
    recovered=0,
    elapsed_s=1.0,
    exit_code=5,
    changes={"created": 0, "updated": 0, "deleted": 0},
    withheld={"creates": 0, "updates": 3, "deletes": 1},
    surplus=1,
    plan="m.csv.ledger.db.plan-cafe0001.jsonl",
    notes=("3 updates planned: the limit is 2, 2 of 10 managed modules",),
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sync", "m.csv", "--sandbox", "--max-updates", "many"], "--max-updates 'many' is neither a number"),
        (["sync", "m.csv", "--sandbox", "--max-deletes", "101%"], "--max-deletes '101%' is neither"),
        (["sync", "m.csv", "--sandbox", "--prune-product", "a1"], "--prune-product deletes only together with --prune"),
        (
            ["sync", "m.csv", "--sandbox", "--prune", "--prune-product", "a1", "--limit", "3"],
            "--limit is a trial on the file's first products, and --prune-product names others: use --only",
        ),
        (["plan", "m.csv", "--sandbox", "--prune"], "--prune needs --sync"),
        (["plan", "m.csv", "--sandbox", "-o", "p"], "--output needs --sync"),
        (["plan", "m.csv", "--sandbox", "--sync", "--offline"], "--offline and --sync exclude each other"),
        (["apply", "no-such-plan", "--sandbox"], "it is no plan that can be read"),
        (["results", "l.db", "--undo-file", "-"], "goes to a file, not to stdout"),
        (["results", "l.db", "--run", "cafe"], "add --undo-file FILE"),
    ],
)
def test_what_contradicts_itself_is_refused(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text("ProductKey,ModuleName\na1Demo00001,mcu\n", encoding="utf-8")

    assert main(arguments) == 2

    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "approving"),
    [
        ("sync m.csv --prune", "bulk apply P"),
        ("sync --endpoint https://h m.csv --max-updates 5 --adopt -v", "bulk apply --endpoint https://h P -v"),
        ("sync m.csv --max-deletes=2% --ledger l.db --map Desc=d", "bulk apply P --map Desc=d"),
        ("sync m.csv --prune --prune-product a1 --only 'a*' --account cn --limit 3", "bulk apply P"),
    ],
)
def test_the_command_that_approves_reaches_what_the_sync_reached(typed: str, approving: str) -> None:
    arguments = tuple(word.strip("'") for word in typed.split())

    assert Invocation(("bulk",), arguments).approving("P", "m.csv") == approving


def test_the_screen_says_what_waits_why_and_how_to_approve_it() -> None:
    shown = "\n".join(sync_lines(SUMMARY, approve="bulk apply P"))

    assert "Withheld, until you approve: 3 updates, 1 delete" in shown
    assert "3 updates planned: the limit is 2" in shown
    assert "Approve it:  bulk apply P" in shown
    assert "Left on the platform: 1 module that left the file" in shown


def test_the_screen_of_a_plan_shows_old_and_new_texts() -> None:
    entry = PlannedEntry("", "a1Demo00001", "mcu", "update", "new", "same", "mcu", "old", "same", 2, None, None)
    plan = SyncPlan(
        summary=SUMMARY,
        ledger="l.db",
        planned={"update": 1, "delete": 2},
        withheld={"max_deletes": 2},
        examples=(entry,),
        surplus={"package": 1},
    )

    shown = "\n".join(plan_sync_lines(plan, output="plan.jsonl"))

    assert re.search(r"1  to update\n +2  to delete", shown)
    assert "more deletes than --max-deletes allows" in shown
    assert "line 2, a1Demo00001 mcu: AliasName 'old' → 'new'" in shown
    assert "Plan: plan.jsonl" in shown


def test_the_screen_of_a_sync_that_withheld_nothing_asks_for_no_approval() -> None:
    well = replace(SUMMARY, withheld={"updates": 0, "deletes": 0}, surplus=0, plan=None, notes=("a note",))

    shown = "\n".join(sync_lines(well, approve=None))

    assert "a note" in shown
    assert "Withheld" not in shown
    assert "Approve it" not in shown
    assert "Left on the platform" not in shown


def test_the_screen_of_a_withheld_plan_that_could_not_be_written_names_no_file() -> None:
    shown = "\n".join(sync_lines(replace(SUMMARY, plan=None), approve=None))

    assert "Withheld, until you approve: 3 updates, 1 delete" in shown
    assert "Read it" not in shown
    assert "Approve it" not in shown


def test_the_screen_of_a_plan_with_nothing_to_do_says_so() -> None:
    plan = SyncPlan(
        summary=replace(SUMMARY, notes=()), ledger="l.db", planned={"update": 0}, withheld={}, examples=(), surplus={}
    )

    shown = "\n".join(plan_sync_lines(plan))

    assert "nothing to change" in shown
    assert "Withheld" not in shown
    assert "Plan: " not in shown


def test_the_screen_of_a_plan_shows_what_a_delete_takes_away_and_a_create_brings() -> None:
    gone = PlannedEntry("", "a1Demo00001", "mcu", "delete", None, None, "mcu", "alias", "text", None, None, None)
    new = PlannedEntry("", "a1Demo00001", "nfc", "create", "NFC", None, None, None, None, 4, None, None)
    plan = SyncPlan(
        summary=SUMMARY,
        ledger="l.db",
        planned={"create": 1, "delete": 1},
        withheld={},
        examples=(gone, new),
        surplus={},
    )

    shown = "\n".join(plan_sync_lines(plan))

    assert "  a1Demo00001 mcu: 'alias', 'text'" in shown
    assert "  line 4, a1Demo00001 nfc: 'NFC', ''" in shown
