"""Release requests in their order, as their pace allows. Owns the queue and one timer; decides nothing about rates."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.control.pace import Pace
    from bulk.control.sharing import SharedPace

__all__ = ["Gate", "Turn", "always"]

SHORTEST_WAIT_S = 0.003
"""Shortest time of a timer: at a high rate, waking up for each request would cost more than sending it."""

LATE_S = 0.002
"""A request that leaves later than this after its release is noted as released when it leaves."""


_LONG_AGO = -math.inf


def always() -> bool:
    """Say that a request may leave: no other machine works on these accounts."""
    return True


class Gate:
    """A queue, first in first out, in front of a pace. It belongs to the event loop that first awaits it."""

    def __init__(
        self,
        pace: Pace | SharedPace,
        *,
        clock: Callable[[], float] = time.monotonic,
        may_send: Callable[[], bool] = always,
    ) -> None:
        """Start open.

        Args:
            pace: Says when the next request may leave.
            clock: The clock that ``pace`` was started with. Not the loop's own: uvloop's clock does not move between
                two turns. It would date a release before the stall that delayed it.
            may_send: Asked at the last possible moment before a request leaves.
        """
        self._pace = pace
        self._clock = clock
        self.may_send = may_send
        """Whether this process has the right to send."""

        self._queue: deque[asyncio.Future[float | None]] = deque()
        self._owners: dict[asyncio.Future[float | None], object] = {}
        """Owners of the places in the queue, for requests that named one."""

        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._underway: deque[float] = deque(maxlen=math.ceil(pace.per_s))
        """Release times of requests that have not left yet, as far back as the pace remembers."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their release now."""
        return len(self._queue)

    @property
    def per_s(self) -> float:
        """Requests a second in the settings; 0: unlimited."""
        return self._pace.per_s

    @property
    def rate_per_s(self) -> float:
        """Requests a second that are allowed now; 0: unlimited."""
        return self._pace.rate_per_s

    async def acquire(self, owner: object = None) -> float | None:
        """Wait until one request may leave.

        Args:
            owner: Who waits: see `send_home`.

        Returns:
            When it was released, by the given clock: send exactly one request, at once. ``None``: the gate was closed
            or the owner was sent home; send nothing.
        """
        if self._closed:
            return None
        if not self._queue:
            now = self._clock()
            if not (wait_s := self._pace.take(now)):
                self._underway.append(now)
                return now
            self._arm(wait_s)
        return await self._wait_in_line(owner)

    def leave(self, released_at: float) -> float | None:
        """Say whether a request that was released then may leave now; if so, send it at once.

        A connection or a key may have been slow. A request that leaves late is noted as released when it leaves. If its
        place in the window is over by then, it takes the place of a request that is not ready yet. If there is none, it
        has missed its turn. Every request misses its turn while this process has no right to send.

        Returns:
            When the pace counts the request as released; ``None``: it has missed its turn.
        """
        if not self.may_send():
            return None
        if not self._pace.per_s:
            return released_at
        now = self._clock()
        is_kept = self._take_from_underway(released_at)
        if is_kept and now - released_at <= LATE_S:
            return released_at
        if self._pace.release_late(released_at if is_kept else _LONG_AGO, now):
            return now
        while self._underway:
            if self._pace.release_late(self._underway.popleft(), now):
                return now
        return None

    def give_back(self, released_at: float) -> None:
        """Take back what `acquire` gave: no request left, and none will."""
        if self._take_from_underway(released_at):
            self._pace.give_back(released_at)

    def _take_from_underway(self, released_at: float) -> bool:
        """Remove a release; ``False``: another request has taken its place."""
        if released_at not in self._underway:
            return False
        self._underway.remove(released_at)
        return True

    def answered(self, released_at: float) -> None:
        """Tell the pace that the answer to a released request arrived just now; the request was carried out."""
        if self._pace.per_s:
            self._pace.answered(released_at, self._clock())

    async def _wait_in_line(self, owner: object) -> float | None:
        released_at = await self._place(self._queue.append, owner)
        while released_at is not None and not self._closed:
            # The loop may have stalled between this request's release and its leaving: the time of leaving counts.
            if (now := self._clock()) - released_at <= LATE_S:
                self._underway.append(released_at)
                return released_at
            if self._pace.postpone(released_at, now):
                self._underway.append(now)
                return now
            self._arm(0.0)
            released_at = await self._place(self._queue.appendleft, owner)
        return None

    async def _place(self, enter: Callable[[asyncio.Future[float | None]], None], owner: object) -> float | None:
        place: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        enter(place)
        self._owners[place] = owner
        try:
            return await place
        except asyncio.CancelledError:
            self._leave_line(place)
            raise
        finally:
            del self._owners[place]

    def _leave_line(self, place: asyncio.Future[float | None]) -> None:
        """Give up a place in the queue; a request that was released but can't leave passes its release on."""
        if place.cancelled():
            with contextlib.suppress(ValueError):  # the timer has already skipped it
                self._queue.remove(place)
        elif (released_at := place.result()) is not None:
            self._let_out_next(released_at)

    def _let_out_next(self, released_at: float | None) -> bool:
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(released_at)
                return True
        return False

    def _arm(self, wait_s: float) -> None:
        if self._timer is None:
            # In whole milliseconds, rounded up: uvloop rounds to the nearest, and would often wake too early.
            delay_s = max(SHORTEST_WAIT_S, math.ceil(wait_s * 1000) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._let_out_due)

    def _let_out_due(self) -> None:
        self._timer = None
        now = self._clock()
        while self._queue:
            if self._queue[0].done():  # it was cancelled, and is still in the queue
                self._queue.popleft()
            elif wait_s := self._pace.take(now):
                self._arm(wait_s)
                return
            else:
                self._let_out_next(now)

    def close(self) -> None:
        """Send all requests in the queue home at once, and all that come later."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._let_out_next(None):
            pass

    def send_home(self, owner: object) -> None:
        """Send home the requests in the queue that wait for this owner; the others move up."""
        theirs = [place for place in self._queue if self._owners.get(place) is owner]
        for place in theirs:
            self._queue.remove(place)
            if not place.done():
                place.set_result(None)

    def throttled(self, retry_after_s: float | None) -> bool:
        """Tell the pace that a reply was throttled.

        Args:
            retry_after_s: The pause that the platform asked for, if it did.

        Returns:
            True: the rate was lowered just now.
        """
        return self._pace.throttled(self._clock(), retry_after_s=retry_after_s)

    def succeeded(self) -> bool:
        """Tell the pace that a request was carried out.

        Returns:
            True: the rate was raised just now.
        """
        return self._pace.succeeded(self._clock())


class Turn:
    """One request's turn at a gate: released, left, answered."""

    __slots__ = ("_gate", "_released_at", "left_s")

    def __init__(self, gate: Gate, released_at: float) -> None:
        """Begin with what `Gate.acquire` gave."""
        self._gate = gate
        self._released_at = released_at
        self.left_s: float | None = None
        """When the pace counts it as sent, by the gate's clock; ``None``: it has not left."""

    def leave(self) -> bool:
        """Say whether it may leave now; see `Gate.leave`."""
        left_at = self._gate.leave(self._released_at)
        if left_at is None:
            return False
        self._released_at = self.left_s = left_at
        return True

    def answered(self) -> None:
        """Note that it was carried out, and its answer came just now."""
        self._gate.answered(self._released_at)
