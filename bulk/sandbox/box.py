"""The platform in a box: one cloud, one gateway and the dice of every account. It has no socket: `server` gives it one.

A request is a `Visit` with a latency, half of it before the answer and half after it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bulk.errors import SettingsError
from bulk.model import Action
from bulk.sandbox.accounts.directory import Caller
from bulk.sandbox.arrivals import ArrivalLog, CarriedOut, Seen
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

    from bulk.model import OtaModule
    from bulk.sandbox.accounts.account import Account
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.faults import Fault, FaultPlan
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.world import World

__all__ = ["Box", "Credentials", "Visit"]

_SEEN_KEPT: Final = 100_000
_CHANGES: Final = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that a sandbox takes."""

    access_key_id: str
    access_key_secret: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A request at the platform: whose it is, and what goes wrong with it."""

    call: Call
    account: Account | None
    """``None``: the key is not known."""

    plan: FaultPlan
    fault: Fault | None
    latency_s: float


class Box:
    """The platform: it takes requests one after the other, and remembers them."""

    def __init__(self, config: SandboxConfig) -> None:
        """Make the platform; `open` it before the first visit."""
        self._config = config
        self.endpoint = ""
        """Where clients reach it; a redirect names it."""

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

    def open(self) -> None:
        """Read the state, and begin the log of arrivals.

        Raises:
            SettingsError: The state can't be read, or the log can't be written.
        """
        self._cloud = Cloud(self._config.state, tuple(self.accounts.values()), with_demo=self._config.starting_world)
        try:
            self._arrivals = ArrivalLog(self._config.arrivals) if self._config.arrivals else None
        except SettingsError:
            self._cloud.close()
            raise

    def close(self) -> None:
        """Put the state on disk."""
        self._cloud.close()
        if self._arrivals:
            self._arrivals.close()

    def refuses(self) -> bool:
        """Draw whether a connection breaks as soon as it is made."""
        refused = self._dice.refuses()
        if refused:
            self.injected["refuse-before"] += 1
        return refused

    def visit(self, call: Call) -> Visit:
        """Receive a request, and draw what befalls it."""
        caller = self._gateway.directory.find(call, now=0)
        account = caller.account if isinstance(caller, Caller) else None
        dice = self._own_dice.get(account.name, self._dice) if account else self._dice
        fault, latency_s = dice.draw(call.action, call.subject)
        return Visit(
            call=with_dialect(call, account.dialect if account else None),
            account=account,
            plan=(account.faults if account else None) or self._config.faults,
            fault=fault,
            latency_s=latency_s,
        )

    def answer(self, visit: Visit) -> Reply:
        """Check a request, carry it out, and say what the reply is before it is on its way."""
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

    def now(self, plan: FaultPlan | None = None) -> float:
        """Return the platform's time, in seconds since the epoch, as a plan's clock has it."""
        return time.time() + (plan or self._config.faults).clock_skew_s

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
        return Console(self.world(account), clock=self.now)

    def let_in(self, rival: Callable[[Seen, Console], None]) -> None:
        """Call a rival for each request that a known key signed: after it was processed, before it is answered."""
        self._rivals.append(rival)

    def _carry_out(self, visit: Visit, tick_s: float) -> Result:
        call, now = visit.call, self.now(visit.plan)
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

    def _note_change(self, visit: Visit, tick_s: float) -> None:
        params, account = visit.call.params, visit.account.name if visit.account else ""
        change = CarriedOut(tick_s, params["ProductKey"], params["ModuleName"], visit.call.action, account)
        self.changes.append(change)
        if change.action == Action.CREATE:
            self.carried_out.append(change)

    def _note(self, visit: Visit, reply: Reply, tick_s: float, *, carried_out: bool) -> None:
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
