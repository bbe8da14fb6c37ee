from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bulk.ledger.views.approvals import Approval, CutOff
from bulk.model import Dialect, Target
from bulk.report.approvals import approval_lines, change_words, cut_off_lines, waiting_of

MADE = datetime(2026, 11, 27, 17, 31, tzinfo=UTC)
ONE = Approval(
    account="",
    made_at="2026-11-27T17:31:00.000Z",
    until="2026-11-28T17:31:00.000Z",
    plan="m.db.plan-cafe00000001.jsonl",
    changes={"delete": 6, "update": 27},
    reasons={"max_deletes": 6, "max_updates": 27},
)


def test_what_waits_is_said_with_reasons_time_and_a_command_alone_on_its_line() -> None:
    assert approval_lines(waiting_of([ONE], now=MADE), width=80) == [
        "Waiting for your approval: 27 updates, 6 deletes",
        "  27 changes: more updates than --max-updates allows",
        "   6 changes: more deletes than --max-deletes allows",
        "  Read the plan. Approve it by 2026-11-28 17:31 UTC, with the sync's settings:",
        "  bulk apply m.db.plan-cafe00000001.jsonl",
        "",
    ]


@pytest.mark.parametrize(("age_h", "needed"), [(23.9, ""), (24, " --max-age 25h"), (60.2, " --max-age 62h")])
def test_command_for_an_old_plan_has_the_age_that_it_needs(age_h: float, needed: str) -> None:
    (waiting,) = waiting_of([ONE], now=MADE + timedelta(hours=age_h))

    assert waiting.command == f"bulk apply m.db.plan-cafe00000001.jsonl{needed}"
    assert waiting.is_old is bool(needed)


def test_old_plan_is_said_to_be_old() -> None:
    shown = "\n".join(approval_lines(waiting_of([ONE], now=MADE + timedelta(hours=60)), width=80))

    assert shown.startswith("Waited for your approval until 2026-11-28 17:31 UTC: 27 updates, 6 deletes")
    assert "The next sync decides again." in shown


def test_in_a_sandbox_the_command_works_as_it_is_printed() -> None:
    options = Target(Dialect.ALIBABA, "sandbox").sandbox_options

    lines = approval_lines(waiting_of([ONE], now=MADE, sandbox=options), width=80)

    assert lines[-3:] == [
        "  Read the plan. Approve it by 2026-11-28 17:31 UTC:",
        "  bulk apply m.db.plan-cafe00000001.jsonl --sandbox --dialect alibaba",
        "",
    ]


def test_in_a_sandbox_of_accounts_the_command_needs_their_settings() -> None:
    options = Target(Dialect.ALIBABA, "sandbox/a").sandbox_options

    lines = approval_lines(waiting_of([replace(ONE, account="a")], now=MADE, sandbox=options), width=80)

    assert lines[-3:-1] == [
        "  Read the plan. Approve it by 2026-11-28 17:31 UTC, with the sync's settings:",
        "  bulk apply m.db.plan-cafe00000001.jsonl --sandbox",
    ]


def test_plan_that_is_not_there_is_not_offered() -> None:
    shown = "\n".join(approval_lines(waiting_of([replace(ONE, plan=None)], now=MADE), width=80))

    assert "bulk apply" not in shown
    assert "run the sync again" in shown


def test_accounts_of_one_plan_are_approved_by_one_command() -> None:
    accounts = [
        replace(
            ONE, account=f"factory-{number}", made_at=f"2026-11-27T17:31:00.{number:03}Z", changes={"delete": number}
        )
        for number in range(1, 9)
    ]

    lines = approval_lines(waiting_of(accounts, now=MADE), width=80)

    assert lines[0] == "Waiting for your approval: 36 deletes"
    assert lines[1:7] == [
        *(f"  factory-{number}: {number} deletes" for number in (8, 7, 6, 5, 4)),
        "  and 3 more accounts: 6 deletes",
    ]
    assert sum("bulk apply" in line for line in lines) == 1


def test_plans_of_different_nights_have_a_command_each() -> None:
    other = replace(ONE, account="eu", plan="m.db.plan-beef00000001.jsonl")

    commands = [waiting.command for waiting in waiting_of([replace(ONE, account="cn"), other], now=MADE)]

    assert commands == ["bulk apply m.db.plan-cafe00000001.jsonl", "bulk apply m.db.plan-beef00000001.jsonl"]


def test_path_is_quoted_for_a_shell_and_the_program_is_the_one_that_was_started() -> None:
    spaced = replace(ONE, plan="my jobs/m.db.plan-1.jsonl")

    (waiting,) = waiting_of([spaced], now=MADE, program=("python", "-m", "bulk"))

    assert waiting.command == "python -m bulk apply 'my jobs/m.db.plan-1.jsonl'"


def test_changes_are_named_in_one_order_and_an_adoption_is_no_update() -> None:
    changes = {"adopt": 1, "delete": 2, "create": 1, "update": 1_000}

    assert change_words(changes) == "1 create, 1,000 updates, 2 deletes, 1 adoption"


def test_accounts_that_fit_on_a_screen_are_all_named() -> None:
    accounts = [replace(ONE, account=f"factory-{number}", changes={"delete": number}) for number in range(1, 6)]

    lines = approval_lines(waiting_of(accounts, now=MADE), width=80)

    assert lines[1:6] == [f"  factory-{number}: {number} delete{'s' * (number > 1)}" for number in (5, 4, 3, 2, 1)]
    assert "more account" not in "\n".join(lines)


def test_accounts_whose_plan_is_gone_are_told_apart_by_its_time() -> None:
    """Without a plan's name nothing else shows that they belong together."""
    gone = replace(ONE, plan=None)
    later = replace(gone, account="eu", made_at="2026-11-27T18:00:00.000Z")

    assert len(waiting_of([replace(gone, account="cn"), later], now=MADE)) == 2
    assert len(waiting_of([replace(gone, account="cn"), replace(gone, account="eu")], now=MADE)) == 1


@pytest.mark.parametrize(
    ("cut_off", "lines"),
    [
        (None, []),
        (
            CutOff(plan="my jobs/p.jsonl", changes=2),
            [
                "The last apply was cut off: 2 changes left.",
                "  To go on, with the same settings:",
                "  bulk apply 'my jobs/p.jsonl'",
                "",
            ],
        ),
        (
            CutOff(plan=None, changes=0),
            ["The last apply was cut off.", "  To go on, run the same `bulk apply PLAN` again.", ""],
        ),
    ],
)
def test_an_apply_that_was_cut_off_is_said_with_what_continues_it(cut_off: CutOff | None, lines: list[str]) -> None:
    assert cut_off_lines(cut_off, width=80) == lines
