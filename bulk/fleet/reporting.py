"""Write a shard's progress to the store during the work, and check there whether a driver wants it to end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.errors import BulkError
from bulk.events import AccountStopped, RowSettled, RunStarted
from bulk.exits import ExitCode
from bulk.fleet.host import place
from bulk.fleet.progress import AccountProgress, Progress, ShardState, progress_name
from bulk.fleet.store import Outage
from bulk.model import OPEN_OUTCOMES, ROW_OUTCOMES, TRIED_AGAIN_OUTCOMES
from bulk.report.speed import Speed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bulk.engine.stop import StopSignal
    from bulk.events import Event
    from bulk.fleet.store import Store
    from bulk.model import Summary

__all__ = ["Reporter", "obeying", "reported"]

_SPAN_S = 30.0
"""Span of a recent rate, in seconds."""

_LAST_TRIES = 4
_LAST_S = 4.0
"""How long the last write may take: the lease is released after it."""

_DONE_WITH = frozenset(ROW_OUTCOMES) - TRIED_AGAIN_OUTCOMES


class Reporter:
    """A listener that counts a run's events and writes the progress."""

    def __init__(self, store: Store, shard: int) -> None:
        """Begin with nothing counted.

        Args:
            store: The fleet's store.
            shard: Number of the shard.
        """
        self._store = store
        self._shard = shard
        self._fence = 0
        self._began_at = time.time()
        self._rows = 0
        self._outcomes: Counter[str] = Counter()
        self._account_rows: dict[str, int] = {}
        self._account_outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._stopped: dict[str, str] = {}
        self._speed = Speed(_SPAN_S, since=time.monotonic())
        self._settled = 0
        self._last: Progress | None = None

    def begin(self, fence: int) -> None:
        """Begin to work, with a lease of this fence."""
        self._fence = fence
        self._began_at = time.time()

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RunStarted():
                self._start(event)
            case RowSettled(one) if one.line is not None and one.outcome not in OPEN_OUTCOMES:
                self._settled += 1
                self._outcomes[one.outcome] += 1
                self._account_outcomes[one.account][one.outcome] += 1
            case AccountStopped():
                self._stopped[event.account] = event.reason

    def _start(self, event: RunStarted) -> None:
        self._rows = event.rows
        self._outcomes.update(_done_with(event.outcomes))
        for name, account in event.accounts.items():
            self._account_rows[name] = account.rows
            self._account_outcomes[name].update(_done_with(account.outcomes))

    def look(self) -> Progress:
        """Return the state of the shard now."""
        return Progress(
            shard=self._shard,
            fence=self._fence,
            state=ShardState.WORKING,
            holder=place(),
            started_at=self._began_at,
            at=time.time(),
            rows=self._rows,
            outcomes=dict(self._outcomes),
            per_s=round(self._speed.look(time.monotonic(), self._settled), 3),
            accounts={
                name: AccountProgress(
                    rows=rows, outcomes=dict(self._account_outcomes[name]), stopped=self._stopped.get(name)
                )
                for name, rows in self._account_rows.items()
            },
        )

    def conclude(self, summary: Summary) -> None:
        """Use the summary of a run as the final state."""
        has_ended = summary.exit_code in {ExitCode.DONE, ExitCode.INCOMPLETE}
        self._last = Progress(
            shard=self._shard,
            fence=self._fence,
            state=ShardState.ENDED if has_ended else ShardState.STOPPED,
            holder=place(),
            started_at=self._began_at,
            at=time.time(),
            rows=summary.rows,
            outcomes=_without_zeros(summary.outcomes),
            requests=summary.requests,
            throttled=summary.throttled,
            recovered=summary.recovered,
            accounts={
                name: AccountProgress(
                    rows=sum(account.outcomes.values()),
                    outcomes=_without_zeros(account.outcomes),
                    stopped=account.stopped,
                )
                for name, account in summary.accounts.items()
            },
            exit_code=summary.exit_code,
            stopped=summary.stopped,
        )

    def fail(self, error: BulkError) -> None:
        """Use an error that ended the work as the final state."""
        self._last = replace(self.look(), state=ShardState.STOPPED, exit_code=error.exit_code, stopped=str(error))

    async def write(self, progress: Progress) -> Outage | None:
        """Overwrite what was written before."""
        end = await self._store.overwrite(progress_name(self._shard, self._fence), progress.encoded())
        return end if isinstance(end, Outage) else None

    async def write_last(self) -> None:
        """Write the final state, if the store accepts it in time; otherwise the lease shows that the holder ended."""
        for _ in range(_LAST_TRIES if self._last else 0):
            if not await self.write(self._last or self.look()):
                return
            await asyncio.sleep(_LAST_S / _LAST_TRIES)


@asynccontextmanager
async def reported(reporter: Reporter, fence: int, *, every_s: float) -> AsyncIterator[None]:
    """Write progress every few seconds until the block ends, and then the final state.

    Args:
        reporter: Knows the progress.
        fence: Fence of this process's lease.
        every_s: How often.
    """
    reporter.begin(fence)
    writing = asyncio.create_task(_write(reporter, every_s))
    try:
        yield
    except BulkError as exc:
        reporter.fail(exc)
        raise
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await reporter.write_last()
    if not writing.cancelled():
        writing.result()  # only a defect in bulk can end it


async def _write(reporter: Reporter, every_s: float) -> None:
    while True:
        await reporter.write(reporter.look())
        await asyncio.sleep(every_s)


@asynccontextmanager
async def obeying(store: Store, name: str | None, *, every_s: float, stop: StopSignal) -> AsyncIterator[None]:
    """Request a stop when a driver asks for it in the store; an engine may have no other way to reach a worker.

    Args:
        store: The fleet's store.
        name: Name in the store of the driver's request; ``None``: the driver uses another way.
        every_s: How often to check.
        stop: The signal to request.
    """
    watching = asyncio.create_task(_watch(store, name, every_s, stop)) if name else None
    try:
        yield
    finally:
        if watching:
            watching.cancel()
            await asyncio.wait([watching])


async def _watch(store: Store, name: str, every_s: float, stop: StopSignal) -> None:
    while not stop.requested:
        if isinstance(await store.get(name), bytes):
            stop.request("the driver of the fleet was stopped", exit_code=ExitCode.TERMINATED)
        await asyncio.sleep(every_s)


def _done_with(outcomes: Mapping[str, int]) -> dict[str, int]:
    return {outcome: rows for outcome, rows in outcomes.items() if rows and outcome in _DONE_WITH}


def _without_zeros(outcomes: Mapping[str, int]) -> dict[str, int]:
    return {outcome: rows for outcome, rows in outcomes.items() if rows}
