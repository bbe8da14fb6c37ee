from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.ledger.views.approvals import Approval
from bulk.ledger.views.pulse import Pulse
from bulk.ledger.views.status import AccountStanding, Holder, LedgerStatus, RunRecord
from bulk.model import Action, Dialect, Outcome, Reason, Target
from bulk.report.status import status_json, status_line, status_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.model import AccountSummary


def run_record(number: int, *, exit_code: int | None = 0, stopped: str | None = None) -> RunRecord:
    return RunRecord(
        run_id=f"r{number}",
        started_at=f"2026-11-2{number}T21:20:18.338Z",
        ended_at=None,
        pid=1,
        host="h",
        version="1",
        input="in.csv",
        create_per_s=10.0,
        list_per_s=10.0,
        exit_code=exit_code,
        stopped=stopped,
        summary=None,
    )


@pytest.fixture
def status() -> LedgerStatus:
    return LedgerStatus(
        path="in.csv.ledger.db",
        target=Target(Dialect.TUYA, "https://h"),
        input="in.csv",
        rows=10,
        outcomes=dict.fromkeys(Outcome, 0) | {"created": 8, "failed": 2},
        absent=0,
        holder=None,
        runs=(run_record(1), run_record(2, exit_code=None)),
        reasons=(Reason(Outcome.FAILED, "iot.Code", 2, 7, "refused"),),
    )


def test_ledger_at_rest_shows_outcomes_reasons_and_runs(status: LedgerStatus) -> None:
    assert status_lines(status) == [
        "in.csv.ledger.db: 10 rows of in.csv",
        "To https://h (tuya)",
        "No run is at work on it.",
        "",
        "  8  created      made by the runs of this ledger",
        "  2  failed       the platform refused it, or attempts ran out",
        "",
        "Why rows are not provisioned",
        "  2 rows failed, iot.Code",
        "    line 7: refused",
        "    to do: Run again. If the code comes back, fix what its message names.",
        "",
        "Runs, the last first",
        "  r2  2026-11-22 21:20 UTC  killed, or the power failed",
        "  r1  2026-11-21 21:20 UTC  exit code 0",
    ]


def test_run_at_work_is_named_and_not_called_dead(status: LedgerStatus) -> None:
    holder = Holder(run_id="r2", started_at="2026-11-22T21:20:18.338Z", pid=7, host="h")

    lines = status_lines(replace(status, holder=holder))

    assert lines[2] == "At work: run r2 (process 7 on h, since 2026-11-22T21:20:18.338Z)"
    assert "  r2  2026-11-22 21:20 UTC  at work" in lines


def test_run_at_work_shows_how_fast_it_is(status: LedgerStatus) -> None:
    at_work = replace(status, holder=Holder(run_id="r2", started_at="2026-11-22T21:20:18.338Z", pid=7, host="h"))
    pulse = Pulse(span_s=10.0, per_s={Action.CREATE: 8.04, Action.LIST: 0.5}, failures={"Throttling.User": 1_200})

    rates = "creates 8.0 of 10/s, listings 0.5/s in the last 10 s, Throttling.User 1,200"
    assert f"Now: {rates}" in status_lines(at_work, pulse)
    assert status_line(at_work, pulse) == f"10 rows: created 8, failed 2; {rates}"


@pytest.mark.parametrize("width", [34, 80])
def test_screen_of_a_run_at_work_stays_inside_the_terminal(status: LedgerStatus, width: int) -> None:
    at_work = replace(status, holder=Holder(run_id="r2", started_at="2026-11-22T21:20:18.338Z", pid=7, host="h" * 40))
    pulse = Pulse(span_s=10.0, per_s={Action.CREATE: 8.0, Action.LIST: 0.5}, failures={"Throttling.User": 1_200})

    assert max(map(len, status_lines(at_work, pulse, width=width)[1:])) <= width


def test_run_that_stopped_says_why(status: LedgerStatus) -> None:
    stopped = replace(status, runs=(run_record(1, exit_code=3, stopped="no permission"),))

    assert status_lines(stopped)[-1].endswith("exit code 3, stopped: no permission")


def test_older_runs_are_counted(status: LedgerStatus) -> None:
    lines = status_lines(replace(status, runs=tuple(run_record(number) for number in range(9))))

    assert lines[-1] == "  and 5 earlier runs"


def test_absent_modules_are_named(status: LedgerStatus) -> None:
    assert "  No longer in the input: 1 module that it had before" in status_lines(replace(status, absent=1))


def test_ledger_without_input_says_so(status: LedgerStatus) -> None:
    empty = replace(status, input=None, rows=0, outcomes={}, reasons=(), runs=())

    assert status_lines(empty) == [
        "in.csv.ledger.db: no input was read yet",
        "To https://h (tuya)",
        "No run is at work on it.",
        "",
        "  no rows",
    ]


@pytest.fixture
def of_accounts(
    status: LedgerStatus, make_accounts: Callable[[int], dict[str, AccountSummary]]
) -> Callable[[int], Any]:
    def make(count: int) -> LedgerStatus:
        accounts = {
            name: AccountStanding(
                target=f"https://h{number % 2} (tuya)",
                rows=60,
                outcomes=account.outcomes,
                absent=0,
                exit_code=account.exit_code,
                stopped=account.stopped,
            )
            for number, (name, account) in enumerate(make_accounts(count).items())
        }
        return replace(status, rows=60 * count + 1, accounts=accounts)

    return make


def test_three_accounts_are_shown_as_the_last_run_left_them(of_accounts: Callable[[int], LedgerStatus]) -> None:
    lines = status_lines(of_accounts(3))

    assert lines[1] == "To 2 targets"
    at = lines.index("Accounts       exit  provisioned")
    assert lines[at + 1].startswith("  factory-001     3      0 of 60  InvalidAccessKeyId.NotFound: ")
    assert lines[at + 4 : at + 6] == [
        "  factory-000     0     60 of 60",
        "  1 row that names no account of the settings",
    ]


def test_of_150_accounts_those_in_trouble_are_shown(of_accounts: Callable[[int], LedgerStatus]) -> None:
    lines = status_lines(of_accounts(150))

    assert sum(line.startswith("  factory-") for line in lines) == 5
    assert "  145 accounts: every row is provisioned" in lines
    assert len(lines) <= 40


def test_line_for_a_pipe_says_how_many_accounts_are_done(of_accounts: Callable[[int], LedgerStatus]) -> None:
    assert status_line(of_accounts(150), None).endswith("; 147 of 150 accounts done")


def test_accounts_of_a_run_that_stopped_as_a_whole_have_no_reason_of_their_own(
    of_accounts: Callable[[int], LedgerStatus],
) -> None:
    status = of_accounts(3)
    why = "interrupted by Ctrl-C"
    accounts = {name: replace(account, stopped=account.stopped and why) for name, account in status.accounts.items()}

    lines = status_lines(replace(status, runs=(run_record(1, exit_code=130, stopped=why),), accounts=accounts))

    assert "  factory-001     3      0 of 60  60 pending" in lines


def test_while_a_run_is_at_work_the_last_one_s_reasons_are_not_shown(
    of_accounts: Callable[[int], LedgerStatus],
) -> None:
    lines = status_lines(replace(of_accounts(3), holder=Holder("r2", "2026-11-22T21:20:18.338Z", 1, "h")))

    assert "  factory-001     -      0 of 60  60 pending" in lines


@pytest.mark.parametrize(("count", "has_key"), [(0, False), (3, True), (150, True)])
def test_json_has_accounts_where_there_are_any(
    of_accounts: Callable[[int], LedgerStatus], count: int, has_key: bool
) -> None:
    keys: Any = status_json(of_accounts(count), None)

    assert len(keys.get("accounts", ())) == count
    assert ("accounts" in keys, "example_account" in keys["reasons"][0]) == (has_key, has_key)


def test_what_waits_is_said_before_all_else_and_not_twice(status: LedgerStatus) -> None:
    approval = Approval(
        account="",
        made_at="2026-11-27T17:31:00.000Z",
        until="2026-11-28T17:31:00.000Z",
        plan="p.jsonl",
        changes={"update": 2},
        reasons={"max_updates": 2},
    )
    withheld = Reason(Outcome.WITHHELD, "max_updates", 2, 7, "more updates than --max-updates allows")

    lines = status_lines(replace(status, approvals=(approval,), reasons=(withheld,)))

    assert lines[0] == "Waiting for your approval: 2 updates"
    assert "  bulk apply p.jsonl" in lines
    assert "Why rows are not provisioned" not in lines


def test_runs_say_what_they_did_and_an_apply_who_began_it(status: LedgerStatus) -> None:
    sync = replace(run_record(1, exit_code=5), command="sync")
    apply = replace(run_record(2), command="apply", applied="cafe00000001beef", user="ops")

    lines = status_lines(replace(status, runs=(sync, apply)))
    keys = status_json(replace(status, runs=(sync, run_record(3))), None)["runs"]

    assert lines[-2:] == [
        "  r2  2026-11-22 21:20 UTC  apply of cafe0000 by ops, exit code 0",
        "  r1  2026-11-21 21:20 UTC  sync, exit code 5, changes withheld",
    ]
    assert ["command" in run for run in keys] == [True, False]  # type: ignore[attr-defined]  # the keys are those of a JSON object


def test_json_has_what_waits_and_what_was_cut_off_only_where_there_is_any(status: LedgerStatus) -> None:
    approval = Approval(
        account="",
        made_at="2026-11-27T17:31:00.000Z",
        until="2026-11-28T17:31:00.000Z",
        plan="p.jsonl",
        changes={"update": 2},
        reasons={"max_updates": 2},
    )

    keys: Any = status_json(replace(status, approvals=(approval,)), None)

    assert keys["approvals"][0]["plan"] == "p.jsonl"
    assert "cut_off" not in keys
    assert "approvals" not in status_json(status, None)
