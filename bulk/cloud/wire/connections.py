"""Keep connections of the ways that requests take, and give each out for one request at a time.

On aiohttp's connector, below its session: see `bulk.cloud.wire.transport`.
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
"""What a connection fails with; a `ValueError`: a host name that no resolver takes."""


_IDLE_S = 15.0
"""How long a connection is kept without a request, as aiohttp does: servers close such too, and requests are lost."""


class Connections:
    """Connections to any number of endpoints, as an async context manager.

    aiohttp's connector makes them and holds them to the limit. Those without a request are kept here and not there: to
    hand one over and back took as long as to sign the request. It also lets them all go at once.
    """

    def __init__(self, *, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet.

        Args:
            limit: Most connections side by side; who needs another waits.
            clock: Seconds since any moment.
        """
        self._limit = limit
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout()
        self._idle: dict[Route, deque[tuple[Connection, float]]] = {}
        """Of each way: connections without a request, and since when, the longest first."""

        self._open = 0
        self._asking = 0
        """How many wait for a connection to be made, or for one less to be open."""

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
        """Return a connection of this way, kept or new, that nothing lies on; `keep` or `cut` it.

        An answer that nobody asked for would pass for the next request's.

        Args:
            route: The way.
            connect_s: Longest time that a new one may take.

        Raises:
            NotSentError: There is none, in words that name the proxy, if any, and the system's reason.
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
        # Raised out here, so that aiohttp's error is not even the context of ours: nobody knows what it holds.
        raise error

    def keep(self, route: Route, connection: Connection) -> None:
        """Take a connection back that was good just now, for the next request."""
        protocol = connection.protocol
        if protocol is None or protocol.should_close or self._open + self._asking > self._limit:
            self._drop(connection)
        elif (idle := self._idle.get(route)) is not None:
            idle.append((connection, self._clock()))
        else:
            self._idle[route] = deque([(connection, self._clock())])

    def cut(self, route: Route, connection: Connection) -> None:
        """Close a connection so that a request which is still on its way is not delivered later.

        What takes one connection of a way away takes all: those without a request are not used any more. Those of
        another way are none of its business: an endpoint that is down costs no other.
        """
        transport = connection.transport
        if transport is not None:
            with suppress(OSError):  # it is closed already
                # Lingering for no time makes the kernel forget what it has not sent yet, and reset the connection.
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
        """Make room for a connection of another way, if one has more than it needs."""
        waiting = [idle for idle in self._idle.values() if idle]
        if waiting:
            self._drop(min(waiting, key=lambda idle: idle[0][1]).popleft()[0])
