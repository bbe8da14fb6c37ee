"""Measure how fast a count grows. Pure: the caller gives the time."""

from __future__ import annotations

from collections import deque

__all__ = ["Speed"]

_FEWEST_POINTS = 2
"""Fewest notes from which a speed can be worked out."""


class Speed:
    """How fast a count grows, over a sliding span."""

    def __init__(self, span_s: float, *, since: float, count: int = 0) -> None:
        """Start with a count.

        Args:
            span_s: Length of the span, in seconds.
            since: Present time, of the same clock as in every `look`.
            count: The count so far.
        """
        self._span_s = span_s
        self._points = deque([(since, count)])

    def look(self, now: float, count: int) -> float:
        """Note the count and return its growth a second since the oldest note inside the span."""
        self._points.append((now, count))
        # Keep the last note before the span: without it, a span without notes has nothing to compare with.
        while len(self._points) > _FEWEST_POINTS and self._points[1][0] <= now - self._span_s:
            self._points.popleft()
        then, before = self._points[0]
        return (count - before) / (now - then) if now > then else 0.0
