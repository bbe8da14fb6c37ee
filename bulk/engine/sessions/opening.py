"""Open the sessions of a job's accounts: keys, rate group, platform. Their first requests are spread over time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.sessions.connect import connected
from bulk.engine.sessions.rates import asked_rates
from bulk.engine.sessions.session import SYSTEM_CLOCK, RateGroup, Session
from bulk.errors import SettingsError
from bulk.events import ClockCorrected, RateChanged
from bulk.model import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bulk.cloud.wire.transport import Transport
    from bulk.engine.job import Job, Part
    from bulk.engine.sessions.keys import KeyRing, Opened
    from bulk.engine.sessions.recorder import Writer
    from bulk.events import Event, Listener
    from bulk.model import Action

__all__ = ["Opening", "is_the_right_one"]

_LONGEST_STEP_S = 1.0
"""Starts are spread over at most this: a rate of one a minute must not delay the start by a minute."""


class Opening:
    """Opens sessions. What they share, such as rate groups and the transport, stays open until the block ends."""

    def __init__(
        self, job: Job, keys: KeyRing, *, transport: Transport, writer: Writer, states: Mapping[str, Path]
    ) -> None:
        """Open nothing yet.

        Args:
            job: Has the listener, and the signal that stops all.
            keys: Keys of its accounts.
            transport: The process's transport.
            writer: The process's writer.
            states: Where the sandbox keeps the world of each account; it does not keep the others.
        """
        self._job = job
        self._keys = keys
        self._transport = transport
        self._writer = writer
        self._states = states
        self._groups: dict[str, RateGroup] = {}
        self._rates: dict[str, Mapping[Action, float]] = {}
        """Rate group → its rates in the settings."""

        self._opening_group = asyncio.Lock()
        self._shared = AsyncExitStack()
        self._began_at = SYSTEM_CLOCK.monotonic()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop sharing the windows of the rate groups with other processes."""
        await self._shared.aclose()

    @asynccontextmanager
    async def session(self, part: Part) -> AsyncIterator[Session]:
        """Open an account's session; nothing is sent yet.

        Raises:
            SettingsError: It has no keys, or its settings can't reach its platform.
            StoppedError: A stop was requested before its keys were available.
        """
        opened = await self._keys.of(part)
        settings, listener = part.account.settings, self._job.listener
        async with connected(
            settings,
            part.account.target,
            self._transport,
            credentials=opened.credentials,
            state=self._states.get(part.name),
            on_clock_corrected=lambda offset_s: listener(ClockCorrected(offset_s, part.name)),
        ) as platform:
            yield Session(
                account=part.name,
                platform=platform,
                group=await self._group(part, opened),
                writer=self._writer,
                breaker=Breaker(now=SYSTEM_CLOCK.monotonic(), max_failures=settings.max_failures),
                counters=part.counters,
                stop=part.stop,
                listener=listener,
                policy=RetryPolicy(max_attempts=settings.max_attempts),
            )

    def start_in_s(self, number: int, session: Session) -> float:
        """Return how long a session waits before its first request, so that the sessions spread over one step.

        Paces with one rate that start together stay together: all of their requests would leave at the same moments.

        Args:
            number: Number of the session in the job, starting at 0.
            session: Knows its rates.
        """
        rates = [gate.per_s for gate in session.group.gates.values() if gate.per_s]
        step_s = min(_LONGEST_STEP_S, 1 / max(rates)) if rates else 0.0
        if not step_s:
            return 0.0
        phase_s = step_s * number / len(self._job.parts)
        return (phase_s - (SYSTEM_CLOCK.monotonic() - self._began_at)) % step_s if number else 0.0

    async def _group(self, part: Part, opened: Opened) -> RateGroup:
        rates = asked_rates(part.account.settings, syncs=self._job.syncs)
        async with self._opening_group:  # a second account of the group waits until its window is open
            group = self._groups.get(opened.rate_group) or await self._open_group(part, opened, rates)
        if self._rates.setdefault(opened.rate_group, rates) != rates:
            raise SettingsError("another account has the same key or rate group, and other rates: give both the same")
        return group

    async def _open_group(self, part: Part, opened: Opened, rates: Mapping[Action, float]) -> RateGroup:
        listener = _named(self._job.listener, part.name)
        group = RateGroup(rates, name=opened.shared_as, listener=listener, may_send=self._job.may_send)
        group.close_on(self._job.stop)
        await self._shared.enter_async_context(group.shared())
        self._groups[opened.rate_group] = group
        return group


async def is_the_right_one(session: Session, sample_product: str | None) -> bool:
    """List a product to check that the key is the right one; if it is not, stop the account."""
    if sample_product is None:
        return True
    answer = await session.calls.list_modules(sample_product)
    if isinstance(answer, Failure):
        session.stop.request(
            f"sample_product {sample_product} could not be listed, so nothing was written: "
            f"{answer.code}, {answer.message}. {answer.remedy or 'Check the key, the endpoint and sample_product'}"
        )
    return not session.stop.requested


def _named(listener: Listener, account: str) -> Listener:
    def tell(event: Event) -> None:
        listener(replace(event, account=account) if isinstance(event, RateChanged) else event)

    return tell if account else listener
