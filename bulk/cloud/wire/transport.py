"""Carry signed requests over HTTP, each exactly once.

This module uses aiohttp's connector and protocol, without its session, for two reasons. A session repeats a request
automatically when a kept connection turns out to be closed, and neither the pace nor the ledger sees it. And a session
costs more than sending and reading (docs/performance.md). The parts used here are not documented, so pyproject.toml
names the versions of aiohttp that the tests have passed with.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from urllib.parse import unquote

from bulk.cloud.signing import string_to_sign, unsigned
from bulk.cloud.wire.aiohttp_errors import FOREIGN_ERRORS, translate, unconnected
from bulk.cloud.wire.connections import Connections
from bulk.cloud.wire.route import Trust, find_route
from bulk.errors import NotSentError, OutcomeUnknownError, TurnMissedError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from types import TracebackType

    import aiohttp
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from bulk.cloud.wire.route import Route

__all__ = ["MAX_REPLY_BYTES", "HttpTransport", "Leave", "Reply", "SignedRequest", "Transport", "at_once"]

MAX_REPLY_BYTES = 1024 * 1024
"""Far more than any reply of the platform: a listing of eleven modules is about 5 KiB."""

Leave = Callable[[], bool]
"""Called when the request is ready to be sent. True: it is sent at once. False: it is too late now."""

_CONNECT_TIMEOUT_S = 5.0
"""As in the official SDK. Connecting has its own limit, so that a dead endpoint differs from a lost reply."""

_TICK_S = 0.05
"""The most by which a timeout may be noticed late."""


def at_once() -> bool:
    """Allow every request at any time: a `Leave` for requests without a pace."""
    return True


class SignedRequest(NamedTuple):
    """One request, sent only once: the platform refuses a second one with the same nonce."""

    method: str
    endpoint: str
    """URL without path, such as ``https://iot.cn-shanghai.aliyuncs.com``."""

    query: str
    """As `cloud.signing.Signer` wrote it. Anyone who reads it can replay it: never show it."""

    def __repr__(self) -> str:
        """Describe the request without its query."""
        return f"SignedRequest({self.method!r}, {self.endpoint!r})"

    @property
    def signature(self) -> str:
        """The signature in plain text: it must be hidden if a reply echoes it."""
        return unquote(self.query.rpartition("&Signature=")[2])

    @property
    def signed_text(self) -> str:
        """The string to sign. The platform echoes its own when it refuses a signature, to compare with this one."""
        return string_to_sign(self.method, unsigned(self.query))


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    """Looked up by names in lower case; read only after a failure."""

    @property
    def is_2xx(self) -> bool:
        """Whether the HTTP status is a success; the body may still say failure."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the numbers are the name

    @property
    def is_redirect(self) -> bool:
        """Whether it is a redirect."""
        return 300 <= self.status < 400  # noqa: PLR2004 - as above


class Transport(Protocol):
    """What carries a request to the platform and brings the answer back."""

    async def send(self, request: SignedRequest, *, timeout_s: float, leave: Leave = at_once) -> Reply:
        """Send the request exactly once and return the answer, whatever its status.

        Args:
            request: Sent byte for byte as it was signed.
            timeout_s: From connecting to the last byte of the answer.
            leave: Called once the connection is ready.

        Raises:
            NotSentError: No request left this machine; repeating is safe.
            OutcomeUnknownError: The request may have been carried out.
            TurnMissedError: No request left, because ``leave`` said that it was too late.
        """
        ...


class HttpTransport:
    """HTTP with kept connections, as an async context manager. TLS is verified, redirects are not followed."""

    def __init__(self, *, limit: int = 64) -> None:
        """Open nothing yet.

        Args:
            limit: Most connections at the same time. Needed: at least as many as there are lanes, or requests wait for
                a connection while their timeout runs.
        """
        self._connections = Connections(limit=limit)
        self._trust = Trust()
        self._routes: dict[tuple[str, str], Route] = {}
        """Endpoint and method → the route of such requests."""

    async def __aenter__(self) -> Self:
        """Make ready; connections follow as they are needed."""
        await self._connections.__aenter__()
        self._deadlines = _Deadlines()
        self._opening: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held by the first request of each route; requests to another endpoint do not wait for it."""

        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._connections.__aexit__(exc_type, exc, traceback)

    def send(self, request: SignedRequest, *, timeout_s: float, leave: Leave = at_once) -> Coroutine[Any, Any, Reply]:
        """See `Transport.send`."""
        route = self._routes.get((request.endpoint, request.method))
        if route is None or not route.is_open:
            return self._open_and_send(request, timeout_s, leave)
        return self._send(route, request, timeout_s, leave)

    async def _open_and_send(self, request: SignedRequest, timeout_s: float, leave: Leave) -> Reply:
        """Find the route. The first request goes alone: a proxy that refuses the password then sees it only once."""
        way = request.endpoint, request.method
        line = self._opening[way]
        await self._first_in_line(line, request, timeout_s)
        try:
            route = self._routes.get(way)
            if route is None:
                route = self._routes[way] = await find_route(*way, trust=self._trust)
            if route.has_tunnel:
                self._connections.keep(route, await self._connections.take(route, connect_s=_connect_s(timeout_s)))
            if not route.is_open:  # only an answer shows whether the proxy lets requests through
                return await self._send(route, request, timeout_s, leave)
        finally:
            line.release()
        return await self._send(route, request, timeout_s, leave)

    async def _first_in_line(self, line: asyncio.Lock, request: SignedRequest, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await line.acquire()
        except TimeoutError as exc:
            error = unconnected(exc, request.endpoint)
        else:
            return
        raise error

    async def _send(self, route: Route, request: SignedRequest, timeout_s: float, leave: Leave) -> Reply:
        deadline = asyncio.get_running_loop().time() + timeout_s
        connection = await self._connections.take(route, connect_s=_connect_s(timeout_s))
        if not leave():
            self._connections.keep(route, connection)
            raise TurnMissedError("connecting or renewing the credentials took too long every time")
        try:
            reply = await self._exchange(connection, route.head(request.query), deadline)
        except FOREIGN_ERRORS as exc:
            self._connections.cut(route, connection)
            error = translate(exc, request.endpoint)
        except BaseException:
            self._connections.cut(route, connection)
            raise
        else:
            self._connections.keep(route, connection)
            if route.proxy is not None:
                route.answered(reply.status, reply.headers)
            return reply
        # Raised outside the except block: aiohttp's error must not be even the context of this one, as it may hold
        # anything.
        raise error

    async def _exchange(self, connection: Connection, head: bytes, deadline: float) -> Reply:
        """Write a request and read its answer.

        Args:
            connection: Just taken from the connector.
            head: The request.
            deadline: For the last byte, by the event loop's clock.

        Raises:
            OutcomeUnknownError: The answer is too long.
            TimeoutError: It is not complete by then.
        """
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise NotSentError("the connection was closed before it was used", code="not_connected")
        protocol.set_response_params(read_until_eof=True)
        transport.write(head)
        self._deadlines.add(protocol, deadline)
        try:
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004 - they announce the answer
                message, content = await protocol.read()
        finally:
            self._deadlines.drop(protocol)
        body = content.read_nowait() if content.is_eof() else b""  # usually all of it arrives at once
        if not content.at_eof():
            async with asyncio.timeout_at(deadline):
                body = await _read_rest(content, body)
        if len(body) > MAX_REPLY_BYTES:
            raise OutcomeUnknownError(f"the reply is longer than {MAX_REPLY_BYTES} bytes", code="reply_too_large")
        return Reply(message.code, body, message.headers)


def _connect_s(timeout_s: float) -> float:
    """Return how much of a request's time connecting may take."""
    return min(_CONNECT_TIMEOUT_S, timeout_s / 2)


class _Deadlines:
    """One timer for all outstanding answers: a timer for each took 10 of 150 µs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: dict[ResponseHandler, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, protocol: ResponseHandler, deadline: float) -> None:
        """End the wait for a protocol's answer with `TimeoutError` soon after the deadline."""
        self._due[protocol] = deadline
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_S, self._look)

    def drop(self, protocol: ResponseHandler) -> None:
        """Forget a protocol: its answer arrived, or nobody waits for it any more."""
        del self._due[protocol]

    def _look(self) -> None:
        now = self._loop.time()
        for protocol, deadline in self._due.items():
            if deadline <= now:
                protocol.set_exception(TimeoutError())
        self._timer = self._loop.call_later(_TICK_S, self._look) if self._due else None


async def _read_rest(content: aiohttp.StreamReader, body: bytes) -> bytes:
    while len(body) <= MAX_REPLY_BYTES and (part := await content.readany()):
        body += part
    return body
