"""Tell how fast a count grows. Pure: the clock is given."""

from __future__ import annotations

from collections import deque

__all__ = ["Speed"]

_FEWEST_POINTS = 2
"""A speed needs two."""


class Speed:
    """How fast a growing count grows, over a sliding span."""

    def __init__(self, span_s: float, *, since: float, count: int = 0) -> None:
        """Start with a count.

        Args:
            span_s: How far back is looked.
            since: Now, on the clock that every look is told.
            count: What is counted so far.
        """
        self._span_s = span_s
        self._points = deque([(since, count)])

    def look(self, now: float, count: int) -> float:
        """Note the count and return its growth a second since the oldest note inside the span."""
        self._points.append((now, count))
        # The last note before the span stays: without it a quiet span would have nothing to compare with.
        while len(self._points) > _FEWEST_POINTS and self._points[1][0] <= now - self._span_s:
            self._points.popleft()
        then, before = self._points[0]
        return (count - before) / (now - then) if now > then else 0.0
