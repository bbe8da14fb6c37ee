"""Carry signed requests over HTTP: the only client of aiohttp, and the only place that knows its errors."""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import http_exceptions
from yarl import URL

from bulk.cloud.dialects import is_loopback
from bulk.cloud.redaction import shown_address
from bulk.cloud.signing import string_to_sign, unsigned
from bulk.errors import NotSentError, OutcomeUnknownError, TransportError, TurnMissedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = [
    "LATE_S",
    "MAX_REPLY_BYTES",
    "HttpTransport",
    "Reply",
    "SignedRequest",
    "Transport",
    "proxy_for",
    "translate",
]

MAX_REPLY_BYTES = 1024 * 1024
"""No reply of the platform comes near: a listing of eleven modules is some 5 KiB."""

LATE_S = 0.005
"""How much later than it was let out a request may leave: far less than latencies differ anyway."""

_CONNECT_TIMEOUT_S = 5.0
"""The official SDK's. A bound of its own, so that a dead endpoint is told from a lost reply."""


class SignedRequest(NamedTuple):
    """One request, to be sent once: its nonce makes a second sending a refused one."""

    method: str
    endpoint: str
    """URL without path, such as ``https://iot.cn-shanghai.aliyuncs.com``."""

    query: str
    """As `cloud.signing.Signer` wrote it. Whoever reads it can replay it: never show it."""

    def __repr__(self) -> str:
        """Leave the query out."""
        return f"SignedRequest({self.method!r}, {self.endpoint!r})"

    @property
    def signature(self) -> str:
        """What proves it, plain: to be hidden where a reply echoes it."""
        return unquote(self.query.rpartition("&Signature=")[2])

    @property
    def signed_text(self) -> str:
        """The string to sign, to compare with the one that the platform echoes when it refuses a signature."""
        return string_to_sign(self.method, unsigned(self.query))


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    """Looked up by names in lower case; read only where something went wrong."""

    @property
    def is_2xx(self) -> bool:
        """Whether HTTP calls it a success; the body may think otherwise."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the numbers are the name

    @property
    def is_redirect(self) -> bool:
        """Whether it points somewhere else."""
        return 300 <= self.status < 400  # noqa: PLR2004 - as above


class Transport(Protocol):
    """What carries a request to the platform and brings the answer back."""

    async def send(self, request: SignedRequest, *, timeout_s: float) -> Reply:
        """Send the request exactly once and return the answer, whatever its status.

        Args:
            request: Goes out byte for byte as it was signed.
            timeout_s: From connecting to the last byte of the answer.

        Raises:
            NotSentError: No request left this machine; repeating is safe.
            OutcomeUnknownError: The request may have been carried out.
            TurnMissedError: No request left, as it would have left late; only where the transport is a punctual one.
        """
        ...


class HttpTransport:
    """HTTP with kept connections, as an async context manager. TLS is verified, redirects are not followed."""

    def __init__(self, *, limit: int = 64, punctual: bool = False) -> None:
        """Open nothing yet.

        Args:
            limit: Most connections side by side; at least as many as there are lanes, or requests wait in line
                while their timeout runs.
            punctual: Send a request at once or not at all: none that has waited for its connection to be made.
        """
        self._limit = limit
        self._connector_class = _PunctualConnector if punctual else _Connector
        self._route: _Route | None = None
        self._timeout = aiohttp.ClientTimeout()

    async def __aenter__(self) -> Self:
        """Open the session; connections follow as they are needed."""
        self._session = aiohttp.ClientSession(
            connector=self._connector_class(limit=self._limit),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp repeats a GET by itself when a kept connection turns out to be closed. It would repeat a create unseen
        # by the pace and the ledger, with a nonce that may be used up. Only this private attribute, which aiohttp's own
        # test client sets too, turns it off; a test proves that it still does.
        self._session._retry_connection = False  # noqa: SLF001 - there is no public way
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: SignedRequest, *, timeout_s: float) -> Reply:
        """See `Transport.send`."""
        route = self._route_to(request.endpoint)
        try:
            async with self._session.request(
                request.method,
                route.url(request.query),
                allow_redirects=False,
                proxy=route.proxy,
                timeout=self._timeout_of(timeout_s),
            ) as response:
                body = await _read_bounded(response.content)
                if body is not None:
                    return Reply(response.status, body, response.headers)
                response.close()
                error: TransportError = OutcomeUnknownError(
                    f"the reply is longer than {MAX_REPLY_BYTES} bytes", code="reply_too_large"
                )
        except _FOREIGN_ERRORS as exc:
            error = translate(exc, request.endpoint)
        # Raised out here, so that aiohttp's error, which may carry the signed URL, is not even the context of ours.
        raise error

    def _route_to(self, endpoint: str) -> _Route:
        if self._route is None or self._route.endpoint != endpoint:
            self._route = _Route.find(endpoint)
        return self._route

    def _timeout_of(self, timeout_s: float) -> aiohttp.ClientTimeout:
        if self._timeout.total != timeout_s:
            connect_s = min(_CONNECT_TIMEOUT_S, timeout_s / 2)
            self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=connect_s)
        return self._timeout


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again on which an answer lies that nobody asked for: it would pass for the next request's.

    aiohttp looks for one when a connection comes back, but not when it is given out again.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own parameter
    ) -> Connection:
        """See `aiohttp.BaseConnector.connect`."""
        for _ in range(self.limit + 1):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        raise NotSentError("what answers at this address speaks before it is asked", code="unasked_answer")


class _PunctualConnector(_Connector):
    """Keeps a connection that took long to be made for whoever comes next, and lets this request take another turn.

    A request is paced before its connection is made. Those that go out later than they were let out, after names were
    resolved and TLS was agreed on, would arrive together with punctual ones behind them.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own parameter
    ) -> Connection:
        """See `aiohttp.BaseConnector.connect`."""
        began = time.monotonic()
        connection = await super().connect(req, traces, timeout)
        if time.monotonic() - began > LATE_S:
            connection.release()
            raise TurnMissedError("connections are slow to be made, and are closed before they are used")
        return connection


@dataclass(frozen=True, slots=True)
class _Route:
    """An endpoint taken apart once, since all requests go to the same."""

    endpoint: str
    scheme: str
    host: str
    port: int | None
    proxy: str | None

    @classmethod
    def find(cls, endpoint: str) -> _Route:
        """Take the proxy from the environment here, once: aiohttp's ``trust_env`` asks a thread for each request."""
        url = urlsplit(endpoint)
        host = url.hostname or ""
        return cls(endpoint, url.scheme, host, url.port, proxy_for(url.scheme, host))

    def url(self, query: str) -> URL:
        """Build the URL byte for byte; parsing it from one text would cost twice as much."""
        return URL.build(scheme=self.scheme, host=self.host, port=self.port, path="/", query_string=query, encoded=True)


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host; this machine itself needs none.

    Raises:
        NotSentError: What it names can't be a proxy.
    """
    direct = is_loopback(host) or bool(proxy_bypass(host))
    named = None if direct else getproxies().get(scheme)
    if named is None:
        return None
    # Without a scheme it is HTTP, as to curl.
    proxy = named if "://" in named else f"http://{named}"
    try:
        url = urlsplit(proxy)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        variable = f"{scheme}_proxy"
        shown = shown_address(named)
        raise NotSentError(
            f"{variable.upper()} or {variable} holds {shown!r}, which is no proxy's address", code="proxy_address"
        )
    return proxy


async def _read_bounded(content: aiohttp.StreamReader) -> bytes | None:
    """Read to the end, or give up with ``None`` where the end is too far off."""
    body = await content.readany()
    if not content.at_eof():
        parts, size = [body], len(body)
        while part := await content.readany():
            parts.append(part)
            size += len(part)
            if size > MAX_REPLY_BYTES:
                return None
        body = b"".join(parts)
    return body if len(body) <= MAX_REPLY_BYTES else None


_FOREIGN_ERRORS = (aiohttp.ClientError, http_exceptions.HttpProcessingError, TimeoutError, OSError, ssl.SSLError)

_NOT_SENT: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    # The order matters: a certificate error is a connector error too.
    (
        (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch),
        "tls",
        "the certificate of {} is not to be trusted",
    ),
    ((aiohttp.ClientSSLError,), "tls_handshake", "no encrypted connection to {} could be made"),
    ((aiohttp.ClientConnectorDNSError,), "dns", "the host name of {} is not known"),
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), "proxy", "the proxy gives no way to {}"),
    ((aiohttp.ConnectionTimeoutError,), "connect_timeout", "no connection to {} in time"),
    ((aiohttp.ClientConnectorError,), "connection_refused", "no connection to {}"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "not_connected", "no request can be addressed to {}"),
)
_OUTCOME_UNKNOWN: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((TimeoutError,), "timeout", "no answer from {} in time"),
    (
        (aiohttp.ClientResponseError, http_exceptions.HttpProcessingError),
        "unreadable_reply",
        "the answer of {} is not HTTP",
    ),
    ((aiohttp.ClientPayloadError,), "connection_lost", "the answer of {} broke off"),
)


def translate(error: BaseException, endpoint: str) -> TransportError:
    """Turn an error of aiohttp into ours: whether the request may have been carried out, in words without the URL.

    Args:
        error: What aiohttp raised. Its own words are left out: they may hold the signed URL.
        endpoint: To name in the message.
    """
    for kinds, code, message in _NOT_SENT:
        if isinstance(error, kinds):
            return NotSentError(_told(error, message.format(endpoint)), code=code)
    for kinds, code, message in _OUTCOME_UNKNOWN:
        if isinstance(error, kinds):
            return OutcomeUnknownError(message.format(endpoint), code=code)
    # What is left, and whatever is new, may have happened after the request was sent.
    return OutcomeUnknownError(f"the connection to {endpoint} was lost before its answer", code="connection_lost")


def _told(error: BaseException, message: str) -> str:
    """Add the operating system's reason where there is one; it knows nothing of URLs."""
    number = getattr(error, "errno", None)
    # Name resolution counts its own errors, below zero.
    return f"{message}: {os.strerror(number)}" if isinstance(number, int) and number > 0 else message
