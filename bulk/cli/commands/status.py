"""`bulk status`: show the state of a ledger, once, or repeatedly while a run works on it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.common import json_option
from bulk.cli.flags.values import read_interval
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk.cli.invocation import Invocation
    from bulk.ledger.views.pulse import Pulse
    from bulk.ledger.views.status import LedgerStatus

    Show = Callable[[LedgerStatus, Pulse | None], None]

__all__ = ["status"]

_WATCH = "--watch"
_EVERY_S = "2"
_SPAN_S = 10.0
"""Span of the present rate: long enough for ten requests at the slowest granted rate."""


class _StatusCommand(GroupedCommand):
    """A command whose ``--watch`` may be given without its seconds, even directly before LEDGER."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        following = [*args[1:], ""]
        spelled = (
            f"{_WATCH}={_EVERY_S}" if argument == _WATCH and not _is_number(behind) else argument
            for argument, behind in zip(args, following, strict=True)
        )
        return super().parse_args(ctx, list(spelled) if args else args)


@click.command(cls=_StatusCommand)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    _WATCH,
    "every_s",
    type=read_interval,
    metavar="[SECONDS]",
    cls=GroupedOption,
    heading="How often",
    help=f"Look again every so many seconds ({_EVERY_S}) until the run ends; Ctrl-C ends only this view.",
)
@json_option
def status(ledger: Path, *, every_s: float | None, as_json: bool) -> int:
    """Show how far LEDGER is: outcomes, reasons, its runs, which run is at work on it, and how fast."""
    if every_s is None:
        (_show_json if as_json else _show_screen)(*_look(ledger))
        return ExitCode.DONE
    with suppress(KeyboardInterrupt):
        _watch(ledger, every_s, as_json=as_json)
    return ExitCode.DONE


def _watch(ledger: Path, every_s: float, *, as_json: bool) -> None:
    from bulk.report.progress import wants_live  # noqa: PLC0415 - as in _look()

    with _live() if wants_live(sys.stdout) and not as_json else _lines(as_json=as_json) as show:
        while True:
            read, pulse = _look(ledger)
            show(read, pulse)
            if read.holder is None:
                return
            time.sleep(every_s)


def _look(ledger: Path) -> tuple[LedgerStatus, Pulse | None]:
    from bulk.ledger.views.pulse import read_pulse  # noqa: PLC0415 - `--help` need not wait for SQLite
    from bulk.ledger.views.status import read_status  # noqa: PLC0415 - as above

    read = read_status(ledger)
    if read.holder is None:
        return read, None
    now = time.time()
    age_s = now - datetime.fromisoformat(read.holder.started_at).timestamp()
    return read, read_pulse(ledger, now=now, span_s=max(1.0, min(_SPAN_S, age_s)))


@contextmanager
def _live() -> Iterator[Show]:
    """Redraw in place; the last screen remains when the block ends."""
    from rich.console import Console  # noqa: PLC0415 - takes a tenth of a second, for a terminal only
    from rich.live import Live  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    with Live(console=Console(), auto_refresh=False) as screen:

        def show(read: LedgerStatus, pulse: Pulse | None) -> None:
            screen.update(Text.from_ansi("\n".join(_screen(read, pulse))), refresh=True)

        yield show


@contextmanager
def _lines(*, as_json: bool) -> Iterator[Show]:
    from bulk.report.status import status_line  # noqa: PLC0415 - as in _look()

    def show(read: LedgerStatus, pulse: Pulse | None) -> None:
        if as_json:
            _show_json(read, pulse)
        elif read.holder is None:
            _show_screen(read, pulse)
        else:
            print_lines([status_line(read, pulse)])

    yield show


def _screen(read: LedgerStatus, pulse: Pulse | None) -> list[str]:
    from bulk.report.continuing import continuing_command  # noqa: PLC0415 - as in _look()
    from bulk.report.status import status_lines  # noqa: PLC0415 - as in _look()

    invocation: Invocation = click.get_current_context().obj
    last = read.runs[-1] if read.runs else None
    # A fleet that has not finished may be at work: beside it, a run would send more than the rate allows.
    is_merged = last is not None and last.command == "merge" and last.stopped is None
    return status_lines(
        read,
        pulse,
        width=screen_width(),
        paint=paint_for_stdout(),
        now=datetime.now(UTC),
        program=invocation.program,
        go_on=continuing_command(Path(read.path), program=invocation.program) if is_merged else None,
    )


def _show_screen(read: LedgerStatus, pulse: Pulse | None) -> None:
    print_lines(_screen(read, pulse))


def _show_json(read: LedgerStatus, pulse: Pulse | None) -> None:
    from bulk.report.status import status_json  # noqa: PLC0415 - as in _look()

    print_json(status_json(read, pulse))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
