"""Show a job's accounts: those in trouble first and by name, many others in one line. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.model import PROVISIONED_OUTCOMES, REASONED_OUTCOMES
from bulk.report.tones import Tone, plain
from bulk.report.wording import MEANINGS, columns_of, cut, cut_middle, filled, outcome_words, padded, spell_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulk.report.tones import Paint

__all__ = [
    "FOLDED",
    "AccountLine",
    "Gravity",
    "account_line",
    "account_table",
    "gravity_of",
    "in_order",
    "not_provisioned",
]

_SHOWN_WHOLE = 5
"""Up to this many accounts, each is shown by name, in any state."""

_NAMED_TOGETHER = 3
"""Most names that are shown of accounts that stopped for one reason; the others are only counted."""

_WIDEST_NAME = 32
_REASON_LINES = (3, 2, 1)
"""Lines that a reason may use, most first: the first number that fits is chosen."""

_NEAR_WORDS = 6
_FEWEST_COLUMNS = 16
"""With fewer columns than this after an account's figures, its reason goes below them."""


class Gravity(IntEnum):
    """How much an account needs a person, the gravest first."""

    STOPPED = 0  #: its requests ended early
    IN_TROUBLE = 1  #: rows that it tried are not provisioned
    OPEN = 2  #: rows wait for a run
    DONE = 3  #: every row is provisioned
    EMPTY = 4  #: the input has no row of it


_TONES: Mapping[Gravity, Tone] = MappingProxyType(
    {
        Gravity.STOPPED: Tone.BAD,
        Gravity.IN_TROUBLE: Tone.WARNING,
        Gravity.OPEN: Tone.WARNING,
        Gravity.DONE: Tone.GOOD,
        Gravity.EMPTY: Tone.GOOD,
    }
)

FOLDED: Mapping[Gravity, str] = MappingProxyType(
    {
        Gravity.OPEN: "rows that wait for a run",
        Gravity.DONE: "every row is provisioned",
        Gravity.EMPTY: "no rows",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account as a screen shows it."""

    name: str
    gravity: Gravity
    weight: int = 0
    """Sorts accounts of the same gravity, the largest first."""

    cells: tuple[str, ...] = ()
    """Figures below the table's headings."""

    note: str = ""
    tone: Tone | None = None
    """Colour of its figures; ``None``: that of its gravity."""

    reason: str | None = None
    """Why it stopped, with the remedy."""

    @property
    def shown_tone(self) -> Tone:
        """Colour of its figures."""
        return self.tone or _TONES[self.gravity]


def account_line(
    name: str, outcomes: Mapping[str, int], *, exit_code: int | None, stopped: str | None, open_note: str | None = None
) -> AccountLine:
    """Return the line that shows the state of an account's rows.

    Args:
        name: The account's.
        outcomes: Outcome → its rows.
        exit_code: What the run would have ended with for this account alone; ``None``: not known.
        stopped: Why its requests ended early; ``None``: they did not.
        open_note: Text about rows that wait for a run; ``None``: their number.
    """
    rows = sum(outcomes.values())
    done = sum(outcomes.get(outcome, 0) for outcome in PROVISIONED_OUTCOMES)
    gravity = gravity_of(outcomes, stopped=stopped)
    only_open = gravity is Gravity.OPEN and open_note
    return AccountLine(
        name=name,
        gravity=gravity,
        weight=rows - done,
        cells=("-" if exit_code is None else f"{exit_code}", f"{done:,} of {rows:,}"),
        note=open_note or "" if only_open else not_provisioned(outcomes),
        reason=stopped,
    )


def gravity_of(outcomes: Mapping[str, int], *, stopped: str | None) -> Gravity:
    """Return how much an account needs a person.

    Args:
        outcomes: Outcome → its rows.
        stopped: Why its requests ended early; ``None``: they did not.
    """
    if stopped:
        return Gravity.STOPPED
    if any(outcomes.get(outcome) for outcome in REASONED_OUTCOMES):
        return Gravity.IN_TROUBLE
    rows = sum(outcomes.values())
    if rows != sum(outcomes.get(outcome, 0) for outcome in PROVISIONED_OUTCOMES):
        return Gravity.OPEN
    return Gravity.DONE if rows else Gravity.EMPTY


def not_provisioned(outcomes: Mapping[str, int]) -> str:
    """Return an account's rows that are not provisioned, in words."""
    return ", ".join(
        f"{outcomes[outcome]:,} {outcome_words(outcome)}"
        for outcome in MEANINGS
        if outcomes.get(outcome) and outcome not in PROVISIONED_OUTCOMES
    )


def in_order(lines: Iterable[AccountLine]) -> list[AccountLine]:
    """Return accounts in the order of screens: the gravest first, then those with most rows not provisioned."""
    return sorted(lines, key=lambda line: (line.gravity, -line.weight))


def account_table(
    lines: Iterable[AccountLine],
    headings: Sequence[str],
    *,
    width: int,
    room: int,
    all_by: str,
    nameless: int = 0,
    paint: Paint = plain,
    folded: Mapping[Gravity, str] = FOLDED,
) -> list[str]:
    """Return a table of accounts that fits into ``room`` lines; the first account is always shown.

    Args:
        lines: One an account.
        headings: Headings of the figures.
        width: Columns of the terminal.
        room: Lines that may be used.
        all_by: The command that shows the accounts for which there is no room.
        nameless: Rows that name no account.
        paint: How to colour.
        folded: Texts about accounts that are only counted.
    """
    ordered = in_order(lines)
    few = len(ordered) <= _SHOWN_WHOLE
    named = [line for line in ordered if few or line.gravity not in folded]
    counted = [] if few else [line for line in ordered if line.gravity in folded]
    head = [paint(_heading(named, headings, width), Tone.HEADING)]
    foot = [cut(f"  {text}", width) for text in _folded(counted, folded, nameless)]
    left = room - len(head) - len(foot)
    for reason_lines in _REASON_LINES:
        blocks = list(_blocks(named, headings, width=width, paint=paint, reason_lines=reason_lines))
        if sum(len(block) for _, block in blocks) <= left:
            break
    return [*head, *_fitting(blocks, left, all_by, width), *foot]


def _fitting(blocks: Sequence[tuple[int, list[str]]], room: int, all_by: str, width: int) -> Iterator[str]:
    """Yield the blocks for which there is room, then the number of the other accounts."""
    used = 0
    for number, (_, block) in enumerate(blocks):
        is_last = number == len(blocks) - 1
        if number and used + len(block) + (not is_last) > room:
            rest = f"  and {spell_count(sum(accounts for accounts, _ in blocks[number:]), 'more account')}:"
            # A command with a line break in it can't be copied.
            yield from [f"{rest} {all_by}"] if len(rest) + 1 + len(all_by) <= width else [rest, f"    {all_by}"]
            return
        used += len(block)
        yield from block


def _blocks(
    lines: Sequence[AccountLine], headings: Sequence[str], *, width: int, paint: Paint, reason_lines: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of each account, or of all that stopped for one reason, with the number of accounts."""
    widths = _widths(lines, headings)
    for together in _by_reason(lines):
        first = together[0]
        about, tone = first.reason or first.note, first.shown_tone
        if len(together) > 1:
            yield (
                len(together),
                [paint(f"  {_names(together, width)}", tone), *_wrapped(about, "      ", width, reason_lines)],
            )
        else:
            row = f"  {_row(first.name, first.cells, widths)}"
            yield 1, _block(row, about, width, reason_lines, paint, tone)


def _names(accounts: Sequence[AccountLine], width: int) -> str:
    """Return how many accounts there are, and the first names."""
    names = ", ".join(line.name for line in accounts[:_NAMED_TOGETHER])
    more = len(accounts) - _NAMED_TOGETHER
    return cut(f"{len(accounts):,} accounts: {names}{f' and {more:,} more' if more > 0 else ''}", width - 2)


def _block(row: str, about: str, width: int, lines: int, paint: Paint, tone: Tone) -> list[str]:
    """Return a row with the text about it: after the row, and continued below."""
    if columns_of(row) + _FEWEST_COLUMNS > width:
        return [paint(cut(row, width), tone), *_wrapped(about, "      ", width, lines)]
    # Blanks take the place of the row's own columns, since wrapping counts characters.
    indent = " " * (columns_of(row) + 2)
    first, *more = _wrapped(about, indent, width, lines) or [""]
    return [f"{paint(row, tone)}{first[columns_of(row) :]}".rstrip(), *more]


def _wrapped(text: str, indent: str, width: int, lines: int) -> list[str]:
    """Return a reason on at most so many lines: the code at its beginning, and the remedy at its end, stay."""
    whole = filled(text, width, first=indent, rest="      ")
    if len(whole) <= lines or lines == 1:
        return filled(text, width, first=indent, rest="      ", lines=lines)
    words = text.split()
    code = words[:1] if words[0].endswith(":") else whole[0].split()
    for at in range(len(code), len(words)):
        kept = words[_clause_from(words, at) :]
        shortened = filled(" ".join([*code, "…", *kept]), width, first=indent, rest="      ")
        if len(shortened) <= lines:
            return shortened
    return whole[:lines]


def _clause_from(words: Sequence[str], at: int) -> int:
    """Return where a clause begins, if one does soon: half a clause is hard to read."""
    ends = (number for number in range(at, min(at + _NEAR_WORDS, len(words) - 1)) if words[number][-1] in ".:;")
    return next((number + 1 for number in ends), at)


def _by_reason(lines: Sequence[AccountLine]) -> list[list[AccountLine]]:
    """Group accounts that stopped for the same reason, if there are many."""
    if len(lines) <= _SHOWN_WHOLE:
        return [[line] for line in lines]
    together: dict[str, list[AccountLine]] = {}
    for line in lines:
        together.setdefault(line.reason or f"account {line.name}", []).append(line)
    return list(together.values())


def _folded(lines: Sequence[AccountLine], folded: Mapping[Gravity, str], nameless: int) -> Iterator[str]:
    if nameless:
        yield f"{spell_count(nameless, 'row')} that name{'s' if nameless == 1 else ''} no account of the settings"
    for gravity, meaning in folded.items():
        if accounts := sum(line.gravity is gravity for line in lines):
            yield f"{spell_count(accounts, 'account')}: {meaning}"


def _widths(lines: Sequence[AccountLine], headings: Sequence[str]) -> list[int]:
    names = [min(columns_of(line.name), _WIDEST_NAME) for line in lines]
    cells = [[len(line.cells[at]) for line in lines] for at in range(len(headings))]
    figures = [max([len(heading), *lengths]) for heading, lengths in zip(headings, cells, strict=True)]
    return [max([len("Accounts") - 2, *names]), *figures]


def _heading(lines: Sequence[AccountLine], headings: Sequence[str], width: int) -> str:
    if not lines:
        return "Accounts"
    name, *figures = _widths(lines, headings)
    cells = "".join(f"  {heading:>{figure}}" for heading, figure in zip(headings, figures, strict=True))
    return cut(f"{'Accounts':<{name + 2}}{cells}", width)


def _row(name: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    figures = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
    return padded(cut_middle(name, widths[0]), widths[0]) + figures
