"""The way to an endpoint: its proxy, and the head of a request."""

from __future__ import annotations

import ssl

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bulk.cloud.wire.route import Route, Trust, find_route
from bulk.errors import NotSentError


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take every proxy out of the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://iot.cn-shanghai.aliyuncs.com", "iot.cn-shanghai.aliyuncs.com"),
        ("http://127.0.0.1:8686", "127.0.0.1:8686"),
        ("http://[::1]:8686", "[::1]:8686"),
        ("https://host.example:443", "host.example"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.usefixtures("proxies")
async def test_head_names_the_host_and_ends_with_an_empty_line(endpoint: str, host: str, method: str) -> None:
    lines = Route(endpoint, method).head("A=%20").split(b"\r\n")

    assert lines[0] == f"{method} /?A=%20 HTTP/1.1".encode()
    assert f"Host: {host}".encode() in lines
    assert (b"Content-Length: 0" in lines) == (method == "POST")
    assert lines[-2:] == [b"", b""]


@pytest.mark.usefixtures("proxies")
async def test_endpoint_that_is_no_address_is_not_sent_to() -> None:
    with pytest.raises(NotSentError, match="no request can be addressed") as caught:
        Route("http://[::1", "GET")

    assert caught.value.code == "not_connected"


HTTPS, HTTP = "https://host.example", "http://host.example"
WITH_LOGIN = "http://user:p%C3%A9@proxy.example:3128"
AUTHORIZATION = "Basic dXNlcjpww6k="


def refusal(status: int) -> aiohttp.ClientHttpProxyError:
    """Return what aiohttp raises where a proxy does not make a tunnel."""
    headers = CIMultiDictProxy(CIMultiDict[str]())
    request = aiohttp.RequestInfo(URL(HTTPS), "CONNECT", headers, URL(HTTPS))
    return aiohttp.ClientHttpProxyError(request, (), status=status, headers=headers)


async def test_plain_request_through_a_proxy_has_the_whole_address_and_the_login(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", WITH_LOGIN)

    route = Route(HTTP, "GET")

    lines = route.head("A=1").split(b"\r\n")
    assert lines[0] == b"GET http://host.example/?A=1 HTTP/1.1"
    assert f"Proxy-Authorization: {AUTHORIZATION}".encode() in lines
    assert not route.has_tunnel


async def test_request_in_a_tunnel_shows_the_login_to_the_proxy_alone(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("https_proxy", WITH_LOGIN)

    route = Route(HTTPS, "GET")

    head = route.head("A=1")
    assert head.startswith(b"GET /?A=1 HTTP/1.1\r\n")
    assert b"Proxy-Authorization" not in head
    assert route.has_tunnel
    assert route.asks.proxy_headers is not None
    assert dict(route.asks.proxy_headers) == {"Host": "host.example", "Proxy-Authorization": AUTHORIZATION}


async def test_proxy_without_a_login_receives_none(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("https_proxy", "http://proxy.example:3128")

    route = Route(HTTPS, "GET")

    assert dict(route.asks.proxy_headers or {}) == {"Host": "host.example"}


@pytest.mark.parametrize(("endpoint", "variable"), [(HTTPS, "https_proxy"), (HTTP, "http_proxy")])
async def test_connections_follow_in_parallel_only_once_the_proxy_lets_one_through(
    proxies: pytest.MonkeyPatch, endpoint: str, variable: str
) -> None:
    proxies.setenv(variable, WITH_LOGIN)
    route = Route(endpoint, "GET")
    assert not route.is_open

    route.connected()
    after_connecting = route.is_open
    route.answered(200, {})

    # A connection to a proxy that only forwards says nothing yet of what it allows.
    assert after_connecting == (endpoint == HTTPS)
    assert route.is_open


@pytest.mark.usefixtures("proxies")
async def test_endpoint_without_a_proxy_is_open_from_the_start() -> None:
    assert Route(HTTPS, "GET").is_open


@pytest.mark.parametrize("headers", [{}, {"proxy-authenticate": "Negotiate"}])
async def test_login_that_a_forwarding_proxy_refused_is_not_tried_again(
    proxies: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    proxies.setenv("http_proxy", WITH_LOGIN)
    route = Route(HTTP, "GET")
    route.require_not_refused()

    with pytest.raises(NotSentError) as first:
        route.answered(407, headers)
    with pytest.raises(NotSentError) as second:
        route.require_not_refused()

    assert first.value.code == second.value.code == "proxy_login"
    assert str(first.value) == str(second.value)
    assert ("Negotiate" in str(first.value)) == bool(headers)
    assert not route.is_open


async def test_407_in_a_tunnel_is_the_endpoints_own_answer(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("https_proxy", WITH_LOGIN)
    route = Route(HTTPS, "GET")

    route.answered(407, {})

    route.require_not_refused()
    assert route.is_open


@pytest.mark.parametrize(("status", "is_final"), [(407, True), (403, True), (503, False), (429, False)])
async def test_tunnel_that_was_refused_for_good_is_not_asked_for_again(
    proxies: pytest.MonkeyPatch, status: int, is_final: bool
) -> None:
    proxies.setenv("https_proxy", WITH_LOGIN)
    route = Route(HTTPS, "GET")

    error = route.unconnected(refusal(status))

    assert "refused to connect to host.example:443" in str(error)
    if not is_final:
        route.require_not_refused()
        return
    with pytest.raises(NotSentError, match=f"HTTP {status}") as caught:
        route.require_not_refused()
    assert caught.value.code == error.code


async def test_certificates_are_read_once_for_all_routes_and_only_for_tls(proxies: pytest.MonkeyPatch) -> None:
    context, read = ssl.create_default_context(), []

    def reading(environ: object) -> ssl.SSLContext:
        read.append(environ)
        return context

    proxies.setattr("bulk.cloud.wire.route.trusted", reading)
    trust = Trust()
    plain = await find_route(HTTP, "GET", trust=trust)
    assert (plain.has_tls, read) == (False, [])

    routes = [await find_route(HTTPS, method, trust=trust) for method in ("GET", "POST")]

    assert [route.asks.connection_key.ssl for route in routes] == [context] * 2
    assert len(read) == 1


async def test_certificate_of_an_https_proxy_is_verified_for_a_plain_endpoint_too(proxies: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context()
    proxies.setenv("http_proxy", "https://proxy.example:3129")
    proxies.setattr("bulk.cloud.wire.route.trusted", lambda _environ: context)

    route = await find_route(HTTP, "GET")

    assert route.has_tls
    assert route.asks.connection_key.ssl is context
