"""Every error that aiohttp can raise is one of ours, on purpose: the table below fails when aiohttp gains one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import http_exceptions

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.aiohttp_errors import translate
from bulk.errors import NotSentError, OutcomeUnknownError, TransportError
from bulk.model import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = "https://host"
SENT = OutcomeUnknownError
NOT_SENT = NotSentError

EXPECTED: dict[str, tuple[type[TransportError], str]] = {
    "ClientError": (SENT, "connection_lost"),
    "ClientConnectionError": (SENT, "connection_lost"),
    "ClientConnectionResetError": (SENT, "connection_lost"),
    "ClientOSError": (SENT, "connection_lost"),
    "ClientPayloadError": (SENT, "connection_lost"),
    "ServerConnectionError": (SENT, "connection_lost"),
    "ServerDisconnectedError": (SENT, "connection_lost"),
    "UploadAbortedError": (SENT, "connection_lost"),
    "RedirectClientError": (SENT, "connection_lost"),  # redirects are not followed, so neither this nor its kin occurs
    "ServerTimeoutError": (SENT, "timeout"),
    "SocketTimeoutError": (SENT, "timeout"),
    "ClientResponseError": (SENT, "unreadable_reply"),
    "ContentTypeError": (SENT, "unreadable_reply"),
    "TooManyRedirects": (SENT, "unreadable_reply"),
    "WSServerHandshakeError": (SENT, "unreadable_reply"),
    "ClientHttpProxyError": (NOT_SENT, "proxy"),
    "ClientProxyConnectionError": (NOT_SENT, "proxy"),
    "ClientConnectorError": (NOT_SENT, "connection_refused"),
    "UnixClientConnectorError": (NOT_SENT, "connection_refused"),
    "ConnectionTimeoutError": (NOT_SENT, "connect_timeout"),
    "ClientConnectorDNSError": (NOT_SENT, "dns"),
    "ClientSSLError": (NOT_SENT, "tls_handshake"),
    "ClientConnectorSSLError": (NOT_SENT, "tls_handshake"),
    "ClientConnectorCertificateError": (NOT_SENT, "tls"),
    "ServerFingerprintMismatch": (NOT_SENT, "tls"),
    "InvalidURL": (NOT_SENT, "not_connected"),
    "InvalidUrlClientError": (NOT_SENT, "not_connected"),
    "InvalidUrlRedirectClientError": (NOT_SENT, "not_connected"),
    "NonHttpUrlClientError": (NOT_SENT, "not_connected"),
    "NonHttpUrlRedirectClientError": (NOT_SENT, "not_connected"),
}


def family(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Return a class and all below it."""
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


def made(kind: type[BaseException]) -> BaseException:
    """Make an instance without its constructor, whose parameters differ from class to class."""
    return kind.__new__(kind)


ALL = {kind.__name__: kind for kind in family(aiohttp.ClientError) if kind.__module__.startswith("aiohttp")}


def test_no_error_of_aiohttp_is_missing_from_the_table() -> None:
    assert set(ALL) - set(EXPECTED) == set()


@pytest.mark.parametrize("name", sorted(set(ALL) & set(EXPECTED)))
def test_error_of_aiohttp_is_translated(name: str) -> None:
    kind, code = EXPECTED[name]

    error = translate(made(ALL[name]), ENDPOINT)

    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionResetError(104, "reset"), "connection_lost"),
        (http_exceptions.BadHttpMessage("x"), "unreadable_reply"),
        (http_exceptions.TransferEncodingError("x"), "unreadable_reply"),
    ],
)
def test_error_beside_aiohttps_own_leaves_the_outcome_unknown(error: Exception, code: str) -> None:
    translated = translate(error, ENDPOINT)

    assert (type(translated), translated.code) == (OutcomeUnknownError, code)


def test_foreign_words_are_left_out() -> None:
    error = translate(
        aiohttp.ConnectionTimeoutError("Connection timeout to host https://h/?Signature=LEAKED"), ENDPOINT
    )

    assert str(error) == "no connection to https://host in time"


@pytest.mark.parametrize(("kind", "code"), sorted(set(EXPECTED.values()), key=str))
def test_code_word_has_its_class_in_the_table(kind: type[TransportError], code: str) -> None:
    classes = {FailureKind.NOT_SENT, FailureKind.FATAL} if kind is NotSentError else {FailureKind.DOUBTFUL}

    assert TABLE[code].kind in classes
