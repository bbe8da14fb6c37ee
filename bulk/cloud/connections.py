"""Keep connections of the ways that requests take, and give each out for one request at a time.

On aiohttp's connector, below its session: see `bulk.cloud.transport`.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import aiohttp

from bulk.cloud.aiohttp_errors import FOREIGN_ERRORS
from bulk.cloud.resolving import resolver
from bulk.errors import NotSentError

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from bulk.cloud.route import Route

__all__ = ["Connections"]

_FAILURES = (*FOREIGN_ERRORS, ValueError)
"""What a connection fails with; a `ValueError`: a host name that no resolver takes."""


class Connections:
    """Connections to any number of endpoints, as an async context manager."""

    def __init__(self, *, limit: int) -> None:
        """Open nothing yet.

        Args:
            limit: Most connections side by side; who needs another waits.
        """
        self._limit = limit
        self._timeout = aiohttp.ClientTimeout()
        self._losses_at_last_use: dict[ResponseHandler, int] = {}
        """Of each kept connection: how many losses its way had had when it was last good."""

    async def __aenter__(self) -> Self:
        """Make ready; connections follow as they are needed."""
        self._connector = aiohttp.TCPConnector(limit=self._limit, resolver=resolver())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._connector.close()

    async def take(self, route: Route, *, connect_s: float) -> Connection:
        """Return a connection of this way, kept or new, that nothing lies on; `keep` or `cut` it.

        aiohttp looks for an answer that nobody asked for when a connection comes back, but not when it is given out
        again; it would pass for the next request's.

        Args:
            route: The way.
            connect_s: Longest time that a new one may take.

        Raises:
            NotSentError: There is none, in words that name the proxy, if any, and the system's reason.
        """
        if connect_s != self._timeout.connect:
            self._timeout = aiohttp.ClientTimeout(connect=connect_s)
        for _ in range(self._limit + 1):
            route.require_not_refused()
            try:
                connection = await self._connector.connect(route.asks, [], self._timeout)
            except _FAILURES as exc:
                error = route.unconnected(exc)
                break
            protocol = connection.protocol
            if (
                protocol is not None
                and not protocol.should_close
                # It is new, or was good since the last loss: what takes one connection of a way away takes all.
                and self._losses_at_last_use.get(protocol, route.losses) == route.losses
            ):
                route.connected()
                return connection
            connection.close()
        else:
            error = NotSentError("what answers at this address speaks before it is asked", code="unasked_answer")
        # Raised out here, so that aiohttp's error is not even the context of ours: nobody knows what it holds.
        raise error

    def keep(self, connection: Connection, route: Route) -> None:
        """Take a connection of this way back that was good just now, for the next request."""
        protocol = connection.protocol
        if protocol is not None:
            self._losses_at_last_use[protocol] = route.losses
            if len(self._losses_at_last_use) > 2 * self._limit:
                self._forget_closed()
        connection.release()

    def cut(self, connection: Connection, route: Route) -> None:
        """Close a connection of this way so that a request which is still on its way is not delivered later."""
        route.losses += 1
        transport = connection.transport
        if transport is not None:
            with suppress(OSError):  # it is closed already
                # Lingering for no time makes the kernel forget what it has not sent yet, and reset the connection.
                if (below := transport.get_extra_info("socket")) is not None:
                    below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        connection.close()

    def _forget_closed(self) -> None:
        """Not weak references: to note each use would cost as much as to look at the connection."""
        known = self._losses_at_last_use
        self._losses_at_last_use = {protocol: losses for protocol, losses in known.items() if protocol.is_connected()}
