"""Keep connections for each route, and give each out for one request at a time.

This uses aiohttp's connector, without its session: see `bulk.cloud.wire.transport`.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import aiohttp

from bulk.cloud.wire.aiohttp_errors import FOREIGN_ERRORS
from bulk.cloud.wire.resolving import resolver
from bulk.errors import NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from aiohttp.connector import Connection

    from bulk.cloud.wire.route import Route

__all__ = ["Connections"]

_FAILURES = (*FOREIGN_ERRORS, ValueError)
"""The errors that connecting may raise; a `ValueError`: a host name that no resolver accepts."""


_IDLE_S = 15.0
"""How long an idle connection is kept, as in aiohttp: servers close idle ones too, and then a request is lost."""


class Connections:
    """Connections to any number of endpoints, as an async context manager.

    aiohttp's connector makes them and enforces the limit. Idle ones are kept here, not there: to pass one to the
    connector and back took as long as signing the request. The connector also closes all of them at once.
    """

    def __init__(self, *, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet.

        Args:
            limit: Most connections at the same time; a request that needs another waits.
            clock: Seconds since any moment.
        """
        self._limit = limit
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout()
        self._idle: dict[Route, deque[tuple[Connection, float]]] = {}
        """Route → idle connections, each with the time since when; the longest idle first."""

        self._open = 0
        self._asking = 0
        """How many wait for a new connection, or for another one to close."""

    async def __aenter__(self) -> Self:
        """Make ready; connections follow as they are needed."""
        self._connector = aiohttp.TCPConnector(limit=self._limit, resolver=resolver())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection, and wait until they are closed."""
        for idle in self._idle.values():
            for connection, _ in idle:
                connection.release()
        await self._connector.close()

    async def take(self, route: Route, *, connect_s: float) -> Connection:
        """Return a connection for this route, kept or new, with no unread data on it. Then `keep` or `cut` it.

        Unread data would be taken for the answer to the next request.

        Args:
            route: The route.
            connect_s: Longest time that a new one may take.

        Raises:
            NotSentError: There is none; the message names the proxy, if any, and the system's reason.
        """
        route.require_not_refused()
        for _ in range(self._limit + 1):
            idle = self._idle.get(route)
            if idle:
                connection, since = idle.popleft()
                is_stale = self._clock() - since > _IDLE_S
            else:
                connection, is_stale = await self._connect(route, connect_s), False
            protocol = connection.protocol
            if protocol is not None and protocol.is_connected() and not is_stale and not protocol.should_close:
                return connection
            self._drop(connection)
        raise NotSentError("the server at this address sends data before it is asked", code="unasked_answer")

    async def _connect(self, route: Route, connect_s: float) -> Connection:
        if connect_s != self._timeout.connect:
            self._timeout = aiohttp.ClientTimeout(connect=connect_s)
        if self._open + self._asking >= self._limit:
            self._drop_longest_idle()
        self._asking += 1
        try:
            connection = await self._connector.connect(route.asks, [], self._timeout)
        except _FAILURES as exc:
            error = route.unconnected(exc)
        else:
            self._open += 1
            route.connected()
            return connection
        finally:
            self._asking -= 1
        # Raised outside the except block: aiohttp's error must not be even the context of this one, as it may hold
        # anything.
        raise error

    def keep(self, route: Route, connection: Connection) -> None:
        """Take back a connection that has just worked, for the next request."""
        protocol = connection.protocol
        if protocol is None or protocol.should_close or self._open + self._asking > self._limit:
            self._drop(connection)
        elif (idle := self._idle.get(route)) is not None:
            idle.append((connection, self._clock()))
        else:
            self._idle[route] = deque([(connection, self._clock())])

    def cut(self, route: Route, connection: Connection) -> None:
        """Close a connection so that a request which is still on its way is not delivered later.

        What breaks one connection of a route breaks all of them, so the idle ones are not used any more. Connections of
        other routes stay: an endpoint that is down must not affect another.
        """
        transport = connection.transport
        if transport is not None:
            with suppress(OSError):  # it is closed already
                # A linger time of zero makes the kernel drop unsent data and reset the connection.
                if (below := transport.get_extra_info("socket")) is not None:
                    below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        self._drop(connection)
        idle = self._idle.get(route)
        while idle:
            self._drop(idle.popleft()[0])

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._open -= 1

    def _drop_longest_idle(self) -> None:
        """Make room for a connection of another route, if one has more than it needs."""
        waiting = [idle for idle in self._idle.values() if idle]
        if waiting:
            self._drop(min(waiting, key=lambda idle: idle[0][1]).popleft()[0])
