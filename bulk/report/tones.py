"""How a word is coloured, whatever shows it: a terminal, a page, or nothing that has colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from bulk.model import PROVISIONED_OUTCOMES, Outcome

__all__ = ["Paint", "Tone", "plain", "tone_of"]


class Tone(StrEnum):
    """What a coloured word says before it is read; the page's classes are called so."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    HEADING = "heading"


Paint = Callable[[str, Tone], str]
"""Gives a text its tone, by whatever the terminal understands."""

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
    """Be the paint of a screen without colours."""
    return text


def tone_of(outcome: Outcome) -> Tone:
    """Return how an outcome is coloured."""
    return _TONES[outcome]
