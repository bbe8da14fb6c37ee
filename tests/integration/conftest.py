from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@dataclass
class TunnelProxy:
    """A proxy that answers CONNECT: it refuses with the answer that it was given, or leads to ``port`` of loopback."""

    answer: bytes | None = None
    """``None``: the connection that was asked for; empty: the end of this one."""

    port: int = 0
    """Where it leads, whichever host is asked for."""

    scheme: str = "http"
    own_port: int = 0
    heads: list[bytes] = field(default_factory=list)

    def url(self, login: str = "") -> str:
        return f"{self.scheme}://{login}127.0.0.1:{self.own_port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError), closing(writer):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self.answer is None:
                await self._lead(reader, writer)
            writer.write(self.answer or b"")
            await writer.drain()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(onward_writer):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pass_on(reader, onward_writer), _pass_on(onward_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while text := await reader.read(65_536):
            writer.write(text)
            await writer.drain()
    writer.close()


@pytest.fixture
async def tunnel_proxy() -> AsyncIterator[Callable[..., Awaitable[TunnelProxy]]]:
    """Return what starts a proxy; all of them end with the test."""
    tasks: set[asyncio.Task[None]] = set()
    async with AsyncExitStack() as stack:

        async def start(answer: bytes | None = None, *, tls: ssl.SSLContext | None = None, to: int = 0) -> TunnelProxy:
            proxy = TunnelProxy(answer, to, "https" if tls else "http")

            async def track(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                tasks.add(task)
                await proxy.handle(reader, writer)

            server = await stack.enter_async_context(await asyncio.start_server(track, "127.0.0.1", 0, ssl=tls))
            proxy.own_port = server.sockets[0].getsockname()[1]
            return proxy

        yield start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, ssl.SSLContext]]:
    """Return what makes a certificate that vouches for itself, to trust or not, and what serves TLS with it."""
    numbers = count(1)

    def make(*names: x509.GeneralName, days: int = 90, since_days: int = 100) -> tuple[Path, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(itself)
            .issuer_name(itself)
            .public_key(key.public_key())
            .serial_number(next(numbers))
            .not_valid_before(now - dt.timedelta(days=since_days))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        folder = tmp_path_factory.mktemp("tls")
        certificate, private = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        unencrypted = serialization.NoEncryption()
        private.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        return certificate, context

    return make
