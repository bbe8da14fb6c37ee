"""Turn aiohttp's errors into ours: may the platform have carried the request out or not?"""

from __future__ import annotations

import os
import ssl

import aiohttp
from aiohttp import http_exceptions

from bulk.errors import NotSentError, OutcomeUnknownError, TransportError

__all__ = ["FOREIGN_ERRORS", "translate"]

FOREIGN_ERRORS = (aiohttp.ClientError, http_exceptions.HttpProcessingError, TimeoutError, OSError, ssl.SSLError)

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
