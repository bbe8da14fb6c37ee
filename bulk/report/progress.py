"""Show a run while it goes on, on stderr: a live bar on a terminal; elsewhere, a plain line now and then.

A separate thread draws. So the run spends time only on counting, and you see it when it waits for the platform.
Drawing never stops a run: after stderr was closed, nothing more is written to it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TextIO

from bulk.events import (
    AccountTakenOver,
    ClockCorrected,
    ConnectionsShort,
    CredentialsNotRenewed,
    InputRead,
    LedgerUpgraded,
    RateChanged,
    RunStarted,
    RunStopping,
)
from bulk.legible import brief_run_id, legible
from bulk.report.account_progress import account_words, phase_words, progress_lines
from bulk.report.tally import RunState, Tally, open_rows
from bulk.report.wording import (
    MEANINGS,
    folded,
    outcome_words,
    spell_count,
    spell_duration,
    spell_rate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from bulk.events import Event, Listener

__all__ = [
    "bar",
    "clock_line",
    "connections_line",
    "plain_line",
    "progress",
    "renewal_line",
    "start_line",
    "takeover_line",
    "unshared_line",
    "upgrade_line",
    "wants_live",
]

_LINE_EVERY_S = 10.0
_REDRAWS_PER_S = 5
_ROOMY_COLUMNS = 60
"""On a narrower terminal, the bar itself is left out to make room for the figures."""


def wants_live(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a live bar can be drawn on the stream."""
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("CI")


@contextmanager
def progress(input_name: str, *, stream: TextIO, live: bool) -> Iterator[Listener]:
    """Yield a listener, and show its events until the block ends.

    Args:
        input_name: What the input is called.
        stream: Where to draw; a terminal if ``live``.
        live: Redraw in place instead of printing lines.
    """
    tally = Tally(time.monotonic)
    with _bar(input_name, tally, stream) if live else _lines(tally, stream) as listener:
        yield listener


@contextmanager
def _bar(input_name: str, tally: Tally, stream: TextIO) -> Iterator[Listener]:
    # rich takes a tenth of a second to import: a run without a terminal does not pay for it.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.live import Live  # noqa: PLC0415 - see above

    console = Console(file=stream)

    def draw() -> RenderableType:
        return bar(input_name, tally.look(), console.width)

    # stdout stays as it is: with --json it belongs to the summary alone.
    with Live(
        get_renderable=draw,
        console=console,
        refresh_per_second=_REDRAWS_PER_S,
        transient=True,
        redirect_stdout=False,
    ):

        def listen(event: Event) -> None:
            tally(event)
            for line in _notes_beside_the_bar(event):
                console.print(line, highlight=False, markup=False)

        yield listen


def _notes_beside_the_bar(event: Event) -> Iterator[str]:
    """Yield lines that stay on the screen above a live bar, which shows no warnings of the log."""
    match event:
        case ClockCorrected():
            yield clock_line(event)
        case RateChanged() if event.unshared:
            yield unshared_line(event)
        case CredentialsNotRenewed():
            yield renewal_line(event)
        case ConnectionsShort():
            yield connections_line(event)
        case _:
            yield from _notes(event)


def _notes(event: Event) -> Iterator[str]:
    """Yield notes about the input and the ledger, with a live bar or without."""
    match event:
        case InputRead():
            yield from map(legible, event.found.notices)
        case LedgerUpgraded():
            yield upgrade_line(event)
        case AccountTakenOver():
            yield takeover_line(event)


def bar(input_name: str, state: RunState, width: int) -> RenderableType:
    """Return the live display of a run in this state.

    Args:
        input_name: What the input is called.
        state: What to show.
        width: Columns of the terminal.
    """
    from rich.console import Group  # noqa: PLC0415 - as in _bar()
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as in _bar()
    from rich.table import Table  # noqa: PLC0415 - as in _bar()
    from rich.text import Text  # noqa: PLC0415 - as in _bar()

    if state.started is None:
        return Text(_before_the_run(input_name, state), no_wrap=True, overflow="ellipsis")
    title = Text(f"{input_name} → {state.started.target}", style="bold", no_wrap=True, overflow="ellipsis")
    nothing = "nothing changed yet" if state.phase else "nothing settled yet"
    words = [_counts(state, " · ") or nothing, f"{_rates(state)} · {_doing(state)}"]
    share, left = _share(state), _left(state)
    accounts = [Text(line, no_wrap=True, overflow="ellipsis") for line in progress_lines(state.accounts, width)]
    if width < _ROOMY_COLUMNS:
        return Group(title, *map(Text, [f"{share} · {left}", *words]), *accounts)
    figures = Table.grid(padding=(0, 1), expand=True)
    figures.add_column(ratio=1)
    figures.add_row(ProgressBar(total=max(state.rows, 1), completed=state.settled), share, left)
    return Group(title, figures, *map(Text, words), *accounts)


@contextmanager
def _lines(tally: Tally, stream: TextIO) -> Iterator[Listener]:
    over = threading.Event()

    def tell(line: str) -> None:
        try:
            stream.write(f"{folded(line, get_terminal_size().columns) if stream.isatty() else line}\n")
            stream.flush()
        except (OSError, ValueError):
            # The reader left (`2>&1 | head`): the run goes on without display.
            over.set()

    def listen(event: Event) -> None:
        tally(event)
        for line in () if over.is_set() else _lines_of(event):
            tell(line)

    def tick() -> None:
        while not over.wait(_LINE_EVERY_S):
            tell(plain_line(tally.look()))

    ticker = threading.Thread(target=tick, name="bulk-progress", daemon=True)
    ticker.start()
    try:
        yield listen
    finally:
        over.set()
        ticker.join()


def _lines_of(event: Event) -> Iterator[str]:
    """Yield the lines about an event, if there is no live bar."""
    match event:
        case RunStarted():
            yield start_line(event)
        case RunStopping():
            yield f"Stopping: {event.reason} (requests in flight end first)"
        case _:
            yield from _notes(event)


def clock_line(event: ClockCorrected) -> str:
    """Return the line about a clock that is wrong."""
    side = "behind" if event.offset_s > 0 else "ahead of"
    return (
        f"This machine's clock is {spell_duration(abs(event.offset_s))} {side} the platform's:"
        " requests are stamped with the platform's time; set the clock."
    )


def unshared_line(event: RateChanged) -> str:
    """Return the line for when the rate can't be shared with other runs on this machine."""
    return (
        f"Other runs on this machine can't be heard, so that {event.action.figure} requests are sent at "
        f"{event.per_s:g} of {event.asked_per_s:g} a second: {event.unshared}"
    )


def renewal_line(event: CredentialsNotRenewed) -> str:
    """Return the line about temporary keys that could not be renewed."""
    return (
        f"The keys could not be renewed, {event.message}: the old ones are used until they expire; retried each minute."
    )


def upgrade_line(event: LedgerUpgraded) -> str:
    """Return the line about a ledger that an earlier version wrote."""
    return f"The ledger was upgraded from layout {event.layout}; as it was before: {event.copy}"


def takeover_line(event: AccountTakenOver) -> str:
    """Return the line about records that belong to another account name from now on."""
    before = f"for account {event.before}" if event.before else "without accounts"
    return (
        f"What this ledger recorded {before}, {spell_count(event.keys, 'module')}, is now account {event.account}'s: "
        "it is the same target under a new name."
    )


def connections_line(event: ConnectionsShort) -> str:
    """Return the line about too few connections."""
    return (
        f"This process may open {event.files:,} files, which leaves {spell_count(event.each, 'connection')} to each of "
        f"{event.accounts:,} accounts: some may be slower than their rate; raise the limit with `ulimit -n`."
    )


def start_line(event: RunStarted) -> str:
    """Return the first line of a run, if there is no live bar."""
    if event.syncs:
        return (
            f"Sync {brief_run_id(event.run_id)}: {spell_count(event.rows, 'row')}"
            + (f", {spell_count(len(event.accounts), 'account')}" if event.accounts else "")
            + f", to {event.target}; ledger {event.ledger}"
        )
    limits = ", ".join(f"{action.noun}s {_limit(per_s)}" for action, per_s in event.rates.items())
    accounts = f", {spell_count(len(event.accounts), 'account')}" if event.accounts else ""
    # Each account may have rates of its own.
    how_fast = "" if event.accounts else f"; {limits}"
    return (
        f"Run {brief_run_id(event.run_id)}: {spell_count(event.rows, 'row')}, {open_rows(event):,} open{accounts},"
        f" to {event.target}{how_fast}; ledger {event.ledger}"
    )


def plain_line(state: RunState) -> str:
    """Return one line about the state of a run."""
    if state.started is None:
        return _before_the_run("the input", state)
    accounts = account_words(state.accounts) if state.accounts else ""
    figures = (_share(state), _counts(state, ", "), _rates(state), _left(state), _doing(state), accounts)
    return f"[{spell_duration(state.elapsed_s)}] {'; '.join(figure for figure in figures if figure)}"


def _before_the_run(input_name: str, state: RunState) -> str:
    if state.products is None:
        return f"Reading {input_name}: {spell_count(state.rows, 'row')}"
    left = _left(state)
    return f"{state.doing} {input_name}: {state.listed:,} of {spell_count(state.products, 'product')} listed" + (
        f", {left}" if left else ""
    )


def _share(state: RunState) -> str:
    percent = 100 * state.settled // state.rows if state.rows else 100
    return f"{state.settled:,} of {state.rows:,}{phase_words(state.phase)} ({percent}%)"


def _counts(state: RunState, separator: str) -> str:
    return separator.join(
        f"{outcome_words(outcome)} {state.counts[outcome]:,}" for outcome in MEANINGS if state.counts.get(outcome)
    )


def _rates(state: RunState) -> str:
    if state.phase:
        return f"{state.create_per_s:,.1f}/s"
    granted = f" of {spell_rate(state.allowed_per_s)}" if state.allowed_per_s else "/s"
    return f"creates {state.create_per_s:,.1f}{granted}"


def _left(state: RunState) -> str:
    return "" if state.left_s is None else f"{spell_duration(round(state.left_s))} left"


def _doing(state: RunState) -> str:
    if state.stopping:
        return f"stopping: {state.stopping}"
    at_once = f"{spell_count(state.lanes, 'product')} at once"
    # Each account may wait for something else.
    return at_once if state.accounts else f"{at_once}, waiting for {state.waiting_for}"


def _limit(per_s: float) -> str:
    return f"at most {spell_rate(per_s)}" if per_s else "unlimited"
