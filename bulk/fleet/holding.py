"""Hold a shard's lease during the work on it: ask a store the questions of the pure `bulk.fleet.lease`."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from bulk.errors import StoppedError
from bulk.exits import ExitCode
from bulk.fleet.contending import Contender
from bulk.fleet.host import instant, place
from bulk.fleet.lease import Note, Pause, Read, State
from bulk.fleet.store import Outage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from bulk.engine.stop import StopSignal
    from bulk.fleet.lease import Answer, Holder, Host, Instant, Question, Terms
    from bulk.fleet.store import Store

__all__ = ["Held", "held_shard", "latest_fence"]

_Result = TypeVar("_Result")

_LOST = "another machine took shard {} and continues it; this process sends nothing more for it"


class Held:
    """A shard that this process works on, and its right to send."""

    def __init__(self, holder: Holder, *, clock: Callable[[], Instant]) -> None:
        """Begin with a lease that was just taken."""
        self._holder = holder
        self._clock = clock
        self.clocks_moved = asyncio.Event()
        """Set when only a renewal can show whether there is a right."""

    @property
    def fence(self) -> int:
        """The fence's number, starting at 1; a later holder has a higher one."""
        return self._holder.fence

    def may_send(self) -> bool:
        """Say whether a request may leave now. Used on the event loop's thread."""
        now = self._clock()
        if self._holder.right.allows(now):
            return True
        if self._holder.right.needs_renewal(now):
            self.clocks_moved.set()
        return False


@asynccontextmanager
async def held_shard(
    store: Store,
    shard: int,
    *,
    terms: Terms,
    host: Host,
    stop: StopSignal,
    clock: Callable[[], Instant] = instant,
) -> AsyncIterator[Held]:
    """Wait for a shard, hold it until the block ends, and release it.

    Args:
        store: The fleet's store.
        shard: Number of the shard.
        terms: The fleet's terms.
        host: Names the lock that this process has, and keeps until the block ends.
        stop: Ends the wait; requested when another machine has taken the shard.
        clock: This machine's clock.

    Raises:
        StoppedError: A stop was requested before the shard was free.
    """
    name = f"lease/{shard}"
    note = Note(holder=secrets.token_hex(16), host=host, where=place())
    contender = Contender(name, note, terms=terms, clock=clock)
    holder = await _ask(store, contender.take(await latest_fence(store, shard)), stop)
    held = Held(holder, clock=clock)
    renewing = asyncio.create_task(_renew(store, holder, held, shard, terms=terms, stop=stop))
    try:
        yield held
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
        await _ask(store, holder.release(), None)


async def latest_fence(store: Store, shard: int) -> int:
    """Return the highest fence that is listed; 0: none. A contender finds later ones automatically."""
    names = await store.names("lease")
    if isinstance(names, Outage):
        return 0
    fences = (name.rpartition(".")[2] for name in names if name.startswith(f"lease/{shard}."))
    return max((int(fence) for fence in fences if fence.isdecimal()), default=0)


async def _renew(store: Store, holder: Holder, held: Held, shard: int, *, terms: Terms, stop: StopSignal) -> None:
    delay_s = terms.renew_every_s
    while True:
        try:
            async with asyncio.timeout(delay_s):
                await held.clocks_moved.wait()
        except TimeoutError:
            pass
        held.clocks_moved.clear()
        is_good = await _ask(store, holder.renew(State.SENDING), None)
        if holder.right.is_lost:
            stop.request(_LOST.format(shard))
            return
        delay_s = terms.renew_every_s if is_good else terms.retry_every_s


async def _ask(store: Store, work: Generator[Question, Answer, _Result], stop: StopSignal | None) -> _Result:
    """Pass the work's questions to the store, until the work has its result.

    Raises:
        StoppedError: A stop was requested.
    """
    answer: Answer = None
    try:
        while True:
            answer = await _answered(store, work.send(answer), stop)
    except StopIteration as ended:
        result: _Result = ended.value
        return result


async def _answered(store: Store, asked: Question, stop: StopSignal | None) -> Answer:
    if stop is not None and stop.requested:
        raise StoppedError(stop.reason or "", exit_code=stop.exit_code or ExitCode.STOPPED)
    if isinstance(asked, Read):
        return await store.get(asked.name)
    if isinstance(asked, Pause):
        await (stop.sleep(asked.seconds) if stop else asyncio.sleep(asked.seconds))
        return None
    if asked.only_if_absent:
        return await store.put_if_absent(asked.name, asked.data)
    return await store.overwrite(asked.name, asked.data)
