"""Whoever gives keys, on loopback: the metadata service, the token service, a service of one's own.

The library takes no other address for the first two, but it goes through a proxy if it is told to. The stand-in is that
proxy: it answers for whichever host is asked, also inside TLS, with certificates of an authority of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_credentials.utils import auth_util
from cryptography import x509

from bulk.cloud.keys.official_chain import OfficialChain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STS = "sts.aliyuncs.com"
METADATA = "100.100.100.200"


@dataclass(frozen=True)
class Asked:
    """A request, as the stand-in met it."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


Answer = Callable[[Asked], tuple[int, str]]


def nobody(_: Asked) -> tuple[int, str]:
    return 502, "nobody stands in for this host"


@dataclass
class StandIn:
    """Answers for every host that ``answers`` names; refuses the others."""

    tls: ssl.SSLContext
    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    """Host → what it says."""

    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            method, target, headers = await _read_head(reader)
            host = urlsplit(target).hostname or headers.get("host", "").partition(":")[0]
            if method == "CONNECT":
                host = target.partition(":")[0]
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.start_tls(self.tls)
                method, target, headers = await _read_head(reader)
            url = urlsplit(target)
            asked = Asked(method, host, url.path, dict(parse_qsl(url.query)), headers)
            self.asked.append(asked)
            status, body = self.answers.get(host, nobody)(asked)
            head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        writer.close()


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return method, target, {name.lower(): value.strip() for name, _, value in fields}


@pytest.fixture(scope="session")
def authority(certified: Callable[..., tuple[Path, ssl.SSLContext]]) -> tuple[Path, ssl.SSLContext]:
    """Return the certificate to trust, and what serves TLS for the token service."""
    return certified(x509.DNSName(STS))


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give each test a home of its own, and the library the environment that it would have met."""
    for name in [name for name in os.environ if name.startswith("ALIBABA_CLOUD_")]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in vars(auth_util) if name.startswith("environment_")]:
        # The library read the environment of the moment when it was imported.
        monkeypatch.setattr(auth_util, name, "false" if name.endswith(("_disabled", "_vpc")) else None)
    # Nothing may leave this machine: who wants the metadata service says so, and stands in for it.
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def stand_in(monkeypatch: pytest.MonkeyPatch, authority: tuple[Path, ssl.SSLContext]) -> AsyncIterator[StandIn]:
    """Serve, and send the library here."""
    trusted, tls = authority
    async with _serving(StandIn(tls)) as serving:
        monkeypatch.setenv("HTTP_PROXY", serving.url)
        monkeypatch.setenv("HTTPS_PROXY", serving.url)
        # Behind a proxy the library trusts the authorities of certifi, and no variable changes that.
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(trusted))
        yield serving


@asynccontextmanager
async def _serving(stand_in: StandIn) -> AsyncIterator[StandIn]:
    async with await asyncio.start_server(stand_in.handle, "127.0.0.1", 0) as server:
        stand_in.port = server.sockets[0].getsockname()[1]
        yield stand_in


@pytest.fixture
def keys() -> Callable[..., dict[str, str]]:
    """Return a maker of temporary keys, as every service writes them."""

    def make(number: int = 1, *, ends_in_s: float = 3600.0) -> dict[str, str]:
        return {
            "Code": "Success",
            "AccessKeyId": f"STS.id{number}",
            "AccessKeySecret": f"temporary-secret-{number}",
            "SecurityToken": f"temporary-token-{number}",
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ends_in_s)),
        }

    return make


@pytest.fixture
def metadata(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Return what lets the metadata service give these keys to the role ``nightly``."""
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "false")

    def give(keys: dict[str, str]) -> None:
        answers = {
            "/latest/api/token": "imds-token",
            "/latest/meta-data/ram/security-credentials/": "nightly",
            "/latest/meta-data/ram/security-credentials/nightly": json.dumps(keys),
        }
        stand_in.answers[METADATA] = lambda asked: (200, answers[asked.path])

    return give


@pytest.fixture
def token_service(stand_in: StandIn) -> Callable[[dict[str, str]], None]:
    """Return what lets the token service give these keys to every role."""

    def give(keys: dict[str, str]) -> None:
        stand_in.answers[STS] = lambda _: (200, json.dumps({"Credentials": keys}))

    return give


@pytest.fixture
def write_profiles(home: Path) -> Callable[..., Path]:
    """Return what writes the official command line's file; the first profile is the current one."""

    def write(*profiles: dict[str, Any]) -> Path:
        path = home / ".aliyun" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"current": profiles[0]["name"], "profiles": profiles}), encoding="utf-8")
        return path

    return write


@pytest.fixture
def chain() -> Callable[..., OfficialChain]:
    """Return a maker of chains over the environment as it is by then."""
    return lambda **how: OfficialChain(os.environ, **how)
