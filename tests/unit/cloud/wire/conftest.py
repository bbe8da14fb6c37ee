"""Connections without a socket: aiohttp's own pool and protocol, and below them a far end that a test plays."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.client_proto import ResponseHandler

HEAD_ENDS = b"\r\n\r\n"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\nDate: today\r\n\r\n{"Success":true}'


@dataclass
class Socket:
    """The options that were set on a socket."""

    fails: bool = False
    options: list[tuple[Any, ...]] = field(default_factory=list)
    family = socket.AF_UNIX  # so that aiohttp sets none

    def setsockopt(self, *option: Any) -> None:
        self.options.append(option)
        if self.fails:
            raise OSError(9, "Bad file descriptor")


class Line(asyncio.Transport):
    """One connection, as asyncio hands it to a protocol; the far end answers each whole head with its next step."""

    def __init__(self, far_end: FarEnd, protocol: ResponseHandler) -> None:
        super().__init__()
        self.far_end = far_end
        self.protocol = protocol
        self.socket: Socket | None = Socket()
        self.info: dict[str, Any] = {}
        """What else is known of it, by asyncio's names."""

        self.sent = b""
        self.is_aborted = False
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ({"socket": self.socket} | self.info).get(name, default)

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: Any) -> None:
        self.sent += bytes(data)
        if data.endswith(HEAD_ENDS):
            self.far_end.heads.append(bytes(data))
            step = self.far_end.steps.popleft()
            asyncio.get_running_loop().call_soon(self.play, step)

    def play(self, step: bytes | Callable[[Line], None]) -> None:
        if callable(step):
            step(self)
        elif not self._is_closing:
            self.protocol.data_received(step)

    def lose(self, exc: Exception | None = None) -> None:
        """Let the far end close the connection, or break it with an error."""
        self._is_closing = True
        self.protocol.connection_lost(exc)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.is_aborted = True
        self.close()


class FarEnd:
    """Whatever is at the other end of all connections."""

    def __init__(self) -> None:
        self.steps: deque[bytes | Callable[[Line], None]] = deque()
        """What answers each request: bytes, or what is done with its connection."""

        self.refusals: deque[BaseException | Callable[[Line], None] | None] = deque()
        """What becomes of each new connection: an error, something done with it at once; ``None``: it is made."""

        self.lines: list[Line] = []
        self.heads: list[bytes] = []
        self.connect_s: list[float | None] = []
        """How long each new connection was allowed to take."""

    @property
    def open(self) -> list[Line]:
        return [line for line in self.lines if not line.is_closing()]


class Connector(aiohttp.BaseConnector):
    """aiohttp's pool, whose connections lead to a far end."""

    def __init__(self, far_end: FarEnd, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._far_end = far_end

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> ResponseHandler:
        del req, traces
        await asyncio.sleep(0)  # as making one takes a moment
        self._far_end.connect_s.append(timeout.connect)
        fate = self._far_end.refusals.popleft() if self._far_end.refusals else None
        if isinstance(fate, BaseException):
            raise fate
        protocol = self._factory()
        line = Line(self._far_end, protocol)
        self._far_end.lines.append(line)
        protocol.connection_made(line)
        if fate:
            fate(line)
        return protocol


@pytest.fixture
def far_end(monkeypatch: pytest.MonkeyPatch) -> FarEnd:
    """Return what every connection leads to; the environment names no proxy."""
    end = FarEnd()
    monkeypatch.setattr("aiohttp.TCPConnector", lambda *, limit, **_: Connector(end, limit=limit))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return end
