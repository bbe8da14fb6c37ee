"""Numbers, times and outcomes in words, the same on every screen."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.legible import brief_run_id
from bulk.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.ledger.views.status import RunRecord

__all__ = [
    "MEANINGS",
    "columns_of",
    "cut",
    "cut_middle",
    "filled",
    "folded",
    "outcome_words",
    "padded",
    "spell_count",
    "spell_duration",
    "spell_ending",
    "spell_rate",
    "task_words",
    "wrapped",
]

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_TENTHS_BELOW = 10
_SECOND_COLUMN = "\ufdd0"  # no text has this: Unicode keeps it for programs
_HARD_SPACE = "\x1f"  # messages have no control characters; this one is as wide in every version of Unicode
_QUOTED = re.compile(r"`[^`]*`")

MEANINGS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.CREATED: "made by the runs of this ledger",
        Outcome.UPDATED: "was there, and now has the row's alias and description",
        Outcome.EXISTS: "was there already, as the row wants it",
        Outcome.DUPLICATE: "same module and content as an earlier line",
        Outcome.DRIFTED: "there already, but alias, description or case differ",
        Outcome.MOVED: "changed since it was listed, so nothing was sent",
        Outcome.WITHHELD: "decided, but it needs your approval first",
        Outcome.OVER_BUDGET: "all ten slots of its product are taken",
        Outcome.INVALID: "breaks a rule; fix it in the file",
        Outcome.FAILED: "the platform refused it, or attempts ran out",
        Outcome.UNKNOWN: "sent; result unknown",
        Outcome.SENDING: "sent or about to be; the next run lists first",
        Outcome.PENDING: "not sent yet",
        Outcome.DELETED: "left the file, and is gone from the platform",
        Outcome.SURPLUS: "left the file, and stays on the platform",
    }
)
"""One line for each outcome, in the order in which every screen shows them."""


_ENDINGS: Mapping[int, str] = MappingProxyType(
    {
        ExitCode.INCOMPLETE: "some rows not provisioned",
        ExitCode.WITHHELD: "changes withheld",
        ExitCode.CHANGED: "something changed",
    }
)
"""Exit code → what it says of a run that did not stop. 0 needs no words."""


def cut(text: str, width: int) -> str:
    """Return the text on one line, shortened to this many columns."""
    line = " ".join(text.splitlines())
    if line.isascii() and len(line) <= width:
        return line
    return line if columns_of(line) <= width else f"{_beginning(line, max(width - 1, 0))}…"


def cut_middle(text: str, width: int) -> str:
    """Return a name shortened in the middle to this many columns: similar names often differ at their ends."""
    if columns_of(text) <= width:
        return text
    tail = _beginning(text[::-1], max((width - 1) // 2, 0))[::-1]
    return f"{_beginning(text, max(width - 1 - columns_of(tail), 0))}…{tail}"


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text needs: a Chinese character needs two."""
    return len(text) if text.isascii() else sum(map(_columns_of_character, text))


def wrapped(text: str, width: int) -> list[str]:
    """Return the text on as many lines as needed. Long words are not broken: they are paths and codes to copy."""
    indent = text[: len(text) - len(text.lstrip())]
    return filled(text, width, rest=f"{indent}  ", break_words=False)


def folded(text: str, width: int) -> str:
    """Return a message for a terminal, which would break lines inside words.

    A command stays on one line, so that it can be copied: text between backticks, and a line that is indented.
    """
    lines = [_QUOTED.sub(_unbroken, line) for line in text.splitlines()]
    parts = (part for line in lines for part in ([line] if line[:1] in {"", " "} else wrapped(line, width)))
    return "\n".join(parts).replace(_HARD_SPACE, " ")


def _unbroken(found: re.Match[str]) -> str:
    return found.group().replace(" ", _HARD_SPACE)


def filled(
    text: str, width: int, *, first: str = "", rest: str = "", lines: int | None = None, break_words: bool = True
) -> list[str]:
    """Return the text on as many lines as needed, at most ``lines``; a Chinese character needs two columns.

    Args:
        text: On one line.
        width: Columns of the terminal.
        first: Blanks before the first line.
        rest: Blanks before each other line.
        lines: Most lines; a text that needs more ends in ``…``.
        break_words: Whether a word that is longer than a line is broken.
    """
    # textwrap counts characters: behind a wide one, a second takes its other column.
    spread = text if text.isascii() else "".join(map(_as_wide_as_shown, text))
    found = textwrap.wrap(
        spread,
        # A wide character that is broken off its second column must still fit.
        width - (len(spread) != len(text)),
        initial_indent=first,
        subsequent_indent=rest,
        max_lines=lines,
        placeholder=" …",
        break_on_hyphens=False,
        break_long_words=break_words,
    )
    return [line.replace(_SECOND_COLUMN, "") for line in found]


def padded(text: str, width: int) -> str:
    """Return the text, filled up with blanks to this many columns."""
    return text + " " * (width - columns_of(text))


def outcome_words(outcome: str) -> str:
    """Return an outcome's name as it reads inside a sentence."""
    return outcome.replace("_", " ")


def spell_count(number: int, noun: str) -> str:
    """Return ``1 row`` or ``12,345 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def spell_duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``1 h 23 min``."""
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    # Rounded before it is split: 119.7 s must not read "1 min 60 s".
    whole_s = round(seconds)
    for (unit, unit_s), (smaller, smaller_s) in pairwise(_UNITS):
        if whole_s >= unit_s:
            rest = whole_s % unit_s // smaller_s
            return f"{whole_s // unit_s} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole_s} s"


def spell_ending(run: RunRecord, *, is_at_work: bool) -> str:
    """Return how a run ended, if it did."""
    if run.exit_code is not None:
        why = f"stopped: {run.stopped}" if run.stopped else _ENDINGS.get(run.exit_code)
        return f"exit code {run.exit_code}" + (f", {why}" if why else "")
    return "at work" if is_at_work else "killed, or the power failed"


def task_words(run: RunRecord) -> str:
    """Return what a run was: ``sync``, or ``apply of 0546ae7c by ops``."""
    if run.command != "apply":
        return run.command
    of = f" of {brief_run_id(run.applied)}" if run.applied else ""
    return f"apply{of}" + (f" by {run.user}" if run.user else "")


def spell_rate(per_s: float) -> str:
    """Return a rate with as many digits as are useful; 0 means no limit."""
    if per_s == 0:
        return "unlimited"
    return f"{per_s:,.0f}/s" if per_s >= _TENTHS_BELOW * 10 or per_s == int(per_s) else f"{per_s:.1f}/s"


def _as_wide_as_shown(character: str) -> str:
    return character + _SECOND_COLUMN if _columns_of_character(character) > 1 else character


def _beginning(text: str, width: int) -> str:
    ends = accumulate(map(_columns_of_character, text))
    return text[: sum(end <= width for end in ends)]


def _columns_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
