"""Open lanes as fast as they are needed, and no faster.

A lane is needed when soon nobody would wait for a request's turn: then the platform would grant one and get none.
More lanes than that would only make listings stale and claims many.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING

from bulk.engine.lane import work_off
from bulk.events import LaneClosed, LaneOpened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bulk.engine.creation import Means
    from bulk.engine.gate import Gate
    from bulk.events import Listener
    from bulk.model import Lane
    from bulk.settings import Settings

__all__ = ["Dispatcher", "most_lanes"]

UNPACED_LANES = 64
"""Lanes side by side where no rate limits them: measured, more don't make the HTTP client faster."""

MOST_LANES = 2_000
"""Lanes side by side at most: a platform that hangs must not pile them up."""

_AHEAD_S = 0.1


def most_lanes(settings: Settings) -> int:
    """Return how many lanes a run may have side by side."""
    if settings.concurrency:
        return settings.concurrency
    return MOST_LANES if settings.qps and settings.list_qps else UNPACED_LANES


class Dispatcher:
    """Keeps just enough lanes open."""

    def __init__(
        self, gates: Iterable[Gate], *, concurrency: int, stop_requested: Callable[[], bool], listener: Listener
    ) -> None:
        """Begin without lanes.

        Args:
            gates: Where lanes wait for their requests' turn.
            concurrency: Lanes side by side at most.
            stop_requested: Says whether no lane must be opened any more.
            listener: Told when a lane is opened or closed.
        """
        self._gates = tuple(gates)
        self._concurrency = concurrency
        self._stop_requested = stop_requested
        self._listener = listener
        self._active = 0
        self._something_moved = asyncio.Event()

    def nudge(self) -> None:
        """Look again whether a lane is needed: a request has left its queue, or the run is stopping."""
        self._something_moved.set()

    async def run(self, lanes: AsyncIterator[Lane], means: Means) -> None:
        """Work all lanes off; open no more once the run is stopping.

        Raises:
            ExceptionGroup: A lane raised; the others were cancelled.
        """
        async with asyncio.TaskGroup() as group:
            async for lane in lanes:
                while not self._needs_lane(means.calls.latency_s) and not self._stop_requested():
                    self._something_moved.clear()
                    await self._something_moved.wait()
                if self._stop_requested():
                    return
                self._active += 1
                group.create_task(self._live(lane, means))

    async def _live(self, lane: Lane, means: Means) -> None:
        self._listener(LaneOpened(lane.product_key, len(lane.rows)))
        try:
            await work_off(lane, means)
        finally:
            self._active -= 1
            self.nudge()
        self._listener(LaneClosed(lane.product_key))

    def _needs_lane(self, latency_s: float) -> bool:
        if self._active >= self._concurrency:
            return False
        return all(gate.waiting < _enough_waiting(gate, latency_s) for gate in self._gates)


def _enough_waiting(gate: Gate, latency_s: float) -> int:
    """Return how many must wait so that none is missing before another lane's first request comes."""
    return max(2, ceil(gate.rate_per_s * (_AHEAD_S + 2 * latency_s)))
