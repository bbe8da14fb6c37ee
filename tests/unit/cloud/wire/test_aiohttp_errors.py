"""Every error that aiohttp can raise is one of ours, on purpose: the table below fails when aiohttp gains one."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import http_exceptions
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.aiohttp_errors import translate, unconnected
from bulk.cloud.wire.proxies import Proxy
from bulk.errors import NotSentError, OutcomeUnknownError, TransportError
from bulk.model import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.client_reqrep import ConnectionKey

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


PROXY = Proxy(URL("http://proxy:3128"), "HTTPS_PROXY or https_proxy")


def at(host: str, port: int) -> ConnectionKey:
    """Return what aiohttp knows of the other end of a connection."""
    return aiohttp.ClientRequest("GET", URL(f"https://{host}:{port}"), ssl=True).connection_key


async def refused_at(host: str, port: int, kind: type[aiohttp.ClientConnectorError], error: OSError) -> NotSentError:
    return unconnected(kind(at(host, port), error), ENDPOINT, proxy=PROXY, target="host:443")


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (aiohttp.ClientConnectorError, ConnectionRefusedError(errno.ECONNREFUSED, "x"), "proxy"),
        (aiohttp.ClientProxyConnectionError, ConnectionRefusedError(errno.ECONNREFUSED, "x"), "proxy"),
        (aiohttp.ClientConnectorDNSError, socket.gaierror(socket.EAI_NONAME, "x"), "proxy"),
        (aiohttp.ClientConnectorSSLError, ssl.SSLError(1, "[SSL] x"), "tls_handshake"),
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError(1, "x"), "tls"),
    ],
)
async def test_trouble_at_the_proxy_is_the_proxys_and_a_bad_certificate_does_not_pass_with_time(
    kind: type[aiohttp.ClientConnectorError], error: OSError, code: str
) -> None:
    told = await refused_at("proxy", 3128, kind, error)

    assert told.code == code
    assert "the proxy http://proxy:3128" in str(told)
    assert ENDPOINT not in str(told)


@pytest.mark.parametrize("place", [("host", 443), ("proxy", 443), ("host", 3128)])
async def test_trouble_behind_the_proxy_is_the_endpoints(place: tuple[str, int]) -> None:
    told = await refused_at(*place, aiohttp.ClientConnectorSSLError, ssl.SSLError(1, "[SSL] x"))

    assert told.code == "tls_handshake"
    assert "https://host through the proxy http://proxy:3128" in str(told)


@pytest.mark.parametrize("offers", [(), ('Basic realm="secret"',), ("Negotiate", "NTLM")])
@pytest.mark.parametrize("has_headers", [True, False])
async def test_proxy_that_refuses_is_told_by_its_status_and_what_it_asks_for(
    offers: tuple[str, ...], has_headers: bool
) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("Proxy-Authenticate", offer) for offer in offers]))
    request = aiohttp.RequestInfo(URL(ENDPOINT), "CONNECT", headers, URL(ENDPOINT))
    error = aiohttp.ClientHttpProxyError(request, (), status=407, headers=headers if has_headers else None)

    told = unconnected(error, ENDPOINT, proxy=PROXY, target="host:443")

    assert told.code == "proxy_login"
    assert "refused to connect to host:443: HTTP 407" in str(told)
    assert ("Negotiate or NTLM" in str(told)) == (has_headers and len(offers) == 2)
    assert "secret" not in str(told)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no connection to host:443 through the proxy http://proxy:3128 in time"),
        (http_exceptions.BadStatusLine("LEAKED"), "what answers at http://proxy:3128 does not speak HTTP"),
        (made(aiohttp.ServerDisconnectedError), "closed the connection when it was asked for host:443"),
        (made(aiohttp.ClientOSError), "closed the connection when it was asked for host:443"),
        (ValueError("LEAKED"), "the proxy http://proxy:3128 gives no way to host:443"),
    ],
)
def test_other_trouble_on_the_way_through_a_proxy_is_told_by_its_kind(error: Exception, words: str) -> None:
    told = unconnected(error, ENDPOINT, proxy=PROXY, target="host:443")

    assert told.code == "proxy"
    assert words in str(told)
    assert "LEAKED" not in str(told)


def test_proxy_that_aiohttp_found_by_itself_is_no_refusal_of_the_endpoint() -> None:
    error = made(aiohttp.ClientProxyConnectionError)

    assert unconnected(error, ENDPOINT).code == "proxy"


async def test_error_of_an_unusual_kind_still_says_what_aiohttp_says_it_is() -> None:
    error = aiohttp.ClientConnectorDNSError(at("host", 443), OSError(errno.EIO, "x"))

    assert unconnected(error, ENDPOINT).code == "dns"
