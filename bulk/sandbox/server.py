"""The platform in a box: a real HTTP server that owns one world, one gateway and one set of dice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from bulk.errors import SettingsError
from bulk.model import Action
from bulk.sandbox.actions import Done, perform
from bulk.sandbox.call import read_call
from bulk.sandbox.delivery import abort, deliver
from bulk.sandbox.dice import FaultDice
from bulk.sandbox.gateway import Gateway, Refusal
from bulk.sandbox.journal import Journal
from bulk.sandbox.replies import Reply, render
from bulk.sandbox.spoiling import pretended_result, spoil
from bulk.sandbox.world import World

if TYPE_CHECKING:
    from types import TracebackType

    from bulk.model import OtaModule
    from bulk.sandbox.actions import Result
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.faults import Fault

__all__ = ["CarriedOut", "Credentials", "Sandbox", "Seen"]

_SHUTDOWN_S: Final = 1.0
_SEEN_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that a sandbox takes."""

    access_key_id: str
    access_key_secret: str


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A create that made a module."""

    at: float
    """Of the monotonic clock, in seconds."""

    product_key: str
    module_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request, as the sandbox met it."""

    at: float
    """When it was looked at, of the monotonic clock, in seconds."""

    action: str
    product_key: str
    module_name: str
    status: int
    code: str
    """The error code of the reply, whether that arrived or not; empty on success."""

    fault: str
    """Name of the fault that befell it, or empty."""


class _Refusal(asyncio.Protocol):
    """A connection that breaks as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        abort(transport)


class Sandbox:
    """A sandbox that serves for as long as its context is open."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._gateway = Gateway(config)
        self._dice = FaultDice(config.faults, seed=config.seed)
        self._closing = asyncio.Event()
        self.requests: Counter[str] = Counter()
        """Requests by action, the refused and the failed included."""

        self.codes: Counter[str] = Counter()
        """Replies by error code, lost ones included; the empty code is success."""

        self.injected: Counter[str] = Counter()
        """Faults by name, such as ``reset-after``."""

        self.strays = 0
        """Requests to another path than ``/``: a client that followed a redirect."""

        self.carried_out: list[CarriedOut] = []
        """Creates that made a module, in order, since the start."""

        self.seen: deque[Seen] = deque(maxlen=_SEEN_KEPT)
        """The last 100,000 requests, in order."""

    async def __aenter__(self) -> Self:
        """Open the state and serve.

        Raises:
            SettingsError: The state can't be read, or the port is taken.
        """
        self._world = await asyncio.to_thread(self._open_world)
        self._web = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._connect, self._config.host, self._config.port)
        except OSError as exc:
            self._world.close()
            place = f"{self._config.host}:{self._config.port}"
            raise SettingsError(f"the sandbox can't listen on {place}: {exc.strerror or exc}") from exc
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
        self._world.close()

    @property
    def endpoint(self) -> str:
        """Where it listens: ``http://127.0.0.1:PORT/``."""
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def credentials(self) -> Credentials:
        """The keys that it takes."""
        return Credentials(self._config.access_key_id, self._config.access_key_secret)

    def modules(self, product_key: str) -> tuple[OtaModule, ...]:
        """Return the product's modules, oldest first, ``default`` included."""
        return tuple(module.as_module() for module in self._world.modules(product_key))

    def _open_world(self) -> World:
        journal = Journal(self._config.state) if self._config.state else None
        world = World(journal, products=self._config.products)
        if world.is_fresh and self._config.starting_world:
            world.populate()
        return world

    def _connect(self) -> asyncio.Protocol:
        if self._dice.refuses():
            self.injected["refuse-before"] += 1
            return _Refusal()
        return self._web()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        call = read_call(request.method, request.raw_path, headers=headers, body=body, dialect=self._config.dialect)
        fault, latency_s = self._dice.draw(call.action, call.subject)
        if latency_s:
            await asyncio.sleep(latency_s / 2)
        reply = self._answer(call, fault)
        if latency_s:
            await asyncio.sleep(latency_s / 2)
        return await deliver(
            request, reply, fault=fault, plan=self._config.faults, now=self._now(), closing=self._closing
        )

    def _answer(self, call: Call, fault: Fault | None) -> Reply:
        # Without a pause in here: what the platform checks and what it changes are one step.
        result = self._carry_out(call) if fault is None or fault.carried_out else Done()
        reply = render(result if fault is None else pretended_result(fault) or result, call, self._config)
        if reply.code.startswith("Throttling") and self._config.faults.retry_after_s is not None:
            retry_after_ms = round(self._config.faults.retry_after_s * 1000)
            reply = replace(reply, headers={"x-acs-retry-after": str(retry_after_ms)})
        if fault is not None:
            reply = spoil(reply, fault, endpoint=self.endpoint)
            self.injected[fault.name] += 1
        self._note(call, reply, fault)
        return reply

    def _carry_out(self, call: Call) -> Result:
        if call.path != "/":
            self.strays += 1
            return Refusal(404, "InvalidApi.NotFound", f"There is nothing at {call.path}.")
        tick_s = time.monotonic()
        refusal = self._gateway.check(call, now=self._now(), tick_s=tick_s)
        if refusal is not None:
            return refusal
        try:
            result = perform(call, world=self._world, now=self._now(), config=self._config)
        except OSError as exc:
            return Refusal(500, "InternalError", f"The sandbox can't write its state: {exc.strerror}.")
        if call.action == Action.CREATE and isinstance(result, Done):
            made = CarriedOut(tick_s, call.params["ProductKey"], call.params["ModuleName"])
            self.carried_out.append(made)
        return result

    def _note(self, call: Call, reply: Reply, fault: Fault | None) -> None:
        self.requests[call.action] += 1
        self.codes[reply.code] += 1
        self.seen.append(
            Seen(
                at=time.monotonic(),
                action=call.action,
                product_key=call.params.get("ProductKey", ""),
                module_name=call.params.get("ModuleName", ""),
                status=reply.status,
                code=reply.code,
                fault=fault.name if fault else "",
            )
        )

    def _now(self) -> float:
        return time.time() + self._config.faults.clock_skew_s
