"""Tones of words, independent of the medium: a terminal, a page, or plain text without colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from bulk.model import PROVISIONED_OUTCOMES, Outcome

__all__ = ["Paint", "Tone", "plain", "tone_of"]


class Tone(StrEnum):
    """Meaning of a word's colour; the page's CSS classes have these names."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    HEADING = "heading"


Paint = Callable[[str, Tone], str]
"""Adds a tone to a text, in a form that the terminal understands."""

_WAITING = (
    Outcome.PENDING,
    Outcome.SENDING,
    Outcome.DRIFTED,
    Outcome.MOVED,
    Outcome.WITHHELD,
    Outcome.OVER_BUDGET,
)

_TONES: Mapping[Outcome, Tone] = MappingProxyType(
    dict.fromkeys(PROVISIONED_OUTCOMES, Tone.GOOD)
    | dict.fromkeys((*_WAITING, Outcome.DELETED, Outcome.SURPLUS), Tone.WARNING)
    | dict.fromkeys((Outcome.FAILED, Outcome.INVALID, Outcome.UNKNOWN), Tone.BAD)
)


def plain(text: str, tone: Tone) -> str:  # noqa: ARG001 - the tone is what it leaves out
    """Return the text as it is: the `Paint` of a screen without colours."""
    return text


def tone_of(outcome: Outcome) -> Tone:
    """Return the tone of an outcome."""
    return _TONES[outcome]
