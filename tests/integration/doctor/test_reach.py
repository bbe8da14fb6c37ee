"""The way to an endpoint, over real sockets and real TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography import x509

from bulk.cloud.wire.reach import reach
from bulk.engine.checks.diagnosis import Verdict
from bulk.engine.checks.doctor import examine
from bulk.errors import NotSentError
from bulk.settings import Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Certified = tuple[Path, ssl.SSLContext]


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None, *, patient: bool = False) -> AsyncIterator[int]:
    """Take whoever connects, say nothing, and hang up: at once, or if patient when the other side has."""
    handlers: list[asyncio.Task[None] | None] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        with suppress(OSError):
            if patient:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, handlers))


@pytest.fixture
def certified_here(certified: Callable[..., Certified]) -> Callable[..., Certified]:
    return partial(certified, x509.IPAddress(IPv4Address("127.0.0.1")))


def resolved_to(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, int]) -> None:
    """Let every name have these addresses; their ports stand in for machines of their own."""

    async def resolve(_: object, host: str, *__: object, **___: object) -> list[dict[str, Any]]:
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            {"hostname": host, "host": address, "port": port, "family": kinds[":" in address], "proto": 0, "flags": 0}
            for address, port in addresses.items()
        ]

    monkeypatch.setattr(aiohttp.resolver.ThreadedResolver, "resolve", resolve)


async def failure(endpoint: str, timeout_s: float = 5.0) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        await reach(endpoint, timeout_s=timeout_s)
    return caught.value


async def test_plain_connection_is_timed() -> None:
    async with listening() as port:
        reached = await reach(f"http://127.0.0.1:{port}")

    assert reached.connect_s > 0
    assert (reached.proxy, reached.tls_version, reached.certificate_ends_at) == (None, None, None)


async def test_trusted_certificate_tells_its_end(
    certified_here: Callable[..., Certified], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, tls = certified_here(days=90)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with listening(tls) as port:
        reached = await reach(f"https://127.0.0.1:{port}")

    ends_in = dt.datetime.fromtimestamp(reached.certificate_ends_at or 0, dt.UTC) - dt.datetime.now(dt.UTC)
    assert (reached.tls_version, ends_in.days) == ("TLSv1.3", 89)


@pytest.mark.parametrize(("days", "trusted", "words"), [(90, False, "self-signed"), (-1, True, "expired")])
async def test_certificate_that_is_not_to_be_trusted_is_refused_with_the_reason(
    certified_here: Callable[..., Certified], monkeypatch: pytest.MonkeyPatch, days: int, trusted: bool, words: str
) -> None:
    certificate, tls = certified_here(days=days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with listening(tls) as port:
        error = await failure(f"https://127.0.0.1:{port}")

    assert error.code == "tls"
    assert words in str(error)


async def test_self_signed_endpoint_fails_its_check_with_a_remedy(
    certified_here: Callable[..., Certified], tmp_path: Path
) -> None:
    _, tls = certified_here()
    async with listening(tls) as port:
        checks = await examine(Settings(endpoint=f"https://127.0.0.1:{port}", ledger=str(tmp_path / "in.db")))

    endpoint = next(check for check in checks if check.name == "endpoint")
    assert endpoint.verdict is Verdict.FAILED
    assert "SSL_CERT_FILE" in (endpoint.remedy or "")


async def test_port_that_does_not_speak_tls_is_told_from_a_bad_certificate() -> None:
    async with listening() as port:
        error = await failure(f"https://127.0.0.1:{port}")

    assert error.code in {"tls_handshake", "connection_refused"}


async def test_port_that_nobody_listens_on_is_refused() -> None:
    async with listening() as port:
        pass

    error = await failure(f"http://127.0.0.1:{port}")

    assert error.code == "connection_refused"
    assert "Connection refused" in str(error)


async def test_host_that_never_answers_is_given_up_in_time() -> None:
    async with listening(patient=True) as port:
        error = await failure(f"https://127.0.0.1:{port}", timeout_s=0.2)

    assert error.code == "connect_timeout"


async def test_proxy_is_tried_in_place_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:password@127.0.0.1:{port}")
        reached = await reach("http://iot.cn-shanghai.aliyuncs.com")

    assert reached.proxy == f"http://127.0.0.1:{port}"
    assert (await failure("http://iot.cn-shanghai.aliyuncs.com")).code == "proxy"


async def test_proxy_leads_to_the_endpoint_whose_certificate_is_looked_at(
    certified: Callable[..., Certified],
    tunnel_proxy: Callable[..., Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, tls = certified(x509.DNSName("iot.example"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with listening(tls, patient=True) as port:
        proxy = await tunnel_proxy(to=port)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:password@"))
        reached = await reach("https://iot.example:8686")

    assert (reached.proxy, reached.tls_version) == (proxy.url(), "TLSv1.3")
    assert proxy.heads[0].startswith(b"CONNECT iot.example:8686 ")


async def test_proxy_that_refuses_fails_the_endpoint_with_status_and_port(
    tunnel_proxy: Callable[..., Awaitable[Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = await tunnel_proxy(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:LEAKED@"))

    checks = await examine(Settings(endpoint="https://iot.example:8686", ledger=str(tmp_path / "in.db")))

    endpoint = next(check for check in checks if check.name == "endpoint")
    assert endpoint.verdict is Verdict.FAILED
    assert all(part in endpoint.detail for part in (proxy.url(), "407", "iot.example:8686"))
    assert "percent-encoded" in (endpoint.remedy or "")
    assert len(proxy.heads) == 1
    assert "LEAKED" not in str(checks)


async def test_address_that_leads_nowhere_is_passed_over_as_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as dead:
        pass
    async with listening(patient=True) as port:
        resolved_to(monkeypatch, {"::1": dead, "127.0.0.1": port})
        reached = await reach(f"http://two-ways.example:{port}")

    assert reached.address == "127.0.0.1"
