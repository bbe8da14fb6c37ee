"""Remarks about an input, collected while it is read and shown once: columns and lines that are not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.rows.columns import listed
from bulk.rows.tabular.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bulk.rows.validate import Rules

__all__ = ["Remarks", "carried_notice"]

MAX_LISTED_LINES = 6
MAX_SHOWN_CHARS = 40


class Remarks:
    """Collects remarks."""

    def __init__(
        self, rules: Rules, *, carried: Iterable[str], above: Sequence[str] = (), unused: Sequence[str] = ()
    ) -> None:
        """Start with the header.

        Args:
            rules: They count the oddities that they allow.
            carried: Names of the columns that hold no field.
            above: The lines above the header that say something.
            unused: Columns that name accounts, if the settings name none.
        """
        self._unused = unused
        self._rules = rules
        self._carried = dict.fromkeys(carried)
        self._above = above
        self._noise: list[Noise] = []
        self._left_out = 0

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns that are kept with each row and not sent."""
        return tuple(self._carried)

    def carry(self, name: str) -> None:
        """Add a column that appeared later, unless there are very many."""
        if len(self._carried) < MAX_CARRIED:
            self._carried.setdefault(name)

    def leave_out(self, line: int, kind: str) -> None:
        """Add a line that is no row."""
        self._left_out += 1
        if len(self._noise) < MAX_LISTED_LINES:
            self._noise.append(Noise(line, kind))

    def notices(self) -> Iterator[str]:
        """Yield one sentence for each thing that the user should know. Call it after all rows are read."""
        if self._above:
            first = (
                self._above[0] if len(self._above[0]) <= MAX_SHOWN_CHARS else self._above[0][:MAX_SHOWN_CHARS] + "..."
            )
            more = len(self._above) - 1
            yield f"Above the header, not read: {first!r}" + (f" and {_spell(more, 'more line')}" if more else "")
        if self._carried:
            yield carried_notice(self.carried)
        if self._unused:
            why = "since the settings name no accounts ([accounts.NAME] in bulk.toml)"
            yield f"Not used: {listed(self._unused)}, {why}"
        if self._noise:
            more = self._left_out - len(self._noise)
            lines = ", ".join(f"line {noise.line} ({noise.kind})" for noise in self._noise)
            yield f"Not rows, left out: {lines}" + (f" and {more} more" if more else "")
        if self._rules.unwrapped:
            yield f'Taken as text: {_spell(self._rules.unwrapped, "cell")} written as ="text"'
        for trace, times in self._rules.traces.most_common():
            yield f"Sent as it is, in {_spell(times, 'row')}: {trace}"
        for word, times in self._rules.sent_nulls.most_common():
            flag = f"--null {word}" if word.isalnum() else f"--null '{word}'"
            yield f"Sent as alias or description: {word!r}, in {_spell(times, 'row')}; {flag} leaves it out"


def carried_notice(columns: Sequence[str]) -> str:
    """Say which columns are not sent."""
    return f"Columns not sent, but kept in the results: {listed(columns)}"


def _spell(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


MAX_CARRIED = 1_000
"""Most carried names that are kept: objects may have any number of keys."""
