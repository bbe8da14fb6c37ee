from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.budget import WHAT_FREES_A_SLOT
from bulk.model import Outcome, Reason
from bulk.report.summary import outcome_lines, reason_lines, retry_command, summary_lines
from bulk.report.tones import Tone
from bulk.report.wording import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "the product has no slot left; its ten are taken by " + ", ".join(f"module-{n:02}" for n in range(10))


def reasons(count: int) -> tuple[Reason, ...]:
    return tuple(Reason(Outcome.FAILED, f"iot.Code{n}", 100 - n, n + 2, LONG) for n in range(count))


def test_run_with_everything_provisioned_says_so_and_offers_nothing(make_summary: Callable[..., Any]) -> None:
    lines = summary_lines(make_summary(outcomes={"created": 8, "exists": 2}))

    assert lines[0] == "Finished: 10 of 10 rows provisioned, 5.0 s"
    assert not [line for line in lines if line.startswith(("Go on", "Rows not", "Why"))]


def test_outcomes_without_rows_are_left_out(make_summary: Callable[..., Any]) -> None:
    summary = make_summary(outcomes={"created": 12_345, "over_budget": 7})

    assert outcome_lines(summary.outcomes, width=80) == [
        "  12,345  created      made by the runs of this ledger",
        "       7  over budget  all ten slots of its product are taken",
    ]


def test_empty_input_has_no_outcomes(make_summary: Callable[..., Any]) -> None:
    assert outcome_lines(make_summary().outcomes, width=80) == ["  no rows"]


def test_stopped_run_says_why_first_and_how_to_go_on(make_summary: Callable[..., Any]) -> None:
    summary = make_summary(
        outcomes={"created": 1, "pending": 9},
        stopped="interrupted by Ctrl-C",
        exit_code=130,
    )

    lines = summary_lines(summary, resume="bulk run 'my file.csv' --qps 5")

    assert lines[0] == "Stopped: interrupted by Ctrl-C"
    assert "Go on with: bulk run 'my file.csv' --qps 5" in lines
    # Open rows are not failures: going on is what they need, not a file of their own.
    assert not [line for line in lines if line.startswith("Rows not provisioned")]


def test_finished_run_with_rows_to_fix_says_how_to_run_again(make_summary: Callable[..., Any]) -> None:
    lines = summary_lines(make_summary(outcomes={"created": 1, "failed": 1}, exit_code=1), resume="bulk run m.csv")

    assert "Run again with: bulk run m.csv" in lines


def test_rows_not_provisioned_come_with_the_command_that_exports_them(make_summary: Callable[..., Any]) -> None:
    lines = summary_lines(make_summary(outcomes={"created": 1, "failed": 1}, exit_code=1))

    command = "bulk results modules.csv.ledger.db --retry-file modules.retry.csv"
    assert lines[-2:] == ["Rows not provisioned:", f"  {command}"]


def test_effort_names_only_what_there_was(make_summary: Callable[..., Any]) -> None:
    quiet = summary_lines(make_summary(outcomes={"created": 10}))
    busy = summary_lines(make_summary(outcomes={"created": 10}, retries=3, throttled=1200, recovered=1, absent=2))

    assert "Requests: 2 lists, 10 creates (2.0/s)" in quiet
    assert "Requests: 2 lists, 10 creates (2.0/s), 3 retries, 1,200 throttled, 1 recovered" in busy
    assert "1 retry" in "\n".join(summary_lines(make_summary(outcomes={"created": 10}, retries=1)))
    assert "No longer in the input: 2 modules that it had before" in busy


def test_worst_summary_fits_one_screen(make_summary: Callable[..., Any]) -> None:
    summary = make_summary(
        outcomes=dict.fromkeys(list(MEANINGS)[:6], 1_000_000) | {"pending": 1},
        stopped="the platform refused the key: InvalidAccessKeyId.NotFound; check ALIBABA_CLOUD_ACCESS_KEY_ID",
        reasons=reasons(30),
        retries=1,
        throttled=1,
        recovered=1,
        absent=1,
        exit_code=3,
    )

    lines = summary_lines(summary, width=80, resume="bulk run modules.csv")

    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_nothing_but_commands_and_paths_is_wider_than_the_terminal(
    make_summary: Callable[..., Any], width: int
) -> None:
    lines = summary_lines(make_summary(outcomes={"failed": 10}, reasons=reasons(3), retries=1), width=width)

    assert [line for line in lines if len(line) > width and "bulk results" not in line] == []


def test_reasons_that_do_not_fit_are_counted() -> None:
    lines = reason_lines(reasons(10), width=80, room=8)

    assert len(lines) <= 8
    assert lines[-1] == "  and 8 more reasons: see `bulk status`"


def test_reason_says_what_its_code_asks_for() -> None:
    refused = Reason(Outcome.FAILED, "iot.prod.NotExistedProduct", 3, 7, "no such product")

    assert "    to do: Check the ProductKey and that the product belongs to this account," in reason_lines(
        (refused,), width=80, room=9
    )


def test_first_reason_is_shown_however_little_room_there_is() -> None:
    lines = reason_lines(reasons(2), width=80, room=0)

    assert lines[0] == "  100 rows failed, iot.Code0"
    assert lines[-1] == "  and 1 more reason: see `bulk status`"


def test_reason_without_code_or_message_is_readable() -> None:
    lines = reason_lines((Reason(Outcome.UNKNOWN, None, 1, 7, None),), width=80, room=9)

    assert lines == [
        "  1 row unknown",
        "    line 7: no message",
        "    to do: Run again: a listing first shows whether the module is there.",
    ]


@pytest.mark.parametrize(
    ("source", "retry_file"),
    [
        ("in/modules.csv", "in/modules.retry.csv"),
        ("modules.csv.gz", "modules.retry.csv"),
        ("my modules.jsonl", "'my modules.retry.jsonl'"),
        ("modules", "modules.retry"),
    ],
)
def test_retry_file_stands_beside_the_input(source: str, retry_file: str) -> None:
    assert retry_command("l.db", source) == f"bulk results l.db --retry-file {retry_file}"


def test_retry_file_of_stdin_is_called_after_the_ledger() -> None:
    assert retry_command("night.csv.ledger.db", "-").endswith("--retry-file night.retry.csv")


@pytest.mark.parametrize(
    ("ledger", "input_format", "retry_file"),
    [
        ("s.db", "csv", "s.retry.csv"),
        ("in/s.ledger.db", "jsonl", "in/s.retry.jsonl"),
        ("night.csv.ledger.db", "csv", "night.retry.csv"),
        ("night.csv.ledger.db", "tsv", "night.csv.retry.tsv"),
        ("s", "csv", "s.retry.csv"),
        ("in/.db", "csv", "in/.db.retry.csv"),
    ],
)
def test_retry_file_of_stdin_has_a_name_that_tells_its_format(ledger: str, input_format: str, retry_file: str) -> None:
    command = retry_command(ledger, "-", input_format=input_format)

    assert command == f"bulk results {ledger} --retry-file {retry_file}"


def test_colours_change_no_word(make_summary: Callable[..., Any]) -> None:
    summary = make_summary(outcomes={"created": 1, "failed": 2, "drifted": 1}, reasons=reasons(1))
    tones: set[Tone] = set()

    def paint(text: str, tone: Tone) -> str:
        tones.add(tone)
        return f"<{text}>"

    painted = [
        line.replace("<", "").replace(">", "") for line in summary_lines(summary, paint=paint, resume="bulk run f")
    ]

    assert painted == summary_lines(summary, resume="bulk run f")
    assert tones == set(Tone)


def test_three_accounts_are_all_named_with_their_exit_codes(make_summary_of: Callable[..., Any]) -> None:
    lines = summary_lines(make_summary_of(3), resume="bulk run m.csv", resume_accounts="bulk run --account a m.csv")

    assert lines[0] == "Stopped: 1 of 3 accounts; the others went through"
    table = lines[lines.index("Accounts       exit  provisioned") :]
    assert table[1].startswith("  factory-001     3      0 of 60  InvalidAccessKeyId.NotFound: the key is not")
    assert "  factory-002     1     50 of 60  10 over budget" in table
    assert "  factory-000     0     60 of 60" in table
    assert "Go on with: bulk run m.csv" in table
    assert "After the fix, only what stopped: bulk run --account a m.csv" in table


@pytest.mark.parametrize("width", [60, 80, 100])
def test_of_150_accounts_the_five_in_trouble_are_named_and_the_others_are_a_line(
    make_summary_of: Callable[..., Any], width: int
) -> None:
    lines = summary_lines(make_summary_of(150), width=width)

    assert lines[0] == "Stopped: 3 of 150 accounts; the others went through"
    assert sum(line.startswith("  factory-") for line in lines) == 5
    assert "  145 accounts: every row is provisioned" in lines
    assert len(lines) <= 40
    assert all(len(line) <= width for line in lines if "--retry-file" not in line)


def test_run_that_stopped_as_a_whole_says_why_once(make_summary_of: Callable[..., Any]) -> None:
    summary = make_summary_of(3, stopped="interrupted by Ctrl-C", exit_code=130)
    accounts = {
        name: replace(account, stopped="interrupted by Ctrl-C", exit_code=130) if account.exit_code else account
        for name, account in summary.accounts.items()
    }

    lines = summary_lines(replace(summary, accounts=accounts))

    assert lines[0] == "Stopped: interrupted by Ctrl-C"
    assert "".join(lines).count("Ctrl-C") == 1
    assert "  factory-001   130      0 of 60  60 pending" in lines


def test_account_that_stopped_before_the_whole_run_keeps_its_reason(make_summary_of: Callable[..., Any]) -> None:
    summary = make_summary_of(3, stopped="interrupted by Ctrl-C", exit_code=130)
    full = replace(summary.accounts["factory-002"], stopped="interrupted by Ctrl-C", exit_code=130)

    lines = summary_lines(replace(summary, accounts={**summary.accounts, "factory-002": full}))

    assert lines[0] == "Stopped: interrupted by Ctrl-C"
    assert any(line.startswith("  factory-001     3      0 of 60  InvalidAccessKeyId.NotFound") for line in lines)


def test_accounts_that_were_left_out_are_said_to_be_so(make_summary_of: Callable[..., Any]) -> None:
    summary = make_summary_of(150, stopped=None, exit_code=1)
    accounts = {
        name: replace(account, stopped=None, outcomes={"pending": 60}) if name != "factory-000" else account
        for name, account in summary.accounts.items()
    }

    lines = summary_lines(replace(summary, accounts=accounts), pending="not tried: outside --account factory-000")

    assert "  149 accounts: not tried: outside --account factory-000" in lines


def test_example_says_whose_it_is() -> None:
    reason = Reason(Outcome.FAILED, "iot.Code", 2, 7, "refused", "factory-007")

    assert reason_lines([reason], width=80, room=9)[1] == "    line 7 of factory-007: refused"


@pytest.mark.parametrize("source", ["in.xlsx", "in.XLSM"])
def test_rows_of_a_workbook_are_exported_as_csv(source: str) -> None:
    assert retry_command("l.db", source) == "bulk results l.db --retry-file in.retry.csv"


@pytest.mark.parametrize(
    ("undo_file", "ledger"),
    [
        ("l.db.undo-cafe0001.csv", "l.db.undo-cafe0001.csv.ledger.db"),
        ("undo.csv", "undo.csv.cafe0001.ledger.db"),
        ("cafe0001/undo.csv", "cafe0001/undo.csv.cafe0001.ledger.db"),
    ],
)
def test_each_undo_file_is_restored_in_a_ledger_of_its_own(
    make_summary: Callable[..., Any], undo_file: str, ledger: str
) -> None:
    lines = summary_lines(make_summary(run_id="cafe0001beef", undo=undo_file, outcomes={"updated": 1}), width=200)

    assert f"bulk sync {undo_file} --ledger {ledger} --max-updates 100%" in "\n".join(lines)


def test_input_without_rows_is_said_in_words(make_summary: Callable[..., Any]) -> None:
    first, *_ = summary_lines(make_summary(elapsed_s=0.2))

    assert first == "Finished: the input has no rows, 0.2 s"


def test_what_to_do_about_a_full_product_is_said_once() -> None:
    message = f"the product's 10 slots are taken: 10 by modules on the platform{WHAT_FREES_A_SLOT}"
    reason = Reason(Outcome.OVER_BUDGET, None, 1, 7, message)

    shown = "\n".join(reason_lines([reason], width=80, room=20))

    assert "line 7: the product's 10 slots are taken: 10 by modules on the platform\n" in shown
    assert shown.lower().count("delete a module") == 1
