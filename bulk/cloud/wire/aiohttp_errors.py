"""Turn aiohttp's errors into bulk's: may the platform have carried the request out or not?"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import http_exceptions

from bulk.cloud.wire.proxy_answers import refusal
from bulk.cloud.wire.unconnected import Reason, reason_for
from bulk.errors import NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    from bulk.cloud.wire.proxies import Proxy
    from bulk.errors import TransportError

__all__ = ["FOREIGN_ERRORS", "translate", "unconnected"]

FOREIGN_ERRORS = (aiohttp.ClientError, http_exceptions.HttpProcessingError, TimeoutError, OSError, ssl.SSLError)

_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
"""These are always raised before a request could leave."""

_OUTCOME_UNKNOWN: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((TimeoutError,), "timeout", "no answer from {} in time"),
    (
        (aiohttp.ClientResponseError, http_exceptions.HttpProcessingError),
        "unreadable_reply",
        "the answer of {} is not HTTP",
    ),
    ((aiohttp.ClientPayloadError,), "connection_lost", "the answer of {} was cut off"),
)


def translate(error: BaseException, endpoint: str) -> TransportError:
    """Turn an error of aiohttp into one that says whether the request may have been carried out, without the URL.

    Args:
        error: What aiohttp raised. Its own words are left out: they may hold the signed URL.
        endpoint: To name in the message.
    """
    if isinstance(error, _NOT_SENT):
        return unconnected(error, endpoint)
    for kinds, code, message in _OUTCOME_UNKNOWN:
        if isinstance(error, kinds):
            return OutcomeUnknownError(message.format(endpoint), code=code)
    # All other errors, also ones that are new in aiohttp, may have happened after the request was sent.
    return OutcomeUnknownError(f"the connection to {endpoint} was lost before its answer", code="connection_lost")


def unconnected(error: BaseException, endpoint: str, *, proxy: Proxy | None = None, target: str = "") -> NotSentError:
    """Turn an error that aiohttp raised while it connected into bulk's: no request can have left.

    Args:
        error: What aiohttp raised.
        endpoint: To name in the message.
        proxy: The proxy that it connected through, if any.
        target: The endpoint's host and port, as the proxy receives them.
    """
    reason = _reason(error, endpoint) if proxy is None else _reason_behind(error, endpoint, proxy, target)
    return NotSentError(reason.words, code=reason.code, remedy=reason.remedy)


def _reason(error: BaseException, place: str) -> Reason:
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = _system_reason(error, place)
        return Reason("proxy", reason.words) if isinstance(error, aiohttp.ClientProxyConnectionError) else reason
    code, words = next((told for kinds, *told in _DIRECT if isinstance(error, kinds)), _NO_CONNECTION)
    return Reason(code, words.format(place))


def _reason_behind(error: BaseException, endpoint: str, proxy: Proxy, target: str) -> Reason:
    """Say what went wrong on the way through a proxy: at the proxy, or at the endpoint behind it."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        offers = error.headers.getall("Proxy-Authenticate", []) if error.headers else []
        return refusal(error.status, offers, proxy=proxy, target=target)
    if isinstance(error, aiohttp.ClientConnectorError):
        if not _is_at(error, proxy):
            return _system_reason(error, f"{endpoint} through the proxy {proxy}")
        reason = _system_reason(error, f"the proxy {proxy}")
        # A bad certificate is not a fault of the route, and does not pass with time.
        return reason if reason.code.startswith("tls") else Reason("proxy", reason.words)
    words = next((words for kinds, words in _BEHIND if isinstance(error, kinds)), _NO_WAY)
    return Reason("proxy", words.format(proxy=proxy, target=target))


_Kinds = type[BaseException] | tuple[type[BaseException], ...]

_NO_CONNECTION = ("connection_refused", "no connection to {}")
_DIRECT: tuple[tuple[_Kinds, str, str], ...] = (
    (aiohttp.ServerFingerprintMismatch, "tls", "the certificate of {} is not trusted"),
    (aiohttp.ClientHttpProxyError, "proxy", "the proxy gives no way to {}"),
    (TimeoutError, "connect_timeout", "no connection to {} in time"),
    ((ValueError, aiohttp.NonHttpUrlClientError), "not_connected", "no request can be addressed to {}"),
)
_NO_WAY = "the proxy {proxy} gives no way to {target}"
_BEHIND: tuple[tuple[_Kinds, str], ...] = (
    (TimeoutError, "no connection to {target} through the proxy {proxy} in time"),
    (
        (aiohttp.ClientResponseError, http_exceptions.HttpProcessingError),
        "what answers at {proxy} does not speak HTTP: it is no HTTP proxy",
    ),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError),
        "the proxy {proxy} closed the connection when it was asked for {target}",
    ),
)


def _is_at(error: aiohttp.ClientConnectorError, proxy: Proxy) -> bool:
    return (error.host, error.port) == (proxy.url.raw_host, proxy.url.port)


def _system_reason(error: aiohttp.ClientConnectorError, place: str) -> Reason:
    return reason_for(_cause(error), place, now=time.time())


def _cause(error: aiohttp.ClientConnectorError) -> OSError:
    """Return the error that aiohttp wrapped, of the kind that aiohttp says it is."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    for kind, usual in _CAUSES:
        if isinstance(error, kind) and not isinstance(cause, usual):
            return usual()
    return cause if isinstance(cause, OSError) else OSError()


_CAUSES: tuple[tuple[type[aiohttp.ClientConnectorError], type[OSError]], ...] = (
    (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
    (aiohttp.ClientSSLError, ssl.SSLError),
    (aiohttp.ClientConnectorDNSError, socket.gaierror),
)
