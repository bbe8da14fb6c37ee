"""Serve the platform in a box: a real HTTP server, whose connections break where the plan of faults says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from bulk.errors import SettingsError
from bulk.sandbox.box import Box
from bulk.sandbox.call import read_call
from bulk.sandbox.delivery import abort, deliver

if TYPE_CHECKING:
    from types import TracebackType

    from bulk.sandbox.config import SandboxConfig

__all__ = ["Sandbox"]

_SHUTDOWN_S: Final = 1.0


class _Refusal(asyncio.Protocol):
    """A connection that breaks as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        abort(transport)


class Sandbox(Box):
    """A sandbox that serves for as long as its context is open."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Open the state and serve.

        Raises:
            SettingsError: The state can't be read, or the port is taken.
        """
        await asyncio.to_thread(self.open)
        self._web = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._connect, self._config.host, self._config.port)
        except OSError as exc:
            self.close()
            place = f"{self._config.host}:{self._config.port}"
            raise SettingsError(f"the sandbox can't listen on {place}: {exc.strerror or exc}") from exc
        host, port = self._listener.sockets[0].getsockname()[:2]
        self.endpoint = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: nothing hangs any longer, connections are closed, the state is on disk."""
        self._closing.set()
        self._listener.close()
        # Idle connections end at once; only those with a request in progress are waited for.
        self._web.pre_shutdown()
        await self._web.shutdown(_SHUTDOWN_S)
        self.close()

    def _connect(self) -> asyncio.Protocol:
        return _Refusal() if self.refuses() else self._web()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        call = read_call(request.method, request.raw_path, headers=headers, body=body, dialect=self._config.dialect)
        visit = self.visit(call)
        if visit.latency_s:
            await asyncio.sleep(visit.latency_s / 2)
        reply = self.answer(visit)
        if visit.latency_s:
            await asyncio.sleep(visit.latency_s / 2)
        now = self.now(visit.plan)
        return await deliver(request, reply, fault=visit.fault, plan=visit.plan, now=now, closing=self._closing)
