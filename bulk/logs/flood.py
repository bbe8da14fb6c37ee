"""Reduce events that come many times a second: write one line of a kind now and then, with the count of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Flood"]

_FLOOD_SPAN_S = 5.0
"""One kind of warning is logged at most once in this time, with the count of events."""

_LONGEST_SPAN_S = 60.0
"""Longest span; it doubles up to this while a kind goes on: a night of throttling must not be a thousand lines."""


@dataclass(slots=True)
class Flood:
    """Allows one line of a kind per time span, and counts what it held back."""

    clock: Callable[[], float]
    _spans: dict[tuple[str, ...], tuple[float, float]] = field(default_factory=dict)
    """Kind → when its next line may be written, and the span after that."""

    _held: dict[tuple[str, ...], int] = field(default_factory=dict)

    def admit(self, kind: tuple[str, ...]) -> int:
        """Return how many events a line written now covers; 0: don't write one."""
        now = self.clock()
        next_at, span_s = self._spans.get(kind, (now, _FLOOD_SPAN_S))
        count = self._held.pop(kind, 0) + 1
        if now < next_at:
            self._held[kind] = count
            return 0
        # Quiet for a whole span: what comes now is news again.
        span_s = _FLOOD_SPAN_S if now >= next_at + span_s else span_s
        self._spans[kind] = (now + span_s, min(2 * span_s, _LONGEST_SPAN_S))
        return count

    def drain(self) -> dict[tuple[str, ...], int]:
        """Return what was held back since the last lines, and forget it."""
        held, self._held = self._held, {}
        return held
