"""What people see of a fleet while `bulk fleet run` drives it, and when it ends."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from bulk.fleet.progress import ShardState
from bulk.legible import legible
from bulk.report.progress import wants_live
from bulk.report.wording import MEANINGS, outcome_words, spell_count, spell_duration
from bulk.shell import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk.fleet.driver import FleetLook, FleetSummary

__all__ = ["FleetScreen", "fleet_line", "summary_lines"]

_LINE_EVERY_S = 10.0
_MOST_NAMED = 10


class FleetScreen:
    """A line on stderr: redrawn on a terminal; elsewhere, a new line now and then."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._is_live = wants_live(sys.stderr)
        self._shown_at = float("-inf")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove a line that would be out of date."""
        if self._is_live:
            self._write("\r\x1b[K")

    def show(self, look: FleetLook) -> None:
        """Show the state of a fleet; returns at once."""
        if self._is_live:
            width = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{fleet_line(look)[: width - 1]}")
        elif time.monotonic() - self._shown_at >= _LINE_EVERY_S:
            self._shown_at = time.monotonic()
            self._write(f"[{spell_duration(look.elapsed_s)}] {fleet_line(look)}\n")

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more: the fleet goes on unseen
            sys.stderr.write(text)
            sys.stderr.flush()


def fleet_line(look: FleetLook) -> str:
    """Return the state of a fleet, on one line."""
    progress = look.shards.progress.values()
    outcomes: Counter[str] = Counter()
    for one in progress:
        outcomes.update(one.outcomes)
    settled, rows = sum(outcomes.values()), look.manifest.rows
    done = sum(one.state is ShardState.ENDED for one in progress)
    per_s = sum(one.per_s for one in progress if one.state is ShardState.WORKING)
    failed = [f"{spell_count(len(look.shards.failed), 'shard')} given up"] if look.shards.failed else []
    figures = [
        f"{settled:,} of {rows:,} rows ({100 * settled // rows if rows else 100}%)",
        _words(outcomes),
        f"{per_s:,.1f} a second",
        f"{done} of {spell_count(len(look.manifest.shards), 'shard')} done, {len(look.working)} at work",
        *failed,
    ]
    return legible("; ".join(figure for figure in figures if figure))


def summary_lines(summary: FleetSummary, again: str) -> Iterator[str]:
    """Yield the screen that ends `bulk fleet run`.

    Args:
        summary: The state of the fleet.
        again: The command that goes on.
    """
    yield f"{spell_count(summary.rows, 'row')} in {summary.store}: {_words(summary.outcomes)}"
    states = ", ".join(f"{count} {state}" for state, count in summary.shards.items() if count)
    yield f"{spell_count(sum(summary.shards.values()), 'shard')}: {states}; {spell_duration(summary.elapsed_s)}"
    for number, why in list(summary.failed.items())[:_MOST_NAMED]:
        yield f"  shard {number} was given up: {why}"
    if len(summary.failed) > _MOST_NAMED:
        yield f"  and {spell_count(len(summary.failed) - _MOST_NAMED, 'shard')} more: see bulk fleet status"
    if summary.stopped:
        yield f"Stopped: {summary.stopped}"
    if summary.exit_code:
        yield f"To go on:  {again}"
    else:
        yield f"Next:  {shell_join(['bulk', 'fleet', 'merge', summary.store, '-o', 'LEDGER'])}"


def _words(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{outcome_words(one)} {outcomes[one]:,}" for one in MEANINGS if outcomes.get(one))
