"""A server that misbehaves on purpose: raw sockets, a script of what to do with each request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Step = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """Takes one step of the script for each request; a script that has run out closes the connection."""

    steps: list[Step]
    heads: list[bytes] = field(default_factory=list)
    """What arrived, up to the empty line: every request that the platform would have seen."""

    scheme: str = "http"
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while len(self.heads) < len(self.steps):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await self._answer(self.steps[len(self.heads) - 1], writer)
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))  # one too many: the test counts it
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed
        finally:
            writer.close()

    async def _answer(self, step: Step, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        else:
            await step(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""
    writer.close()
    await writer.wait_closed()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection without an answer."""
    linger_for_nothing = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
    writer.transport.abort()


async def hang(_: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def beginning(text: bytes, then: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Step:
    """Write the beginning of an answer, and then do something else."""

    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        await then(writer)

    return step


STEPS: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {"close": close, "reset": reset, "hang": hang}


@pytest.fixture
def step() -> Callable[..., Step]:
    """Make a step: what to do (close, reset, hang), and what to write before it."""
    return lambda name, text=b"": beginning(text, STEPS[name])


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[RawServer]]]:
    """Start servers, and stop them with all their connections when the test ends."""
    tasks: set[asyncio.Task[None]] = set()
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            *steps: Step, tls: ssl.SSLContext | None = None, connected: list[asyncio.StreamWriter] | None = None
        ) -> RawServer:
            raw = RawServer(list(steps), scheme="https" if tls else "http")

            async def track(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                tasks.add(task)
                if connected is not None:
                    connected.append(writer)
                await raw.handle(reader, writer)

            listening = await stack.enter_async_context(await asyncio.start_server(track, "127.0.0.1", 0, ssl=tls))
            raw.port = listening.sockets[0].getsockname()[1]
            return raw

        yield start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
