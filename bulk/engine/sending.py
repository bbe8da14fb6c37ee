"""Work off every open lane of a ledger: the part of a run that talks to the platform."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulk.control.breaker import Breaker
from bulk.control.pace import Pace
from bulk.control.retry import RetryPolicy
from bulk.engine.calls import Calls
from bulk.engine.connect import connected
from bulk.engine.creation import Means
from bulk.engine.dispatch import Dispatcher, most_lanes
from bulk.engine.gate import Gate
from bulk.engine.recorder import Recorder
from bulk.events import ClockCorrected
from bulk.ledger.writer import LedgerWriter
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulk.cloud.client import Platform
    from bulk.cloud.credentials import CredentialProvider
    from bulk.engine.recorder import Counters
    from bulk.engine.stop import StopSignal
    from bulk.errors import LedgerError
    from bulk.events import Listener
    from bulk.ledger.store import Ledger
    from bulk.model import Lane, Target
    from bulk.settings import Settings

__all__ = ["send"]

_GRACE_S = 4.0
"""How long requests in flight may take to end once a stop is requested; what is open then, the next run finds out."""


async def send(
    ledger: Ledger,
    settings: Settings,
    target: Target,
    *,
    run_id: str,
    credentials: CredentialProvider,
    counters: Counters,
    stop: StopSignal,
    listener: Listener,
) -> None:
    """Give every open row its outcome, or stop early.

    A ledger that can't be written any more stops the run like a platform that can't be reached does: what was
    recorded stays, and the claims on disk tell the next run what to ask about.
    """

    async with (
        connected(
            settings,
            target,
            credentials=credentials,
            ledger=ledger.path,
            connections=most_lanes(settings),
            on_clock_corrected=lambda offset_s: listener(ClockCorrected(offset_s)),
        ) as platform,
        _writing(ledger, run_id=run_id, stop=stop) as writer,
    ):
        breaker = Breaker(now=time.monotonic(), max_failures=settings.max_failures)
        recorder = Recorder(writer, counters=counters, breaker=breaker, stop=stop, listener=listener)
        await _work_off(ledger, settings, platform, recorder=recorder, breaker=breaker, stop=stop, listener=listener)


@asynccontextmanager
async def _writing(ledger: Ledger, *, run_id: str, stop: StopSignal) -> AsyncIterator[LedgerWriter]:
    def failed(error: LedgerError) -> None:
        stop.request(str(error), exit_code=error.exit_code)

    writer = LedgerWriter(
        ledger.connection, ledger.path, run_id=run_id, loop=asyncio.get_running_loop(), on_failure=failed
    )
    try:
        yield writer
    finally:
        # Shielded: also a run that is cancelled commits what it knows.
        await asyncio.shield(asyncio.to_thread(writer.close))


async def _work_off(
    ledger: Ledger,
    settings: Settings,
    platform: Platform,
    *,
    recorder: Recorder,
    breaker: Breaker,
    stop: StopSignal,
    listener: Listener,
) -> None:
    calls, gates = _paced_calls(platform, settings, recorder=recorder, breaker=breaker, stop=stop, listener=listener)
    dispatcher = Dispatcher(
        gates, concurrency=most_lanes(settings), stop_requested=lambda: stop.requested, listener=listener
    )
    calls.on_progress = dispatcher.nudge
    means = Means(calls, recorder, stop, settings.max_attempts)
    try:
        async with asyncio.timeout(None) as limit:
            stop.follow(lambda: limit.reschedule(asyncio.get_running_loop().time() + _GRACE_S))
            stop.follow(dispatcher.nudge)
            await dispatcher.run(_open_lanes(ledger), means)
    except TimeoutError:
        pass  # what was in flight keeps its claim: the next run lists before it sends again


def _paced_calls(
    platform: Platform,
    settings: Settings,
    *,
    recorder: Recorder,
    breaker: Breaker,
    stop: StopSignal,
    listener: Listener,
) -> tuple[Calls, tuple[Gate, ...]]:
    """Put the pace, the retries and the breaker in front of a platform; the gates close when the run stops."""
    now = time.monotonic()
    gates = {
        Action.LIST: Gate(Pace(settings.list_qps, now=now)),
        Action.CREATE: Gate(Pace(settings.qps, now=now)),
    }
    for gate in gates.values():
        stop.follow(gate.close)
    calls = Calls(
        platform,
        gates=gates,
        policy=RetryPolicy(max_attempts=settings.max_attempts),
        breaker=breaker,
        recorder=recorder,
        stop=stop,
        uniform=random.uniform,
        listener=listener,
    )
    return calls, tuple(gates.values())


async def _open_lanes(ledger: Ledger) -> AsyncIterator[Lane]:
    """Read the lanes off the event loop, some products ahead."""
    batches = ledger.lanes()
    while lanes := await asyncio.to_thread(next, batches, None):
        for lane in lanes:
            yield lane
