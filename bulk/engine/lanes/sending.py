"""Work through the open lanes of a ledger, all accounts in parallel: the part of a job that talks to platforms."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from bulk.cloud.wire.transport import HttpTransport
from bulk.engine.lanes.dispatch import Dispatcher, first_of, lanes_of_each
from bulk.engine.lanes.lane import work_off
from bulk.engine.lanes.selection import selected_lanes
from bulk.engine.sessions.connect import sandbox_states
from bulk.engine.sessions.opening import Opening, is_the_right_one
from bulk.engine.threads import closed_in_thread, in_thread
from bulk.errors import SettingsError, StoppedError
from bulk.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from bulk.engine.job import Job, Part
    from bulk.engine.lanes.selection import Selection
    from bulk.engine.sessions.keys import KeyRing
    from bulk.engine.sessions.recorder import Writer
    from bulk.engine.sessions.session import Session
    from bulk.engine.stop import StopSignal
    from bulk.errors import LedgerError
    from bulk.ledger.lanes import LaneReader
    from bulk.ledger.store import Ledger
    from bulk.model import Lane

__all__ = ["Feed", "Lanes", "Room", "in_all_sessions", "opened_feeds", "send", "visit", "visit_all", "writing"]

_GRACE_S = 4.0
"""How long requests in flight may take after a stop is requested; the next run finds out about those still open."""


_READ_AHEAD = 64
"""Products that are read together, for one account or for all: their rows are in memory."""

_LEAST_AHEAD = 8


_Lane = TypeVar("_Lane", bound="Lane")
_Lane_co = TypeVar("_Lane_co", bound="Lane", covariant=True)


class Lanes(Protocol[_Lane_co]):
    """Source of lanes, some products at a time; `bulk.ledger.lanes.LaneReader` is one."""

    def next_lanes(self, products: int = ..., /) -> Sequence[_Lane_co]:
        """Return the next lanes; empty: all were returned. Blocks."""
        ...


class Room(NamedTuple):
    """What each of several sessions may use."""

    concurrency: int
    """Maximum of lanes in parallel."""

    ahead: int
    """Products that are read together."""


class Feed(NamedTuple):
    """The lanes of one account."""

    part: Part
    lanes: LaneReader


@asynccontextmanager
async def opened_feeds(job: Job, selection: Selection) -> AsyncIterator[tuple[Feed, ...]]:
    """Open the lanes of each account that has any to try, until the block ends.

    Raises:
        LedgerError: The ledger can't be read.
    """
    async with AsyncExitStack() as stack:
        feeds = []
        for part in job.parts:
            async with AsyncExitStack() as own:
                lanes = await own.enter_async_context(selected_lanes(job.ledger, selection, part.name))
                if lanes.products:
                    feeds.append(Feed(part, lanes))
                    stack.push_async_callback(own.pop_all().aclose)
        yield tuple(feeds)


async def send(job: Job, feeds: Sequence[Feed], keys: KeyRing, *, run_id: str) -> None:
    """Give every open row of the feeds its outcome, or stop early.

    A ledger that becomes unwritable stops the run, as an unreachable platform does. What was recorded stays. The claims
    on disk tell the next run what to list.
    """
    states = sandbox_states(job.ledger.path, [part.name for part in job.parts])
    async with writing(job.ledger, run_id=run_id, stop=job.stop) as written, job.recording(written) as writer:
        await visit_all(job, feeds, keys, work_off, writer=writer, states=states)


async def visit_all(
    job: Job,
    feeds: Sequence[Feed],
    keys: KeyRing,
    work: Callable[[Lane, Session], Awaitable[None]],
    *,
    writer: Writer,
    states: Mapping[str, Path],
) -> None:
    """Do ``work`` for the lanes of all accounts in parallel, each at its own pace.

    Args:
        job: The job of the accounts.
        feeds: Their lanes.
        keys: Keys of all accounts.
        work: Called for a lane in its account's session.
        writer: Where outcomes and attempts are recorded.
        states: Where the sandbox keeps the world of each account; it does not keep the others.

    Raises:
        SettingsError: Two accounts are the same; nothing was sent.
        LedgerError: The lanes can't be read, or a claim could not be made durable.
    """

    async def work_through(number: int, session: Session, room: Room) -> None:
        await visit(session, feeds[number].lanes, lambda lane: work(lane, session), room=room)

    await in_all_sessions(job, [part for part, _ in feeds], keys, work_through, writer=writer, states=states)


async def in_all_sessions(
    job: Job,
    parts: Sequence[Part],
    keys: KeyRing,
    through: Callable[[int, Session, Room], Awaitable[None]],
    *,
    writer: Writer,
    states: Mapping[str, Path],
) -> None:
    """Open a session for each account, in parallel, and call ``through`` in each.

    Args:
        job: The job of the accounts.
        parts: The parts that have work.
        keys: Keys of all accounts.
        through: Called with the number of the part, its session, and what it may use.
        writer: As of `visit_all`.
        states: As of `visit_all`.

    Raises:
        SettingsError: Two accounts are one; nothing was sent.
        LedgerError: The lanes can't be read, or a claim could not be made durable.
    """
    ahead = max(_LEAST_AHEAD, _READ_AHEAD // len(parts))
    each = lanes_of_each(job.settings, sessions=len(parts), listener=job.listener)
    room = Room(each, ahead)
    async with (
        HttpTransport(limit=each * len(parts)) as transport,
        keys.opening(parts),
        Opening(job, keys, transport=transport, writer=writer, states=states) as opening,
    ):
        try:
            async with asyncio.TaskGroup() as group:
                for number, part in enumerate(parts):
                    group.create_task(_in_session(part, opening, number, through, room))
        except BaseExceptionGroup as errors:
            # One error ended the others: the operator needs its message, not that of a group.
            raise first_of(errors) from None


async def _in_session(
    part: Part,
    opening: Opening,
    number: int,
    through: Callable[[int, Session, Room], Awaitable[None]],
    room: Room,
) -> None:
    """Do one account's part. A failure that concerns only this account stops it alone."""
    try:
        async with opening.session(part) as session:
            await part.stop.sleep(opening.start_in_s(number, session))
            if await is_the_right_one(session, part.account.settings.sample_product):
                await through(number, session, room)
    except StoppedError:
        return  # before its keys were there: its rows stay as they are
    except SettingsError as exc:
        if not part.name:
            raise
        part.stop.request(str(exc))


async def visit(session: Session, lanes: Lanes[_Lane], work: Callable[[_Lane], Awaitable[None]], *, room: Room) -> None:
    """Do ``work`` for lanes, as many in parallel as the rates need and ``room`` allows.

    Raises:
        LedgerError: The lanes can't be read, or a claim could not be made durable.
    """
    dispatcher = Dispatcher(session, concurrency=room.concurrency)
    try:
        async with asyncio.timeout(None) as limit:
            with session.stop.following(lambda: limit.reschedule(asyncio.get_running_loop().time() + _GRACE_S)):
                async with aclosing(_one_by_one(lanes, room.ahead)) as each:
                    await dispatcher.run(each, work)
    except TimeoutError:
        if not limit.expired():
            raise  # somebody else's, such as a credential provider's
        # What was in flight keeps its claim: the next run lists before it sends again.


@asynccontextmanager
async def writing(ledger: Ledger, *, run_id: str, stop: StopSignal) -> AsyncIterator[LedgerWriter]:
    """Write to the ledger in its own thread until the block ends; a failure stops the job."""

    def failed(error: LedgerError) -> None:
        stop.request(str(error), exit_code=error.exit_code)

    writer = LedgerWriter(
        ledger.connection, ledger.path, run_id=run_id, loop=asyncio.get_running_loop(), on_failure=failed
    )
    # A cancelled run also commits what it knows.
    async with closed_in_thread(writer):
        yield writer


async def _one_by_one(lanes: Lanes[_Lane], products: int) -> AsyncGenerator[_Lane, None]:
    """Read lanes outside the event loop, ``products`` of them ahead."""
    while found := await in_thread(lanes.next_lanes, products):
        for lane in found:
            yield lane
