"""Let requests out in their order, as their pace allows. Owns the queue and one timer; decides nothing about rates."""

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
"""A timer is set no closer: waking for each request of a high rate would cost more than sending it."""

LATE_S = 0.002
"""A request that goes later than this after it was let out is noted as released when it goes."""


_LONG_AGO = -math.inf


def always() -> bool:
    """Say that a request may leave: nobody else has these accounts."""
    return True


class Gate:
    """A queue, first come first served, in front of a pace. Bound to the event loop that it is first awaited on."""

    def __init__(
        self,
        pace: Pace | SharedPace,
        *,
        clock: Callable[[], float] = time.monotonic,
        may_send: Callable[[], bool] = always,
    ) -> None:
        """Stand open.

        Args:
            pace: Says when the next request may leave.
            clock: The clock that ``pace`` was started with. Not the loop's own: uvloop's stands still between two
                turns, so that it would date a release before the stall that delayed it.
            may_send: Asked when a request leaves, at the last moment that there is.
        """
        self._pace = pace
        self._clock = clock
        self.may_send = may_send
        """Whether the right to send is this process's."""

        self._queue: deque[asyncio.Future[float | None]] = deque()
        self._owners: dict[asyncio.Future[float | None], object] = {}
        """Of those in the queue, where they said it."""

        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._underway: deque[float] = deque(maxlen=math.ceil(pace.per_s))
        """When those were let out that have not left yet, as far as the pace remembers."""

    @property
    def waiting(self) -> int:
        """How many wait to be let out now."""
        return len(self._queue)

    @property
    def per_s(self) -> float:
        """Requests a second that were asked for; 0: unlimited."""
        return self._pace.per_s

    @property
    def rate_per_s(self) -> float:
        """Requests a second in force now; 0: unlimited."""
        return self._pace.rate_per_s

    async def acquire(self, owner: object = None) -> float | None:
        """Wait until one request may leave.

        Args:
            owner: Who waits: see `send_home`.

        Returns:
            When it was let out, by the given clock: send exactly one, at once. ``None``: the gate was closed or its
            owner sent home, send nothing.
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
        """Say whether what was let out then may leave now; it does so at once.

        A connection or a key may have taken its time. What leaves late is noted as released when it leaves. One whose
        place in the window is over by then takes that of another who is not ready yet; if there is none, it has missed
        its turn. So has every request while there is no right to send.

        Returns:
            When the pace counts it as released; ``None``: it has missed its turn.
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
        """Strike one off; ``False``: another has taken its place."""
        if released_at not in self._underway:
            return False
        self._underway.remove(released_at)
        return True

    def answered(self, released_at: float) -> None:
        """Tell the pace that the answer of a request that it let out came just now; the request was carried out."""
        if self._pace.per_s:
            self._pace.answered(released_at, self._clock())

    async def _wait_in_line(self, owner: object) -> float | None:
        released_at = await self._place(self._queue.append, owner)
        while released_at is not None and not self._closed:
            # The loop may have stalled between letting this one out and its going: what counts is when it goes.
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
        """Give up a place in the queue; whoever was let out already and can't go hands that on."""
        if place.cancelled():
            with contextlib.suppress(ValueError):  # the timer has passed over it already
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
            # In whole milliseconds, rounded up: uvloop would round to the nearest, and wake too early half of the time.
            delay_s = max(SHORTEST_WAIT_S, math.ceil(wait_s * 1000) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._let_out_due)

    def _let_out_due(self) -> None:
        self._timer = None
        now = self._clock()
        while self._queue:
            if self._queue[0].done():  # it was cancelled, and has not gone yet
                self._queue.popleft()
            elif wait_s := self._pace.take(now):
                self._arm(wait_s)
                return
            else:
                self._let_out_next(now)

    def close(self) -> None:
        """Send everyone in the queue home, and everyone who comes later, at once."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._let_out_next(None):
            pass

    def send_home(self, owner: object) -> None:
        """Send those in the queue home that wait for this owner; the others move up."""
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
    """One request's turn at a gate: let out, gone, answered."""

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
