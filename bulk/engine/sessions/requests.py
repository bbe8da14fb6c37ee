"""Make one request at a time: wait for its pace, send it, note the answer, repeat requests that only read.

Classes that change something and classes that only read derive from it. The derived class defines what can be asked.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk.control.retry import Next
from bulk.engine.sessions.gate import Turn
from bulk.engine.sessions.lull import Lull
from bulk.errors import TurnMissedError
from bulk.events import RateChanged
from bulk.model import Accepted, Action, Failure, FailureKind, Listing, Package, Page, Product

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bulk.cloud.wire.transport import Leave
    from bulk.control.breaker import Breaker
    from bulk.control.retry import RetryPolicy, Step, Uniform
    from bulk.engine.sessions.gate import Gate
    from bulk.engine.sessions.notes import Notes
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener

__all__ = ["Key", "Requests", "Way", "spoken"]

_LATENCY_WEIGHT = 0.1
_ANNOUNCED_STEP = 1.05
"""A rate rises a little with every success; only steps that an operator would notice are announced."""

_WITHOUT_RIGHT_S = 0.25
"""How often a request without the right to leave checks again: the renewal that restores the right takes longer."""

_MOST_TURNS = 10
"""Turns that one request may miss before it counts as failed: an endpoint may close each connection it accepts."""

_ABANDONED = Failure(
    kind=FailureKind.DOUBTFUL, code="abandoned", message="the run ended before the answer came; the next run will ask"
)

Key = tuple[str, str | None]
"""ProductKey and ModuleName of a request's subject; a listing has no ModuleName."""

_Success = TypeVar("_Success", Listing, Accepted, Product, Page[Package], Page[Product])
_Success_co = TypeVar("_Success_co", Listing, Accepted, Product, Page[Package], Page[Product], covariant=True)
_Subject = TypeVar("_Subject")
_Subject_contra = TypeVar("_Subject_contra", contravariant=True)


class _Request(Protocol[_Subject_contra, _Success_co]):
    """A method of `Platform`."""

    def __call__(self, subject: _Subject_contra, /, *, leave: Leave) -> Awaitable[_Success_co | Failure]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What every request of an account passes on its way to the platform."""

    gates: Mapping[Action, Gate]
    """The pace of each action."""

    policy: RetryPolicy
    """Decides what follows a failure."""

    breaker: Breaker
    """Learns of every answer; may stop the account."""

    notes: Notes
    """Notes every request and retry."""

    stop: StopSignal
    """Obeyed, and requested if nothing can succeed."""

    listener: Listener
    """Learns when a rate changes."""

    account: str = ""
    """Owner of the requests; empty if no accounts are named."""

    uniform: Uniform = random.uniform
    """Source of jitter."""

    clock: Callable[[], float] = time.monotonic
    """Monotonic seconds, for the breaker."""


def spoken(failure: Failure) -> str:
    """Return a failure as a sentence, with its remedy."""
    end = "" if failure.message.endswith((".", "!", "?")) else "."
    remedy = f"{end} {failure.remedy}" if failure.remedy else ""
    return f"{failure.code}: {failure.message}{remedy}"


class Requests:
    """An account's requests. The answer ``None`` means that the work is stopping: nothing was sent."""

    def __init__(self, way: Way) -> None:
        """Take the rules that all requests follow."""
        policy, stop, uniform = way.policy, way.stop, way.uniform
        self._gates = way.gates
        self._policy = policy
        self._breaker = way.breaker
        self._notes = way.notes
        self._stop = stop
        self._uniform = uniform
        self._listener = way.listener
        self._account = way.account
        self._clock = way.clock
        self._lulls = {
            action: Lull(probe_s=lambda number: policy.probe_s(number, uniform), stop=stop) for action in way.gates
        }
        self._announced_per_s = {action: gate.rate_per_s for action, gate in way.gates.items()}
        self.on_progress: Callable[[], None] = lambda: None
        """Called each time a request has left its queue."""

        stop.follow(self._leave_lines)
        self.latency_s = 0.05
        """Moving average of a request's duration, from leaving its queue to its answer."""

    @property
    def held_back(self) -> bool:
        """Whether requests wait for the end of an outage: more requests would not help."""
        return any(lull.is_on for lull in self._lulls.values())

    def step_after(self, failure: Failure, attempt: int, *, action: Action) -> Step:
        """Decide what follows a failure; if no row can succeed now, also stop the run."""
        silent = self._breaker.is_silent(action)
        step = self._policy.decide(failure, attempt, action=action, uniform=self._uniform, silent=silent)
        if step.next is Next.STOP_RUN:
            self._stop.request(spoken(failure))
        return step

    async def _ask(
        self, action: Action, request: _Request[_Subject, _Success], subject: _Subject, *, key: Key, stops: bool = True
    ) -> _Success | Failure | None:
        """Ask for something; repeat while that may help.

        Args:
            action: What is asked for.
            request: Sends it once.
            subject: Argument of the request.
            key: Subject of the request.
            stops: True: a permanent refusal stops the account; False: it is an answer like others.
        """
        attempt, repeat = 1, False
        while True:
            answer = await self._send(action, request, subject, key=key, repeat=repeat)
            if not isinstance(answer, Failure):
                return answer
            if not stops and (answer.permission or answer.kind is FailureKind.FATAL):
                return answer
            step = self.step_after(answer, attempt, action=action)
            if step.next is not Next.REPEAT:
                return answer
            self._notes.announce_retry(
                action, answer, product_key=key[0], line=None, attempt=attempt, delay_s=step.delay_s
            )
            attempt = step.after(attempt)
            if await self._stop.sleep(step.delay_s):
                return None
            repeat = True

    async def _send(
        self,
        action: Action,
        request: _Request[_Subject, _Success],
        subject: _Subject,
        *,
        key: Key,
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
                # It left, although nothing waits for its answer now: the platform counts it, and so do we.
                latency_s = self._clock() - started
                self._notes.attempted(action, _ABANDONED, key, latency_s=latency_s, left_s=turn.left_s, repeat=repeat)
                raise
            finally:
                if probing:
                    lull.probed()
        now = self._clock()
        latency_s = now - started
        self.latency_s += _LATENCY_WEIGHT * (latency_s - self.latency_s)
        self._notes.attempted(action, answer, key, latency_s=latency_s, left_s=turn.left_s, repeat=repeat)
        if isinstance(answer, Failure):
            self._failed(answer, gate, action, key, sent_at=started, now=now)
        else:
            turn.answered()
            self._succeeded(gate, action, key, now)
        return answer

    async def _turn(self, gate: Gate, lull: Lull) -> tuple[float | None, bool]:
        """Wait for a request's turn; return when it was released, and whether it probes the end of an outage."""
        while True:
            await self._until_rightful(gate)
            probing = lull.is_on and await lull.wait()
            try:
                # Others of the rate group may continue: an account that must stop does not join their queue.
                released_at = None if self._stop.requested else await gate.acquire(self)
            except BaseException:
                if probing:
                    lull.probed()
                raise
            if released_at is not None and self._stop.requested:
                # Gates close once all accounts that share them must stop: this account may have been stopped alone.
                gate.give_back(released_at)
                return None, probing
            if probing or released_at is None or not lull.is_on:
                return released_at, probing
            gate.give_back(released_at)  # the outage began while the request was in the queue

    async def _until_rightful(self, gate: Gate) -> None:
        """Wait for the right to send; this counts neither as a failure of a request nor as an attempt of a row."""
        while not gate.may_send() and not await self._stop.sleep(_WITHOUT_RIGHT_S):
            pass

    def _leave_lines(self) -> None:
        """Give up every place in the gates' queues: others of the rate group wait behind."""
        for gate in self._gates.values():
            gate.send_home(self)

    def _succeeded(self, gate: Gate, action: Action, key: Key, now: float) -> None:
        self._answered(action)
        self._breaker.succeeded(action, key, now=now)
        if gate.succeeded() and (
            gate.rate_per_s == gate.per_s or gate.rate_per_s > self._announced_per_s[action] * _ANNOUNCED_STEP
        ):
            self._announce_rate(gate, action, throttled=False)

    def _failed(self, failure: Failure, gate: Gate, action: Action, key: Key, *, sent_at: float, now: float) -> None:
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
        """End an outage; if one action is answered again, the others may be too, so they probe."""
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
