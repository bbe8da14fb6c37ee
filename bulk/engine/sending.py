"""Work off every open lane of a ledger: the part of a run that talks to the platform."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from bulk.control.breaker import Breaker
from bulk.control.pace import Pace
from bulk.control.retry import RetryPolicy
from bulk.engine.calls import Calls
from bulk.engine.change import Means
from bulk.engine.connect import connected, sandbox_state
from bulk.engine.dispatch import Dispatcher, most_lanes
from bulk.engine.gate import Gate
from bulk.engine.lane import work_off
from bulk.engine.recorder import Recorder
from bulk.engine.threads import closed_in_thread, in_thread
from bulk.events import ClockCorrected
from bulk.ledger.writer import LedgerWriter
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bulk.cloud.client import Platform
    from bulk.cloud.credentials import CredentialProvider
    from bulk.engine.recorder import Counters, Writer
    from bulk.engine.stop import StopSignal
    from bulk.errors import LedgerError
    from bulk.events import Listener
    from bulk.ledger.lanes import LaneReader
    from bulk.ledger.store import Ledger
    from bulk.model import Lane, Target
    from bulk.settings import Settings

__all__ = ["send", "visit"]

_GRACE_S = 4.0
"""How long requests in flight may take to end once a stop is requested; what is open then, the next run finds out."""


async def send(
    ledger: Ledger,
    settings: Settings,
    target: Target,
    *,
    run_id: str,
    lanes: LaneReader,
    credentials: CredentialProvider,
    counters: Counters,
    stop: StopSignal,
    listener: Listener,
) -> None:
    """Give every open row of the lanes its outcome, or stop early.

    A ledger that can't be written any more stops the run like a platform that can't be reached does: what was
    recorded stays, and the claims on disk tell the next run what to ask about.
    """
    async with _writing(ledger, run_id=run_id, stop=stop) as writer:
        await visit(
            settings,
            target,
            lanes=lanes,
            state=sandbox_state(ledger.path),
            writer=writer,
            counters=counters,
            credentials=credentials,
            stop=stop,
            listener=listener,
            work=work_off,
        )


async def visit(
    settings: Settings,
    target: Target,
    *,
    lanes: LaneReader,
    state: Path | None,
    writer: Writer,
    counters: Counters,
    credentials: CredentialProvider,
    stop: StopSignal,
    listener: Listener,
    work: Callable[[Lane, Means], Awaitable[None]],
) -> None:
    """Do ``work`` for lanes with open rows, as many side by side as the rates ask for.

    Args:
        settings: How fast, how stubborn.
        target: Where requests go.
        lanes: Which lanes.
        state: Where the sandbox keeps its world; ``None``: it forgets it.
        writer: Where outcomes and attempts are recorded.
        counters: Counted up.
        credentials: Asked before every request.
        stop: Obeyed, and requested where no row can succeed.
        listener: Told what happens.
        work: What is done for a lane.

    Raises:
        LedgerError: The lanes can't be read, or a claim could not be made durable.
    """
    breaker = Breaker(now=time.monotonic(), max_failures=settings.max_failures)
    recorder = Recorder(writer, counters=counters, breaker=breaker, stop=stop, listener=listener)
    async with connected(
        settings,
        target,
        credentials=credentials,
        state=state,
        connections=most_lanes(settings),
        on_clock_corrected=lambda offset_s: listener(ClockCorrected(offset_s)),
    ) as platform:
        calls, gates = _paced_calls(
            platform, settings, recorder=recorder, breaker=breaker, stop=stop, listener=listener
        )
        means = Means(calls, recorder, stop)
        dispatcher = Dispatcher(gates, calls, concurrency=most_lanes(settings), stop=stop, listener=listener)
        try:
            async with asyncio.timeout(None) as limit:
                with stop.following(lambda: limit.reschedule(asyncio.get_running_loop().time() + _GRACE_S)):
                    async with aclosing(_one_by_one(lanes)) as each:
                        await dispatcher.run(each, lambda lane: work(lane, means))
        except TimeoutError:
            if not limit.expired():
                raise  # somebody else's, such as a credential provider's
            # What was in flight keeps its claim: the next run lists before it sends again.


@asynccontextmanager
async def _writing(ledger: Ledger, *, run_id: str, stop: StopSignal) -> AsyncIterator[LedgerWriter]:
    def failed(error: LedgerError) -> None:
        stop.request(str(error), exit_code=error.exit_code)

    writer = LedgerWriter(
        ledger.connection, ledger.path, run_id=run_id, loop=asyncio.get_running_loop(), on_failure=failed
    )
    # Also a run that is cancelled commits what it knows.
    async with closed_in_thread(writer):
        yield writer


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


async def _one_by_one(lanes: LaneReader) -> AsyncGenerator[Lane, None]:
    """Read lanes off the event loop, some products ahead."""
    while found := await in_thread(lanes.next_lanes):
        for lane in found:
            yield lane
