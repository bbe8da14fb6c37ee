from __future__ import annotations

import io
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bulk.events import (
    AccountStart,
    AccountTakenOver,
    ClockCorrected,
    ConnectionsShort,
    CredentialsNotRenewed,
    IngestProgressed,
    LedgerUpgraded,
    RateChanged,
    RunStopping,
)
from bulk.model import Action
from bulk.report.account_tally import AccountState
from bulk.report.progress import bar, clock_line, plain_line, progress, start_line, wants_live
from bulk.report.tally import RunState

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def state(make_started: Callable[..., Any]) -> RunState:
    return RunState(
        started=make_started(rows=50_000),
        rows=50_000,
        settled=12_345,
        counts={"created": 12_000, "over_budget": 340, "failed": 5},
        elapsed_s=1240.0,
        create_per_s=9.94,
        allowed_per_s=10.0,
        left_s=3765.0,
        lanes=14,
        waiting_for="the rate limit",
        stopping=None,
    )


def drawn(state: RunState, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(bar("modules.csv", state, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("stream", "environ", "live"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_live_bar_is_for_terminals_that_can_draw_it(stream: io.StringIO, environ: dict[str, str], live: bool) -> None:
    assert wants_live(stream, environ) is live


def test_bar_shows_everything_in_80_columns(state: RunState) -> None:
    lines = drawn(state, 80)

    assert lines[0].rstrip() == "modules.csv → https://h (tuya)"
    assert "12,345 of 50,000 rows (24%)" in lines[1]
    assert "1 h 2 min left" in lines[1]
    assert lines[2].rstrip() == "created 12,000 · over budget 340 · failed 5"
    assert lines[3].rstrip() == "creates 9.9 of 10/s · 14 products at once, waiting for the rate limit"


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_bar_stays_inside_the_terminal_with_its_figures(state: RunState, width: int) -> None:
    lines = drawn(state, width)

    assert max(map(len, lines)) <= width
    assert "12,345 of 50,000" in "\n".join(lines)


def test_bar_counts_rows_while_the_input_is_read(state: RunState) -> None:
    assert drawn(replace(state, started=None, rows=700), 80) == ["Reading modules.csv: 700 rows"]


def test_plan_shows_how_many_products_it_has_listed(state: RunState) -> None:
    planning = replace(state, started=None, products=5_000, listed=1_234, left_s=377.0)

    assert drawn(planning, 80) == ["Planning modules.csv: 1,234 of 5,000 products listed, 6 min 17 s left"]
    assert plain_line(replace(planning, left_s=None)) == "Planning the input: 1,234 of 5,000 products listed"


def test_bar_says_why_it_stops(state: RunState) -> None:
    lines = drawn(replace(state, stopping="interrupted by Ctrl-C"), 80)

    assert lines[-1].rstrip() == "creates 9.9 of 10/s · stopping: interrupted by Ctrl-C"


def test_plain_line_says_all_of_it_once(state: RunState) -> None:
    assert plain_line(state) == (
        "[20 min 40 s] 12,345 of 50,000 rows (24%); created 12,000, over budget 340, failed 5; creates 9.9 of 10/s;"
        " 1 h 2 min left; 14 products at once, waiting for the rate limit"
    )


def test_plain_line_leaves_out_what_is_not_known(state: RunState) -> None:
    early = replace(state, counts={}, settled=0, left_s=None, allowed_per_s=0.0, create_per_s=0.0, lanes=1)

    assert plain_line(early) == (
        "[20 min 40 s] 0 of 50,000 rows (0%); creates 0.0/s; 1 product at once, waiting for the rate limit"
    )


def test_start_line_says_what_goes_where_and_how_fast(make_started: Callable[..., Any]) -> None:
    assert start_line(make_started(rates={Action.CREATE: 10.0, Action.LIST: 0.0})) == (
        "Run r1: 1,000 rows, 900 open, to https://h (tuya); creates at most 10/s, listings unlimited;"
        " ledger modules.csv.ledger.db"
    )


def test_plain_progress_tells_start_and_stop_at_once(make_started: Callable[..., Any]) -> None:
    stream = io.StringIO()

    with progress("modules.csv", stream=stream, live=False) as listener:
        listener(IngestProgressed(10))
        listener(make_started())
        listener(RunStopping("interrupted by Ctrl-C"))

    assert stream.getvalue().splitlines() == [
        start_line(make_started()),
        "Stopping: interrupted by Ctrl-C (requests in flight end first)",
    ]


def test_plain_progress_tells_how_it_stands_now_and_then(
    make_started: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.report.progress._LINE_EVERY_S", 0.001)
    told_twice = threading.Event()

    class Stream(io.StringIO):
        def flush(self) -> None:
            if self.getvalue().count("100 of 1,000 rows (10%)") > 1:
                told_twice.set()

    with progress("modules.csv", stream=Stream(), live=False) as listener:
        listener(make_started())

        assert told_twice.wait(10)


def test_plain_progress_survives_a_closed_stream(make_started: Callable[..., Any]) -> None:
    with progress("modules.csv", stream=Closed(), live=False) as listener:
        listener(make_started())
        listener(RunStopping("interrupted by Ctrl-C"))


def test_live_progress_leaves_stdout_and_the_terminal_as_they_were(make_started: Callable[..., Any]) -> None:
    stream = Terminal()
    stdout = sys.stdout

    with progress("modules.csv", stream=stream, live=True) as listener:
        assert sys.stdout is stdout
        listener(make_started())

    drawn_text = stream.getvalue()
    assert drawn_text.index("\x1b[?25l") < drawn_text.rindex("\x1b[?25h"), "the cursor is shown again"


@pytest.mark.parametrize(("offset_s", "words"), [(900.0, "15 min behind the"), (-30.0, "30 s ahead of the")])
def test_clock_that_is_off_is_named_with_its_side(offset_s: float, words: str) -> None:
    assert words in clock_line(ClockCorrected(offset_s))


def test_live_progress_says_that_the_clock_is_off() -> None:
    stream = Terminal()

    with progress("modules.csv", stream=stream, live=True) as listener:
        listener(ClockCorrected(900.0))

    assert "15 min behind" in stream.getvalue()


def accounts(count: int) -> tuple[AccountState, ...]:
    """Return so many accounts at work; of 150, five stopped and ten are done."""
    stopped = {7, 31, 60, 90, 120} if count > 3 else {1}
    return tuple(
        AccountState(
            name=f"factory-{number:03}",
            rows=60,
            settled=60 if number >= count - 10 and count > 3 else 20,
            left_s=None if number in stopped else 0.0 if number >= count - 10 and count > 3 else 4.0 + number,
            stopped="SignatureDoesNotMatch: " + "correct the key " * 9 if number in stopped else None,
        )
        for number in range(count)
    )


def test_bar_shows_three_accounts_the_stopped_one_first(state: RunState) -> None:
    lines = drawn(replace(state, accounts=accounts(3)), 80)

    assert lines[-3].startswith("  factory-001 stopped: SignatureDoesNotMatch: correct the key")
    assert lines[-2:] == [
        "  factory-002 20 of 60 rows (33%), 6.0 s left",
        "  factory-000 20 of 60 rows (33%), 4.0 s left",
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_bar_of_150_accounts_is_a_part_of_the_screen(state: RunState, width: int) -> None:
    lines = drawn(replace(state, accounts=accounts(150)), width)

    assert len(lines) <= 16
    assert all(len(line) <= width for line in lines)


def test_bar_of_150_accounts_names_the_stopped_and_the_slowest(state: RunState) -> None:
    lines = drawn(replace(state, accounts=accounts(150)), 80)

    assert [line.split()[0] for line in lines[-6:-1]] == [f"factory-{n:03}" for n in (7, 31, 60, 139, 138)]
    assert lines[-1] == "  and 145 more accounts: 2 stopped, 133 at work, 10 done"


def test_start_line_says_how_many_accounts_there_are(make_started: Callable[..., Any]) -> None:
    one = AccountStart(target="https://h (tuya)", rows=500, outcomes={"pending": 500}, rates={})

    line = start_line(make_started(accounts={"cn": one, "eu": one}))

    assert line == "Run r1: 1,000 rows, 900 open, 2 accounts, to https://h (tuya); ledger modules.csv.ledger.db"


def test_plain_line_counts_accounts_and_names_the_stopped(state: RunState) -> None:
    few, many = (plain_line(replace(state, accounts=accounts(count))) for count in (3, 150))

    assert few.endswith("; accounts: 2 at work, 0 done, 1 stopped (factory-001), the slowest is factory-002")
    stopped = "factory-007, factory-031, factory-060, …"
    assert many.endswith(f"; accounts: 135 at work, 10 done, 5 stopped ({stopped}), the slowest is factory-139")


@pytest.mark.parametrize(
    ("before", "words"), [("", "What this ledger recorded without accounts, 3"), ("old", "for account old, 3 modules")]
)
@pytest.mark.parametrize("live", [False, True])
def test_takeover_is_said_in_a_line(before: str, words: str, live: bool) -> None:
    stream = Terminal()

    with progress("modules.csv", stream=stream, live=live) as listen:
        listen(AccountTakenOver(account="new", before=before, keys=3))

    shown = " ".join(stream.getvalue().split())
    assert words in shown
    assert "is now account new's" in shown


def test_live_progress_says_that_connections_are_few() -> None:
    stream = Terminal()

    with progress("modules.csv", stream=stream, live=True) as listen:
        listen(ConnectionsShort(files=64, accounts=50, each=1))

    assert "1 connection to each of 50 accounts" in " ".join(stream.getvalue().split())


def test_live_progress_says_that_the_rate_is_halved_because_others_cannot_be_heard() -> None:
    stream = Terminal()
    halved = RateChanged(action=Action.LIST, per_s=5.0, asked_per_s=10.0, throttled=False, unshared="no folder")

    with progress("modules.csv", stream=stream, live=True) as listener:
        listener(halved)
        listener(RateChanged(action=Action.LIST, per_s=10.0, asked_per_s=10.0, throttled=False))

    said = " ".join(stream.getvalue().split())
    assert said.count("can't be heard, so that list requests are sent at 5 of 10 a second: no folder") == 1


def test_bar_of_a_few_more_accounts_than_are_shown_whole_counts_no_others(state: RunState) -> None:
    five = [
        replace(account, stopped="no key" if number < 3 else None, left_s=4.0, settled=20)
        for number, account in enumerate(accounts(5))
    ]

    lines = drawn(replace(state, accounts=tuple(five)), 80)

    assert [line.split()[0] for line in lines[-5:]] == [f"factory-{number:03}" for number in range(5)]
    assert not [line for line in lines if "more account" in line]


@pytest.mark.parametrize("live", [False, True])
def test_upgrade_of_the_ledger_is_said_with_its_copy(live: bool) -> None:
    stream = Terminal()

    with progress("modules.csv", stream=stream, live=live) as listen:
        listen(LedgerUpgraded(ledger="l.db", layout=1, copy="l.db.v1.bak"))

    assert "upgraded from layout 1; as it was before: l.db.v1.bak" in " ".join(stream.getvalue().split())


def test_live_progress_says_that_keys_could_not_be_renewed() -> None:
    stream = Terminal()

    with progress("modules.csv", stream=stream, live=True) as listen:
        listen(CredentialsNotRenewed("a role: no answer"))

    said = " ".join(stream.getvalue().split())
    assert "The keys could not be renewed, a role: no answer: the old ones are used until they expire" in said
