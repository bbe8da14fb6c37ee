"""The platform in a box: a real HTTP server that owns one cloud, one gateway and the dice of every account."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from bulk.errors import SettingsError
from bulk.model import Action
from bulk.sandbox.accounts.directory import Caller
from bulk.sandbox.arrivals import ArrivalLog, CarriedOut, Seen
from bulk.sandbox.call import read_call
from bulk.sandbox.delivery import abort, deliver
from bulk.sandbox.dice import FaultDice
from bulk.sandbox.gateway import Gateway
from bulk.sandbox.performing import perform, with_dialect
from bulk.sandbox.replies import Reply, render
from bulk.sandbox.results import Done, Refusal
from bulk.sandbox.rival import PlannedRival
from bulk.sandbox.spoiling import pretended_result, spoil
from bulk.sandbox.worlds.cloud import Cloud
from bulk.sandbox.worlds.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bulk.model import OtaModule
    from bulk.sandbox.accounts.account import Account
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.faults import Fault, FaultPlan
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.world import World

__all__ = ["Credentials", "Sandbox"]

_SHUTDOWN_S: Final = 1.0
_SEEN_KEPT: Final = 100_000
_CHANGES: Final = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that a sandbox takes."""

    access_key_id: str
    access_key_secret: str


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request, its caller, and its fault."""

    call: Call
    account: Account | None
    """``None``: the key is not known."""

    plan: FaultPlan
    fault: Fault | None
    latency_s: float


class _Refusal(asyncio.Protocol):
    """A connection that breaks as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        abort(transport)


class Sandbox:
    """A sandbox that serves for as long as its context is open."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._gateway = Gateway(config)
        self.accounts = {account.name: account for account in self._gateway.directory.accounts}
        """The accounts that it serves, by name; the empty name is the only one's."""

        self._dice = FaultDice(config.faults, seed=config.seed)
        self._own_dice = {
            account.name: FaultDice(account.faults, seed=account.seed)
            for account in self.accounts.values()
            if account.faults
        }
        self.rival = PlannedRival(config.rival, seed=config.seed) if config.rival else None
        """Plays the plan of the configuration, and remembers what it did."""

        self._rivals: list[Callable[[Seen, Console], None]] = [self.rival] if self.rival else []
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

        self.changes: list[CarriedOut] = []
        """Creates, updates and deletes that changed something, in order, since the start."""

        self.seen: deque[Seen] = deque(maxlen=_SEEN_KEPT)
        """The last 100,000 requests, in order."""

    async def __aenter__(self) -> Self:
        """Open the state and serve.

        Raises:
            SettingsError: The state can't be read, or the port is taken.
        """
        await asyncio.to_thread(self._open)
        self._web = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._connect, self._config.host, self._config.port)
        except OSError as exc:
            self._close()
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
        self._close()

    @property
    def endpoint(self) -> str:
        """Where it listens: ``http://127.0.0.1:PORT/``."""
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def credentials(self) -> Credentials:
        """The keys of its only account, or of the first one."""
        return self.credentials_of(next(iter(self.accounts)))

    def credentials_of(self, account: str) -> Credentials:
        """Return the keys that sign for an account."""
        return Credentials(self.accounts[account].access_key_id, self.accounts[account].access_key_secret)

    def modules(self, product_key: str, account: str = "") -> tuple[OtaModule, ...]:
        """Return the product's modules, oldest first, ``default`` included."""
        return tuple(module.as_module() for module in self.world(account).modules(product_key))

    def world(self, account: str = "") -> World:
        """Return everything that an account's instance holds."""
        return self._cloud.world_of(self.accounts[account])

    def console(self, account: str = "") -> Console:
        """Return what changes an account's instance from outside: no key, no rate, no fault."""
        return Console(self.world(account), clock=self._now)

    def let_in(self, rival: Callable[[Seen, Console], None]) -> None:
        """Call a rival for each request that a known key signed: after it was processed, before it is answered."""
        self._rivals.append(rival)

    def _open(self) -> None:
        self._cloud = Cloud(self._config.state, tuple(self.accounts.values()), with_demo=self._config.starting_world)
        try:
            self._arrivals = ArrivalLog(self._config.arrivals) if self._config.arrivals else None
        except SettingsError:
            self._cloud.close()
            raise

    def _close(self) -> None:
        self._cloud.close()
        if self._arrivals:
            self._arrivals.close()

    def _connect(self) -> asyncio.Protocol:
        if self._dice.refuses():
            self.injected["refuse-before"] += 1
            return _Refusal()
        return self._web()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        call = read_call(request.method, request.raw_path, headers=headers, body=body, dialect=self._config.dialect)
        visit = self._visit(call)
        if visit.latency_s:
            await asyncio.sleep(visit.latency_s / 2)
        reply = self._answer(visit)
        if visit.latency_s:
            await asyncio.sleep(visit.latency_s / 2)
        now = self._now(visit.plan)
        return await deliver(request, reply, fault=visit.fault, plan=visit.plan, now=now, closing=self._closing)

    def _visit(self, call: Call) -> _Visit:
        caller = self._gateway.directory.find(call, now=0)
        account = caller.account if isinstance(caller, Caller) else None
        dice = self._own_dice.get(account.name, self._dice) if account else self._dice
        fault, latency_s = dice.draw(call.action, call.subject)
        return _Visit(
            call=with_dialect(call, account.dialect if account else None),
            account=account,
            plan=(account.faults if account else None) or self._config.faults,
            fault=fault,
            latency_s=latency_s,
        )

    def _answer(self, visit: _Visit) -> Reply:
        # No await in here: the platform's check and its change must be one step.
        tick_s = time.monotonic()
        fault = visit.fault
        is_reached = fault is None or fault.carried_out
        result = self._carry_out(visit, tick_s) if is_reached else Done()
        is_done = is_reached and isinstance(result, Done)
        reply = render(result if fault is None else pretended_result(fault) or result, visit.call, self._config)
        if reply.code.startswith("Throttling") and visit.plan.retry_after_s is not None:
            retry_after_ms = round(visit.plan.retry_after_s * 1000)
            reply = replace(reply, headers={"x-acs-retry-after": str(retry_after_ms)})
        if fault is not None:
            reply = spoil(reply, fault, endpoint=self.endpoint)
            self.injected[fault.name] += 1
        self._note(visit, reply, tick_s, carried_out=is_done)
        return reply

    def _carry_out(self, visit: _Visit, tick_s: float) -> Result:
        call, now = visit.call, self._now(visit.plan)
        if call.path != "/":
            self.strays += 1
            return Refusal(404, "InvalidApi.NotFound", f"There is nothing at {call.path}.")
        refusal = self._gateway.check(call, now=now, tick_s=tick_s)
        if refusal is not None:
            return refusal
        try:
            result = perform(call, cloud=self._cloud, directory=self._gateway.directory, now=now, config=self._config)
        except OSError as exc:
            return Refusal(500, "InternalError", f"The sandbox can't write its state: {exc.strerror}.")
        if call.action in _CHANGES and isinstance(result, Done):
            self._note_change(visit, tick_s)
        return result

    def _note_change(self, visit: _Visit, tick_s: float) -> None:
        params, account = visit.call.params, visit.account.name if visit.account else ""
        change = CarriedOut(tick_s, params["ProductKey"], params["ModuleName"], visit.call.action, account)
        self.changes.append(change)
        if change.action == Action.CREATE:
            self.carried_out.append(change)

    def _note(self, visit: _Visit, reply: Reply, tick_s: float, *, carried_out: bool) -> None:
        call, account = visit.call, visit.account
        self.requests[call.action] += 1
        self.codes[reply.code] += 1
        seen = Seen(
            at=tick_s,
            action=call.action,
            product_key=call.params.get("ProductKey", ""),
            module_name=call.params.get("ModuleName", ""),
            status=reply.status,
            code=reply.code,
            fault=visit.fault.name if visit.fault else "",
            account=account.name if account else "",
            uid=account.uid if account else "",
            carried_out=carried_out,
        )
        self.seen.append(seen)
        if self._arrivals:
            self._arrivals.write(seen)
        for rival in self._rivals if account else ():
            rival(seen, self.console(seen.account))

    def _now(self, plan: FaultPlan | None = None) -> float:
        return time.time() + (plan or self._config.faults).clock_skew_s
