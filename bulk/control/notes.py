"""What processes that share a window write to each other. Pure: values only."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Kind", "Note"]


class Kind(IntEnum):
    """What a note says of its moment. Written to files that other processes read: never renumber a value."""

    RELEASED = 1  #: a request counts as released then
    DROPPED = 2  #: a request that counted as released then does not count any more
    MOVED = 3  #: a dropped request counts as released then
    PAUSED = 4  #: the platform asked for a pause until then


Note = tuple[int, float]
"""A kind, and a moment in seconds of a clock that all the processes read."""
