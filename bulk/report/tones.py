"""How a word is coloured, whatever shows it: a terminal, a page, or nothing that has colours."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

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

_BAD = frozenset({Outcome.FAILED, Outcome.INVALID, Outcome.UNKNOWN})


def plain(text: str, tone: Tone) -> str:  # noqa: ARG001 - the tone is what it leaves out
    """Be the paint of a screen without colours."""
    return text


def tone_of(outcome: Outcome) -> Tone:
    """Return how an outcome is coloured."""
    if outcome in PROVISIONED_OUTCOMES:
        return Tone.GOOD
    return Tone.BAD if outcome in _BAD else Tone.WARNING
