"""`bulk sync` and `bulk apply` as commands: what they refuse, and the command that approves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.cli.invocation import Invocation
from bulk.cli.screens.sync import plan_sync_lines, sync_lines
from bulk.control.reconcile import Withheld
from bulk.engine.sync.plan_file import PlanHeader, write_plan
from bulk.engine.sync.planning import SyncPlan
from bulk.ledger.planning import PlannedEntry
from bulk.model import ROW_OUTCOMES, Outcome, Reason, Summary, SyncFigures
from bulk.report.wording import columns_of

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
    notes=("3 updates planned: the limit is 2, 20% of 10 managed modules",),
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
        (
            ["sync", "m.csv", "--prune", "--only", "a1De*", "--prune-product=a1Demo9", "--prune-product=a1Gone00001"],
            "--prune-product a1Gone00001 is outside --only: also give --only a1Gone00001, or leave",
        ),
        (
            ["plan", "m.csv", "--sync", "--sandbox", "--prune", "--only", "a1De*", "--prune-product", "a1Gone00001"],
            "--prune-product a1Gone00001 is outside --only",
        ),
        (["plan", "m.csv", "--sandbox", "--prune"], "--prune needs --sync"),
        (["plan", "m.csv", "--sandbox", "-o", "p"], "--output needs --sync"),
        (["plan", "m.csv", "--sandbox", "--sync", "--offline"], "--offline and --sync exclude each other"),
        (["apply", "no-such-plan", "--sandbox"], "there is no such plan; `bulk status LEDGER` shows the command"),
        (["apply", "m.csv", "--sandbox"], "its first line is not that of a plan"),
        (["plan", "m.csv", "--sandbox", "--sync", "-o", "m.csv"], "m.csv is the input; name another file with -o"),
        (
            ["plan", "m.csv", "--sandbox", "--sync", "-o", "m.csv.sandbox.db"],
            "m.csv.sandbox.db is the ledger itself; name another file with -o",
        ),
        (["plan", "m.csv", "--sandbox", "--sync", "-o", "-"], "a plan goes to a file"),
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
        ("plan m.csv --sync --adopt -o P1 --ledger l.db --region r", "bulk apply P --region r"),
        ("plan --sync m.csv -oP1 --output=P2 --output P3 --json", "bulk apply P --json"),
        ("sync m.csv --prune --prune-product a1 --only 'a*' --account cn --limit 3", "bulk apply P"),
    ],
)
def test_the_command_that_approves_reaches_what_the_sync_reached(typed: str, approving: str) -> None:
    arguments = tuple(word.strip("'") for word in typed.split())

    assert Invocation(("bulk",), arguments).approving("P", "m.csv") == approving


@pytest.mark.parametrize(
    ("typed", "planning", "applying"),
    [
        (
            "sync m.csv --prune --json --metrics-file f --detailed-exitcode --region r",
            "bulk plan --sync --output 'l db' m.csv --prune --region r",
            "bulk apply 'l db' --json --metrics-file f --region r",
        ),
        ("-v sync --only=a* --limit 3 -- m.csv", "bulk -v plan --sync --output 'l db' -- m.csv", None),
        ("plan m.csv --sync --adopt -oP --only a*", "bulk plan --sync --output 'l db' m.csv --adopt", None),
    ],
)
def test_the_commands_that_accept_an_input_are_about_the_whole_input(
    typed: str, planning: str, applying: str | None
) -> None:
    accepting = Invocation(("bulk",), tuple(typed.split())).accepting("l db", "m.csv")

    assert accepting[0] == planning
    assert applying is None or accepting[1] == applying


def test_the_screen_says_what_waits_why_and_how_to_approve_it() -> None:
    shown = "\n".join(sync_lines(SUMMARY, approve="bulk apply P"))

    assert "Withheld, until you approve: 3 updates, 1 delete" in shown
    assert "3 updates planned: the limit is 2" in shown
    assert "Approve it:  bulk apply P" in shown
    assert "Left the file and stay: 1 module" in shown


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
    assert re.search(r'line 2, a1Demo00001 mcu\n +AliasName +"old" → "new"\n', shown)
    assert "All changes: plan.jsonl" in shown


def test_requests_of_a_sync_are_all_named_and_none_that_was_not_sent() -> None:
    summary = replace(SUMMARY, requests={"list": 4, "create": 0, "update": 1, "delete": 2, "list_packages": 3})

    assert "Requests: 4 lists, 1 update, 2 deletes, 3 package listings" in sync_lines(summary)


def test_rows_that_only_wait_are_offered_no_retry_file_and_no_second_reason() -> None:
    reason = Reason(Outcome.WITHHELD, "max_updates", 3, 2, "more updates than --max-updates allows")

    shown = "\n".join(sync_lines(replace(SUMMARY, reasons=(reason,)), approve="bulk apply P"))

    assert "--retry-file" not in shown
    assert "Why rows are not provisioned" not in shown


def test_what_stays_is_told_by_reason_with_the_command_that_lists_it() -> None:
    figures = SyncFigures(converged=True, changes={}, withheld={}, contested=0, surplus={"package": 2, "changed": 1})

    lines = sync_lines(replace(SUMMARY, surplus=3, figures={"": figures}))

    at = lines.index("Left the file and stay: 3 modules")
    assert lines[at + 1] == "  2: it holds an update package"
    assert lines[at + 2].startswith("  1: its alias or description is not what this ledger wrote")
    assert "  bulk results m.csv.ledger.db --outcome surplus" in lines


def test_what_waits_of_an_input_without_a_place_has_no_plan_and_says_so() -> None:
    shown = "\n".join(sync_lines(replace(SUMMARY, plan=None, input="-")))

    assert "No plan was written: stdin can't be read again." in shown


def test_notes_of_very_many_accounts_are_no_flood() -> None:
    notes = tuple(f"account factory-{number:03}: 40 updates planned" for number in range(150))

    lines = sync_lines(replace(SUMMARY, notes=notes))

    assert sum("updates planned" in line for line in lines) == 6
    assert "  and 144 more notes of this kind" in lines


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--metrics-file", "plan.jsonl", "plan.jsonl is an input"),
        ("--log-file", "m.csv", "m.csv is the input"),
        ("--metrics-file", "l.db", "l.db is the ledger itself"),
    ],
)
def test_apply_writes_over_nothing_that_it_needs(
    option: str,
    name: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    header = PlanHeader(
        plan_id="cafe0001",
        ledger=str(tmp_path / "l.db"),
        ledger_id=None,
        last_run=None,
        input=str(tmp_path / "m.csv"),
        input_sha256="",
        targets={},
        flags={},
        made_at="2026-03-07T01:00:00.000Z",
    )
    write_plan(tmp_path / "plan.jsonl", header, ())
    for kept in ("m.csv", "l.db"):
        (tmp_path / kept).write_text("kept", encoding="utf-8")

    assert main(["apply", "plan.jsonl", "--sandbox", option, name]) == 2

    assert said in capsys.readouterr().err
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(("kept", '{"bulk_plan"'))


def test_plan_that_was_stopped_says_so_and_offers_nothing() -> None:
    plan = SyncPlan(
        summary=replace(SUMMARY, stopped="the key is not known", exit_code=3),
        ledger="l.db",
        planned={},
        withheld={},
        examples=(),
        surplus={},
    )

    lines = plan_sync_lines(plan, output="plan.jsonl", approve="bulk apply plan.jsonl")

    assert lines[0] == "Stopped: the key is not known"
    assert "bulk apply" not in "\n".join(lines)
    assert "nothing to change" not in "\n".join(lines)


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

    assert '  a1Demo00001 mcu: AliasName "alias", Desc "text"' in shown
    assert '  line 4, a1Demo00001 nfc: AliasName "NFC"' in shown


def test_plan_that_is_only_a_part_offers_nothing_to_apply() -> None:
    summary = replace(SUMMARY, stopped="interrupted by Ctrl-C")
    plan = SyncPlan(summary=summary, ledger="l.db", planned={}, withheld={}, examples=(), surplus={})

    shown = plan_sync_lines(plan, output="plan.jsonl", approve="bulk apply plan.jsonl")

    assert "  nothing is known yet" in shown
    assert shown[-1] == "Not all products were listed: this is only a part, and no plan was written."


def test_what_waits_for_a_reason_without_a_note_is_shown_with_it() -> None:
    reasons = (
        Reason(Outcome.WITHHELD, "max_deletes", 4, 2, None),
        Reason(Outcome.WITHHELD, Withheld.LOOKS_LIKE_RENAME, 3, 3, None),
    )

    shown = "\n".join(sync_lines(replace(SUMMARY, reasons=reasons)))

    assert "  3 rows: " in shown
    assert "  4 rows: " not in shown


def test_sync_that_withholds_nothing_says_nothing_of_it() -> None:
    none = replace(SUMMARY, withheld=dict.fromkeys(SUMMARY.withheld or {}, 0), plan=None, notes=())

    shown = "\n".join(sync_lines(none))

    assert "Withheld" not in shown
    assert "\n\n\n" not in shown


def test_the_screen_of_a_plan_shows_both_of_two_long_texts() -> None:
    before, after = "控制器 " * 20, "controller " * 20
    entry = PlannedEntry("", "a1Demo00001", "mcu", "update", "same", after, "mcu", "same", before, 2, None, None)
    plan = SyncPlan(summary=SUMMARY, ledger="l.db", planned={"update": 1}, withheld={}, examples=(entry,), surplus={})

    lines = plan_sync_lines(plan)

    assert lines[-2].startswith('    Desc         "控制器 控制器')
    assert lines[-1].startswith('               → "controller controller')
    assert all(columns_of(line) <= 80 for line in lines[-2:])
