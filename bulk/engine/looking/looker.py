"""Read from one account, at its pace; repeat what may help. It is given a platform that has no writes."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from bulk.cloud.paging import gather
from bulk.control.retry import Next
from bulk.engine.sessions.gate import Turn
from bulk.errors import TurnMissedError
from bulk.events import AttemptMade, LaneClosed, LaneOpened, RateChanged, RetryScheduled
from bulk.model import Action, Attempt, Failure, FailureKind, Listing, Page, Product

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bulk.cloud.reading import ReadingPlatform
    from bulk.cloud.wire.transport import Leave
    from bulk.control.breaker import Breaker
    from bulk.control.retry import RetryPolicy, Uniform
    from bulk.engine.sessions.gate import Gate
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener

__all__ = ["Looker", "spoken"]

_MOST_TURNS = 10
"""Turns that one request may miss before that is a failure like any other."""

_Read = TypeVar("_Read", Listing, Product, Page[Product])


def spoken(failure: Failure) -> str:
    """Return a failure as a sentence, with what can be done about it."""
    end = "" if failure.message.endswith((".", "!", "?")) else "."
    remedy = f"{end} {failure.remedy}" if failure.remedy else ""
    return f"{failure.code}: {failure.message}{remedy}"


class Looker:
    """One account's reader. ``None`` as an answer means that the work is stopping."""

    def __init__(
        self,
        platform: ReadingPlatform,
        *,
        account: str,
        gates: Mapping[Action, Gate],
        policy: RetryPolicy,
        breaker: Breaker,
        stop: StopSignal,
        listener: Listener,
        uniform: Uniform = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Only store what requests need.

        Args:
            platform: Sends each request once.
            account: Whose requests they are; empty where no accounts are named.
            gates: The pace of each action.
            policy: What follows a failure.
            breaker: Learns of every answer; may stop the account.
            stop: The account's.
            listener: Learns of requests, retries, and how far it is.
            uniform: Source of jitter.
            clock: Monotonic seconds; the breaker's.
        """
        self.account = account
        self._platform = platform
        self._gates = gates
        self._policy = policy
        self._breaker = breaker
        self._stop = stop
        self._listener = listener
        self._uniform = uniform
        self._clock = clock
        stop.follow(self._leave_lines)

    async def list_modules(self, product_key: str) -> Listing | Failure | None:
        """List a product's modules."""
        self._listener(LaneOpened(product_key, 0, self.account))
        try:
            return await self._ask(
                Action.LIST, product_key, lambda leave: self._platform.list_modules(product_key, leave=leave)
            )
        finally:
            self._listener(LaneClosed(product_key, self.account))

    async def list_products(self) -> tuple[Product, ...] | Failure | None:
        """List all products of the account; pages that shift are read again."""

        async def page(number: int) -> Page[Product] | Failure | None:
            return await self._ask(
                Action.LIST_PRODUCTS, "", lambda leave: self._platform.list_products(page=number, leave=leave)
            )

        return await gather(page, pause=self._stop.sleep)

    async def show_product(self, product_key: str) -> Product | Failure | None:
        """Ask for one product: its name, and whether it is the account's own."""
        return await self._ask(
            Action.SHOW_PRODUCT, product_key, lambda leave: self._platform.show_product(product_key, leave=leave)
        )

    async def _ask(
        self, action: Action, product_key: str, request: Callable[[Leave], Awaitable[_Read | Failure]]
    ) -> _Read | Failure | None:
        attempt = 1
        while True:
            answer = await self._send(action, product_key, request)
            if not isinstance(answer, Failure):
                return answer
            silent = self._breaker.is_silent(action)
            step = self._policy.decide(answer, attempt, action=action, uniform=self._uniform, silent=silent)
            if step.next is Next.STOP_RUN:
                self._stop.request(spoken(answer))
            if step.next is not Next.REPEAT:
                return answer
            self._announce_retry(action, product_key, answer, attempt=attempt, delay_s=step.delay_s)
            attempt = step.after(attempt)
            if await self._stop.sleep(step.delay_s):
                return None

    async def _send(
        self, action: Action, product_key: str, request: Callable[[Leave], Awaitable[_Read | Failure]]
    ) -> _Read | Failure | None:
        gate = self._gates[action]
        for _ in range(_MOST_TURNS):
            released_at = None if self._stop.requested else await gate.acquire(self)
            if released_at is None:
                return None
            sent_at, turn = self._clock(), Turn(gate, released_at)
            try:
                answer = await request(turn.leave)
                break
            except TurnMissedError as exc:
                gate.give_back(released_at)
                answer = Failure(kind=FailureKind.NOT_SENT, code="connect_timeout", message=str(exc))
        now = self._clock()
        self._note(action, product_key, answer, latency_s=now - sent_at)
        if isinstance(answer, Failure):
            self._failed(answer, action, product_key, sent_at=sent_at, now=now)
        else:
            turn.answered()
            self._breaker.succeeded(action, (product_key, None), now=now)
            if gate.succeeded() and gate.rate_per_s == gate.per_s:
                self._announce_rate(action, throttled=False)
        return answer

    def _failed(self, failure: Failure, action: Action, product_key: str, *, sent_at: float, now: float) -> None:
        if failure.kind is FailureKind.THROTTLED and self._gates[action].throttled(failure.retry_after_s):
            self._announce_rate(action, throttled=True)
        reason = self._breaker.failed(failure, action=action, key=(product_key, None), sent_at=sent_at, now=now)
        if reason:
            self._stop.request(reason)

    def _leave_lines(self) -> None:
        """Give up every place before a gate: others of the rate group are behind."""
        for gate in self._gates.values():
            gate.send_home(self)

    def _note(
        self, action: Action, product_key: str, answer: Listing | Product | Page[Product] | Failure, *, latency_s: float
    ) -> None:
        failure = answer if isinstance(answer, Failure) else None
        attempt = Attempt(
            at=time.time() - latency_s,
            action=action,
            product_key=product_key,
            module_name=None,
            http_status=None if isinstance(answer, Product) else answer.http_status,
            code=failure.code if failure else None,
            request_id=None if isinstance(answer, Product) else answer.request_id,
            latency_s=latency_s,
            failure=failure.kind if failure else None,
            account=self.account,
        )
        self._listener(AttemptMade(attempt))

    def _announce_retry(
        self, action: Action, product_key: str, failure: Failure, *, attempt: int, delay_s: float
    ) -> None:
        self._listener(
            RetryScheduled(
                action=action,
                product_key=product_key,
                line=None,
                attempt=attempt,
                delay_s=delay_s,
                code=failure.code,
                message=failure.message,
                account=self.account,
            )
        )

    def _announce_rate(self, action: Action, *, throttled: bool) -> None:
        gate = self._gates[action]
        self._listener(
            RateChanged(
                action=action,
                per_s=gate.rate_per_s,
                asked_per_s=gate.per_s,
                throttled=throttled,
                account=self.account,
            )
        )
