"""Numbers, times and outcomes in words, the same on every screen."""

from __future__ import annotations

import textwrap
import unicodedata
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

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
    return textwrap.wrap(text, width, subsequent_indent=f"{indent}  ", break_on_hyphens=False, break_long_words=False)


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
        return f"exit code {run.exit_code}" + (f", stopped: {run.stopped}" if run.stopped else "")
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


def _beginning(text: str, width: int) -> str:
    taken = 0
    for at, character in enumerate(text):
        taken += _columns_of_character(character)
        if taken > width:
            return text[:at]
    return text


def _columns_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
