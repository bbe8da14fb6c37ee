"""Work off every open lane of a ledger: the part of a run that talks to the platform."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from bulk.cloud.transport import HttpTransport
from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.dispatch import Dispatcher, most_lanes
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.connect import connected, sandbox_state
from bulk.engine.sessions.rates import asked_rates, group_name
from bulk.engine.sessions.session import SYSTEM_CLOCK, RateGroup, Session
from bulk.engine.threads import closed_in_thread, in_thread
from bulk.events import ClockCorrected
from bulk.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bulk.cloud.credentials import CredentialProvider
    from bulk.engine.job import Job
    from bulk.engine.sessions.recorder import Counters, Writer
    from bulk.engine.stop import StopSignal
    from bulk.errors import LedgerError
    from bulk.ledger.lanes import LaneReader
    from bulk.ledger.store import Ledger
    from bulk.model import Lane

__all__ = ["opened_session", "send", "visit"]

_GRACE_S = 4.0
"""How long requests in flight may take to end once a stop is requested; what is open then, the next run finds out."""


async def send(
    job: Job, credentials: CredentialProvider, *, run_id: str, lanes: LaneReader, counters: Counters
) -> None:
    """Give every open row of the lanes its outcome, or stop early.

    A ledger that can't be written any more stops the run like a platform that can't be reached does: what was
    recorded stays, and the claims on disk tell the next run what to ask about.
    """
    state = sandbox_state(job.ledger.path)
    async with (
        _writing(job.ledger, run_id=run_id, stop=job.stop) as writer,
        opened_session(job, credentials, writer=writer, counters=counters, state=state) as session,
    ):
        await visit(session, lanes, lambda lane: work_off(lane, session), concurrency=most_lanes(job.settings))


@asynccontextmanager
async def opened_session(
    job: Job, credentials: CredentialProvider, *, writer: Writer, counters: Counters, state: Path | None
) -> AsyncIterator[Session]:
    """Open the one session of a job that names no accounts; nothing is sent yet.

    Args:
        job: Says where requests go and how fast, and whom to tell.
        credentials: Asked before every request.
        writer: Where outcomes and attempts are recorded.
        counters: Counted up.
        state: Where the sandbox keeps its world; ``None``: it forgets it.
    """
    settings = job.settings
    # The sandbox beside a run is a platform of its own: nobody else sends there.
    name = None if settings.sandbox else group_name(job.target, (await credentials.current()).access_key_id)
    group = RateGroup(asked_rates(settings), name=name, listener=job.listener)
    group.close_on(job.stop)
    async with (
        group.shared(),
        HttpTransport(limit=most_lanes(settings)) as transport,
        connected(
            settings,
            job.target,
            transport,
            credentials=credentials,
            state=state,
            on_clock_corrected=lambda offset_s: job.listener(ClockCorrected(offset_s)),
        ) as platform,
    ):
        yield Session(
            platform=platform,
            group=group,
            writer=writer,
            breaker=Breaker(now=SYSTEM_CLOCK.monotonic(), max_failures=settings.max_failures),
            counters=counters,
            stop=job.stop,
            listener=job.listener,
            policy=RetryPolicy(max_attempts=settings.max_attempts),
        )


async def visit(
    session: Session, lanes: LaneReader, work: Callable[[Lane], Awaitable[None]], *, concurrency: int
) -> None:
    """Do ``work`` for lanes with open rows, as many side by side as the rates ask for, and at most ``concurrency``.

    Raises:
        LedgerError: The lanes can't be read, or a claim could not be made durable.
    """
    dispatcher = Dispatcher(session, concurrency=concurrency)
    try:
        async with asyncio.timeout(None) as limit:
            with session.stop.following(lambda: limit.reschedule(asyncio.get_running_loop().time() + _GRACE_S)):
                async with aclosing(_one_by_one(lanes)) as each:
                    await dispatcher.run(each, work)
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


async def _one_by_one(lanes: LaneReader) -> AsyncGenerator[Lane, None]:
    """Read lanes off the event loop, some products ahead."""
    while found := await in_thread(lanes.next_lanes):
        for lane in found:
            yield lane
