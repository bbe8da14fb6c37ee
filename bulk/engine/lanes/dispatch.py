"""Open lanes as fast as they are needed, and no faster.

A lane is needed when soon no request would be waiting for its turn: the platform would then grant a request that nobody
sends. More lanes would only make listings stale and add claims.
"""

from __future__ import annotations

import asyncio
import resource
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from bulk.events import ConnectionsShort, LaneClosed, LaneOpened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bulk.engine.sessions.gate import Gate
    from bulk.engine.sessions.session import Session
    from bulk.events import Listener
    from bulk.model import Lane
    from bulk.settings import Settings

__all__ = ["Dispatcher", "first_of", "lanes_of_each", "most_lanes"]

_Lane = TypeVar("_Lane", bound="Lane")

UNPACED_LANES = 64
"""Lanes in parallel if no rate limits them: measured, more don't make the HTTP client faster."""

MOST_LANES = 2_000
"""Maximum of lanes in parallel: a platform that hangs must not pile them up."""

_OTHER_FILES = 64
"""Open files other than connections: ledger, log, input, the shared rate of each action, and a program's own files."""

_FILES_OF_A_SESSION = 5
"""Open files of a session besides its connections: it reads the ledger and shares its rates through them."""

_MOST_OF_EACH = 200
"""Maximum of lanes of each session if there are several: at 10 a second, 20 seconds of a platform that hangs."""

_ENOUGH_CONNECTIONS = 4
"""With fewer a session may not reach its rate."""

_AHEAD_S = 0.1


def most_lanes(settings: Settings) -> int:
    """Return how many lanes a run may have in parallel."""
    if settings.concurrency:
        return settings.concurrency
    return min(_most_connections(), MOST_LANES if settings.qps and settings.list_qps else UNPACED_LANES)


def lanes_of_each(settings: Settings, *, sessions: int, listener: Listener) -> int:
    """Return how many lanes each session may have, so that none can take the connections of another.

    Args:
        settings: The job's settings.
        sessions: How many sessions work in parallel.
        listener: Learns if the system's limit of open files leaves less than a session needs.
    """
    if sessions == 1 or settings.concurrency:
        return most_lanes(settings)
    most = _MOST_OF_EACH if settings.qps and settings.list_qps else UNPACED_LANES
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    ends = 2 if settings.sandbox else 1
    left = files - _OTHER_FILES - _FILES_OF_A_SESSION * sessions
    each = max(1, min(left // (ends * sessions), most))
    if each < _ENOUGH_CONNECTIONS:
        listener(ConnectionsShort(files=files, accounts=sessions, each=each))
    return each


def _most_connections() -> int:
    """Return how many connections the system's limit of open files allows, if it has one."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_LANES
    # Two files for each connection: in a rehearsal the sandbox holds the other end.
    return max(1, (files - _OTHER_FILES) // 2)


class Dispatcher:
    """Keeps just enough lanes of one session open: a busy session does not delay others."""

    def __init__(self, session: Session, *, concurrency: int) -> None:
        """Begin without lanes.

        Args:
            session: Owner of the lanes. It knows how long requests take, how many wait, and when to stop.
            concurrency: Maximum of lanes in parallel.
        """
        self._gates = tuple(session.group.gates.values())
        self._calls = session.calls
        self._concurrency = concurrency
        self._stop = session.stop
        self._listener = session.listener
        self._account = session.account
        self._active = 0
        self._something_moved = asyncio.Event()
        self._waiting = False
        self._calls.on_progress = self._nudge
        self._stop.follow(self._nudge)

    def _nudge(self) -> None:
        """Check again whether a lane is needed."""
        # Checked here, since most requests change nothing: each wake-up of the dispatcher costs a turn of the loop.
        if self._waiting and (self._stop.requested or self._needs_lane()):
            self._something_moved.set()

    async def run(self, lanes: AsyncIterator[_Lane], work: Callable[[_Lane], Awaitable[None]]) -> None:
        """Do ``work`` for all lanes, in their order; open none once the run is stopping.

        An error of the lanes' source, or of the work for one lane, is raised unchanged; the other lanes are cancelled.
        """
        try:
            await self._open_and_wait(lanes, work)
        except BaseExceptionGroup as group:
            # One error ended the others: the operator needs its message, not that of a group.
            raise first_of(group) from None

    async def _open_and_wait(self, lanes: AsyncIterator[_Lane], work: Callable[[_Lane], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            async for lane in lanes:
                while not self._stop.requested and not self._needs_lane():
                    await self._wait_for_a_nudge()
                if self._stop.requested:
                    return
                self._active += 1
                group.create_task(self._live(lane, work))
                await asyncio.sleep(0)  # until it is in its first queue: whether another lane is needed depends on that

    async def _wait_for_a_nudge(self) -> None:
        self._something_moved.clear()
        self._waiting = True
        try:
            await self._something_moved.wait()
        finally:
            self._waiting = False

    async def _live(self, lane: _Lane, work: Callable[[_Lane], Awaitable[None]]) -> None:
        self._listener(LaneOpened(lane.product_key, len(lane.rows), self._account))
        try:
            await work(lane)
        finally:
            self._active -= 1
            self._nudge()
        self._listener(LaneClosed(lane.product_key, self._account))

    def _needs_lane(self) -> bool:
        if not self._active:
            return True  # only other sessions of the rate group wait at these gates, and they don't wake this one
        if self._active >= self._concurrency or self._calls.held_back:
            return False
        latency_s = self._calls.latency_s
        return all(gate.waiting < _enough_waiting(gate, latency_s) for gate in self._gates)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first cause in a group of errors, which may hold groups."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _enough_waiting(gate: Gate, latency_s: float) -> int:
    """Return how many requests must wait so that a turn is never unused before a new lane's first request."""
    return max(2, ceil(gate.rate_per_s * (_AHEAD_S + 2 * latency_s)))
