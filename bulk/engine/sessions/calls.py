"""Make one request at a time: wait for its pace, send it, take note of what came back, repeat a listing that failed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk.cloud.paging import gather
from bulk.control.retry import Next
from bulk.engine.sessions.gate import Turn
from bulk.engine.sessions.lull import Lull
from bulk.errors import TurnMissedError
from bulk.events import RateChanged
from bulk.model import Accepted, Action, Failure, FailureKind, Listing, Package, Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bulk.cloud.client import Platform
    from bulk.cloud.wire.transport import Leave
    from bulk.control.breaker import Breaker
    from bulk.control.retry import RetryPolicy, Step, Uniform
    from bulk.engine.sessions.gate import Gate
    from bulk.engine.sessions.recorder import Recorder
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.model import Change

__all__ = ["Calls"]

_LATENCY_WEIGHT = 0.1
_ANNOUNCED_STEP = 1.05
"""A rate climbs a little with every success; only steps that an operator would notice are announced."""

_WITHOUT_RIGHT_S = 0.25
"""How often a request that may not leave looks again: a right comes back by a renewal, which takes longer."""

_MOST_TURNS = 10
"""Turns that one request may miss before that is a failure like any other: an endpoint may close what it accepts."""

_ABANDONED = Failure(
    kind=FailureKind.DOUBTFUL, code="abandoned", message="the run ended before the answer came; the next run will ask"
)

_Key = tuple[str, str | None]
"""ProductKey and ModuleName of what a request is about; a listing has no ModuleName."""

_Success = TypeVar("_Success", Listing, Accepted, Page[Package])
_Success_co = TypeVar("_Success_co", Listing, Accepted, Page[Package], covariant=True)
_Subject = TypeVar("_Subject")
_Subject_contra = TypeVar("_Subject_contra", contravariant=True)


class _Request(Protocol[_Subject_contra, _Success_co]):
    """A method of `Platform`."""

    def __call__(self, subject: _Subject_contra, /, *, leave: Leave) -> Awaitable[_Success_co | Failure]: ...


class Calls:
    """The lanes' way to the platform. ``None`` as an answer means that the run is stopping: nothing was sent."""

    def __init__(
        self,
        platform: Platform,
        *,
        gates: Mapping[Action, Gate],
        policy: RetryPolicy,
        breaker: Breaker,
        recorder: Recorder,
        stop: StopSignal,
        uniform: Uniform,
        listener: Listener,
        account: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Only store what requests need.

        Args:
            platform: Sends each request once.
            gates: The pace of each action.
            policy: What follows a failure.
            breaker: Told of every answer; may stop the run.
            recorder: Told of every request.
            stop: Obeyed, and requested where no row can succeed.
            uniform: Source of jitter.
            listener: Told when a rate changes.
            account: Whose requests they are; empty where no accounts are named.
            clock: Monotonic seconds; the breaker's.
        """
        self._platform = platform
        self._gates = gates
        self._policy = policy
        self._breaker = breaker
        self._recorder = recorder
        self._stop = stop
        self._uniform = uniform
        self._listener = listener
        self._account = account
        self._clock = clock
        self._lulls = {
            action: Lull(probe_s=lambda number: policy.probe_s(number, uniform), stop=stop) for action in gates
        }
        self._announced_per_s = {action: gate.rate_per_s for action, gate in gates.items()}
        self.on_progress: Callable[[], None] = lambda: None
        """Called whenever a request left its queue."""

        stop.follow(self._leave_lines)
        self.latency_s = 0.05
        """Moving average of what a request takes, from leaving its queue to its answer."""

    @property
    def held_back(self) -> bool:
        """Whether requests wait for the end of an outage: more of them would not help."""
        return any(lull.is_on for lull in self._lulls.values())

    async def list_modules(self, product_key: str) -> Listing | Failure | None:
        """List a product's modules, repeating while that may help."""
        attempt, repeat = 1, False
        while True:
            answer = await self._send(
                Action.LIST, self._platform.list_modules, product_key, key=(product_key, None), repeat=repeat
            )
            if not isinstance(answer, Failure):
                return answer
            step = self.step_after(answer, attempt, action=Action.LIST)
            if step.next is not Next.REPEAT:
                return answer
            self._recorder.announce_retry(
                Action.LIST, answer, product_key=product_key, line=None, attempt=attempt, delay_s=step.delay_s
            )
            attempt = step.after(attempt)
            if await self._stop.sleep(step.delay_s):
                return None
            repeat = True

    async def list_packages(self, product_key: str) -> tuple[Package, ...] | Failure | None:
        """List all update packages of a product, repeating while that may help."""

        async def ask(number: int) -> Page[Package] | Failure | None:
            return await self._ask_page(product_key, number)

        return await gather(ask)

    async def _ask_page(self, product_key: str, number: int) -> Page[Package] | Failure | None:
        async def request(key: str, *, leave: Leave) -> Page[Package] | Failure:
            return await self._platform.list_packages(key, page=number, leave=leave)

        attempt, repeat = 1, False
        while True:
            answer = await self._send(
                Action.LIST_PACKAGES, request, product_key, key=(product_key, None), repeat=repeat
            )
            # What is refused for good only means that nothing is deleted here: it stops nobody.
            if not isinstance(answer, Failure) or answer.permission or answer.kind is FailureKind.FATAL:
                return answer
            step = self.step_after(answer, attempt, action=Action.LIST_PACKAGES)
            if step.next is not Next.REPEAT:
                return answer
            attempt = step.after(attempt)
            if await self._stop.sleep(step.delay_s):
                return None
            repeat = True

    async def apply(self, change: Change, *, repeat: bool) -> Accepted | Failure | None:
        """Send one change, once; ``repeat``: after a request for it that failed."""
        wanted = change.wanted
        key = wanted.product_key, wanted.module_name
        return await self._send(change.action, self._platform.apply, change, key=key, repeat=repeat)

    def step_after(self, failure: Failure, attempt: int, *, action: Action) -> Step:
        """Decide what follows a failure; where no row can succeed now, also stop the run."""
        silent = self._breaker.is_silent(action)
        step = self._policy.decide(failure, attempt, action=action, uniform=self._uniform, silent=silent)
        if step.next is Next.STOP_RUN:
            end = "" if failure.message.endswith((".", "!", "?")) else "."
            remedy = f"{end} {failure.remedy}" if failure.remedy else ""
            self._stop.request(f"{failure.code}: {failure.message}{remedy}")
        return step

    def proved(self, change: Change) -> None:
        """Take note that a change was carried out whose reply was lost: replies are late then, and not in vain."""
        self._answered(change.action)
        self._breaker.answered(change.action, (change.wanted.product_key, change.wanted.module_name))

    async def _send(
        self,
        action: Action,
        request: _Request[_Subject, _Success],
        subject: _Subject,
        *,
        key: _Key,
        repeat: bool,
    ) -> _Success | Failure | None:
        gate, lull = self._gates[action], self._lulls[action]
        turns = 0
        while turns < _MOST_TURNS:
            turns += 1
            released_at, probing = await self._turn(gate, lull)
            if released_at is None:
                if probing:
                    lull.probed()
                return None
            self.on_progress()
            started, turn = self._clock(), Turn(gate, released_at)
            try:
                answer = await request(subject, leave=turn.leave)
                break
            except TurnMissedError as exc:
                gate.give_back(released_at)
                turns -= not gate.may_send()
                answer = Failure(kind=FailureKind.NOT_SENT, code="connect_timeout", message=str(exc))
            except asyncio.CancelledError:
                # It left, though nobody waits for its answer any more: the platform counts it, and so do we.
                latency_s = self._clock() - started
                self._recorder.attempted(
                    action, _ABANDONED, key, latency_s=latency_s, left_s=turn.left_s, repeat=repeat
                )
                raise
            finally:
                if probing:
                    lull.probed()
        now = self._clock()
        latency_s = now - started
        self.latency_s += _LATENCY_WEIGHT * (latency_s - self.latency_s)
        self._recorder.attempted(action, answer, key, latency_s=latency_s, left_s=turn.left_s, repeat=repeat)
        if isinstance(answer, Failure):
            self._failed(answer, gate, action, key, sent_at=started, now=now)
        else:
            turn.answered()
            self._succeeded(gate, action, key, now)
        return answer

    async def _turn(self, gate: Gate, lull: Lull) -> tuple[float | None, bool]:
        """Wait for a request's turn; say when it was let out, and whether it is to find out if an outage is over."""
        while True:
            await self._until_rightful(gate)
            probing = lull.is_on and await lull.wait()
            try:
                # Others of the rate group may go on: an account that is to stop does not join their line.
                released_at = None if self._stop.requested else await gate.acquire(self)
            except BaseException:
                if probing:
                    lull.probed()
                raise
            if released_at is not None and self._stop.requested:
                # Gates close once all who share them are to stop: this account alone may have been stopped meanwhile.
                gate.give_back(released_at)
                return None, probing
            if probing or released_at is None or not lull.is_on:
                return released_at, probing
            gate.give_back(released_at)  # the outage began while it stood in line

    async def _until_rightful(self, gate: Gate) -> None:
        """Wait for the right to send; that is no failure of a request, and no attempt of a row."""
        while not gate.may_send() and not await self._stop.sleep(_WITHOUT_RIGHT_S):
            pass

    def _leave_lines(self) -> None:
        """Give up every place before a gate: others of the rate group are behind."""
        for gate in self._gates.values():
            gate.send_home(self)

    def _succeeded(self, gate: Gate, action: Action, key: _Key, now: float) -> None:
        self._answered(action)
        self._breaker.succeeded(action, key, now=now)
        if gate.succeeded() and (
            gate.rate_per_s == gate.per_s or gate.rate_per_s > self._announced_per_s[action] * _ANNOUNCED_STEP
        ):
            self._announce_rate(gate, action, throttled=False)

    def _failed(self, failure: Failure, gate: Gate, action: Action, key: _Key, *, sent_at: float, now: float) -> None:
        if failure.kind is FailureKind.THROTTLED and gate.throttled(failure.retry_after_s):
            self._announce_rate(gate, action, throttled=True)
        reason = self._breaker.failed(failure, action=action, key=key, sent_at=sent_at, now=now)
        if reason:
            self._stop.request(reason)
        if self._breaker.is_out(action):
            self._lulls[action].begin()
        elif not self._breaker.is_silent(action):
            self._answered(action)

    def _answered(self, action: Action) -> None:
        """End an outage; where one action is answered again, the others may be too, and find out."""
        if self._lulls[action].is_on:
            for lull in self._lulls.values():
                lull.end()
            self.on_progress()

    def _announce_rate(self, gate: Gate, action: Action, *, throttled: bool) -> None:
        self._announced_per_s[action] = gate.rate_per_s
        self._listener(
            RateChanged(
                action=action,
                per_s=gate.rate_per_s,
                asked_per_s=gate.per_s,
                throttled=throttled,
                account=self._account,
            )
        )
