"""Proxies and certificates, over real sockets and real TLS, as the transport meets them."""

from __future__ import annotations

import asyncio
import errno
import socket
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.transport import HttpTransport, SignedRequest
from bulk.errors import NotSentError
from bulk.model import FailureKind

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    Certified = tuple[Path, ssl.SSLContext]

HOST = "iot.example"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"Success":true}'
LOGIN_WANTED = b'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
Serve = Callable[..., Awaitable[Any]]


def to(endpoint: str) -> SignedRequest:
    return SignedRequest("GET", endpoint, "A=1&Signature=LEAKED")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with HttpTransport(limit=16) as opened:
        yield opened


@pytest.fixture
def trusted(certified: Callable[..., Certified], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return what serves TLS as the endpoint, and as a proxy on loopback."""
    certificate, tls = certified(x509.DNSName(HOST), x509.IPAddress(IPv4Address("127.0.0.1")))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return tls


async def failure(transport: HttpTransport, endpoint: str, timeout_s: float = 5.0) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        await transport.send(to(endpoint), timeout_s=timeout_s)
    assert "LEAKED" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("encrypted", [False, True], ids=["http-proxy", "https-proxy"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
async def test_request_goes_through_the_tunnel_with_its_login(
    serve: Serve,
    tunnel_proxy: Serve,
    transport: HttpTransport,
    trusted: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    encrypted: bool,
    variable: str,
) -> None:
    server = await serve(OK, OK, tls=trusted)
    proxy = await tunnel_proxy(to=server.port, tls=trusted if encrypted else None)
    monkeypatch.setenv(variable, proxy.url("用户:p%40ss@"))

    replies = [await transport.send(to(f"https://{HOST}:8686"), timeout_s=5) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    (head,) = proxy.heads  # the tunnel is kept
    login = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"proxy-authorization: basic "))
    assert b64decode(login.split()[-1]) == "用户:p@ss".encode()
    assert all(b"roxy-" not in head for head in server.heads)


@pytest.mark.parametrize("status", [b"407 Login", b"403 Forbidden"])
async def test_proxy_that_refuses_for_good_is_asked_once_however_many_wait(
    tunnel_proxy: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, status: bytes
) -> None:
    proxy = await tunnel_proxy(LOGIN_WANTED.replace(b"407 Login", status))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:LEAKED@"))

    errors = await asyncio.gather(*(failure(transport, f"https://{HOST}:8686") for _ in range(12)))

    assert len(proxy.heads) == 1
    assert {TABLE[error.code].kind for error in errors} == {FailureKind.FATAL}
    assert all(part in str(errors[-1]) for part in (proxy.url(), f"{HOST}:8686", f"HTTP {status[:3].decode()}"))


async def test_login_that_is_refused_by_a_plain_proxy_is_tried_once(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(*[LOGIN_WANTED] * 12)
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)

    errors = await asyncio.gather(*(failure(transport, "http://iot.example") for _ in range(12)))

    assert len(proxy.heads) == 1
    assert {error.code for error in errors} == {"proxy_login"}
    assert "holds no user name and password" in str(errors[0])


async def test_login_that_is_refused_later_is_not_tried_again(
    serve: Serve,
    tunnel_proxy: Serve,
    transport: HttpTransport,
    trusted: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = await serve(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), tls=trusted)
    proxy = await tunnel_proxy(to=server.port)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:LEAKED@"))
    await transport.send(to(f"https://{HOST}"), timeout_s=5)
    proxy.answer = LOGIN_WANTED

    errors = [await failure(transport, f"https://{HOST}") for _ in range(3)]

    assert {error.code for error in errors} == {"proxy_login"}
    assert len(proxy.heads) == 2


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_denied", f"refused to connect to {HOST}:8686: HTTP 403 Forbidden"),
        (b"HTTP/1.1 405 No\r\n\r\n", "proxy_denied", "HTTP 405 Method Not Allowed"),
        (b"HTTP/1.1 503 No\r\n\r\n", "proxy", "HTTP 503 Service Unavailable"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", "proxy", "log in first"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "proxy", "does not speak HTTP"),
        (b"", "proxy", f"closed the connection when it was asked for {HOST}:8686"),
    ],
)
async def test_refusal_of_a_proxy_names_it_and_no_request_is_sent(
    tunnel_proxy: Serve,
    transport: HttpTransport,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    code: str,
    words: str,
) -> None:
    proxy = await tunnel_proxy(answer)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:LEAKED@"))

    error = await failure(transport, f"https://{HOST}:8686")

    assert error.code == code
    assert words in str(error)
    assert proxy.url() in str(error) or f"127.0.0.1:{proxy.own_port}" in str(error)
    assert b"A=1" not in b"".join(proxy.heads)


async def test_proxy_that_nobody_serves_is_named(monkeypatch: pytest.MonkeyPatch, transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:LEAKED@127.0.0.1:{port}")

    error = await failure(transport, f"https://{HOST}")

    assert (error.code, str(error)) == (
        "proxy",
        f"no connection to the proxy http://127.0.0.1:{port}: Connection refused",
    )


async def test_certificate_behind_a_proxy_is_told_from_the_proxys_own(
    serve: Serve,
    tunnel_proxy: Serve,
    transport: HttpTransport,
    certified: Callable[..., Certified],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, untrusted = certified(x509.DNSName(HOST))
    server = await serve(OK, tls=untrusted)
    proxy = await tunnel_proxy(to=server.port)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())

    error = await failure(transport, f"https://{HOST}")

    assert error.code == "tls"
    assert f"the certificate of https://{HOST} through the proxy {proxy.url()} is not trusted" in str(error)


async def test_untrusted_certificate_of_a_proxy_is_the_proxys(
    tunnel_proxy: Serve, transport: HttpTransport, certified: Callable[..., Certified], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, untrusted = certified(x509.IPAddress(IPv4Address("127.0.0.1")))
    proxy = await tunnel_proxy(tls=untrusted)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())

    error = await failure(transport, f"https://{HOST}")

    assert error.code == "tls"
    assert f"the certificate of the proxy {proxy.url()}" in str(error)


@pytest.mark.parametrize(
    ("name", "dates", "trusted", "words", "remedy"),
    [
        ("127.0.0.1", {"days": -1}, True, "certificate has expired by this machine's clock", "clock"),
        ("127.0.0.1", {"since_days": -1}, True, "certificate is not yet valid by this machine's clock", "clock"),
        ("127.0.0.2", {}, True, "IP address mismatch, certificate is not valid for '127.0.0.1'", "host name"),
        ("127.0.0.1", {}, False, "self-signed certificate", None),
    ],
)
async def test_untrusted_certificate_is_told_in_openssls_words(
    serve: Serve,
    transport: HttpTransport,
    certified: Callable[..., Certified],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    dates: dict[str, int],
    trusted: bool,
    words: str,
    remedy: str | None,
) -> None:
    certificate, tls = certified(x509.IPAddress(IPv4Address(name)), **dates)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = await serve(OK, tls=tls)

    error = await failure(transport, server.endpoint)

    assert error.code == "tls"
    assert words in str(error)
    assert error.remedy is None if remedy is None else remedy in (error.remedy or "")
    assert server.heads == []


async def test_port_without_tls_is_told_so(transport: HttpTransport) -> None:
    async def answer_anything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer_anything, "127.0.0.1", 0) as server:
        error = await failure(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert error.code == "tls_handshake"
    assert "does not speak TLS (wrong version number)" in str(error)
    assert "port" in (error.remedy or "")


async def test_certificates_that_a_variable_names_in_vain_stop_before_anything_is_sent(
    serve: Serve, transport: HttpTransport, trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    server = await serve(OK, tls=trusted)

    error = await failure(transport, server.endpoint)

    assert TABLE[error.code].kind is FailureKind.FATAL
    assert "SSL_CERT_FILE names" in str(error)
    assert server.heads == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EACCES])
async def test_connection_that_this_machine_denies_is_not_sent(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    server = await serve(OK)

    async def deny(*_: object, **__: object) -> None:
        raise OSError(number, "denied")

    with monkeypatch.context() as denied:
        denied.setattr("aiohappyeyeballs.start_connection", deny)
        error = await failure(transport, server.endpoint)
    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert TABLE[error.code].kind is FailureKind.NOT_SENT
    assert error.code != "connection_refused"
    assert reply.status == 200


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 70}.example"])
async def test_name_that_no_resolver_takes_is_not_sent(transport: HttpTransport, host: str) -> None:
    error = await failure(transport, f"http://{host}")

    assert error.code == "not_connected"
