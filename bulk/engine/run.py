"""Run a job from its input to its summary."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.cloud.dialects import resolve_target
from bulk.distribution import installed_version
from bulk.engine.conclude import Done, conclude, summary_json
from bulk.engine.ingest import IngestStoppedError, ingest
from bulk.engine.job import Job
from bulk.engine.lanes.selection import select, selected_lanes
from bulk.engine.lanes.sending import send
from bulk.engine.sessions.connect import credentials_for, ledger_path
from bulk.engine.sessions.rates import asked_rates
from bulk.engine.sessions.recorder import Counters
from bulk.engine.stop import StopSignal
from bulk.engine.threads import held, in_thread, interruptible, until_ended
from bulk.engine.vigil import vigil
from bulk.errors import BulkError, LedgerError
from bulk.events import LedgerUpgraded, RunEnded, RunStarted, RunStopping, ignore
from bulk.exits import ExitCode
from bulk.ledger.store import Ledger
from bulk.ledger.views.snapshot import Snapshot

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from bulk.cloud.credentials import CredentialProvider
    from bulk.engine.lanes.selection import Selection
    from bulk.events import Listener
    from bulk.ledger.lanes import LaneReader
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["run"]

_COUNTED_BEFORE_S = 0.1
"""How long the first request waits for the rows to be counted: enough for some ten thousand."""


async def run(
    input_name: str,
    settings: Settings,
    *,
    credentials: CredentialProvider | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
    to_json: Callable[[Summary], bytes] = summary_json,
) -> Summary:
    """Create the modules that the input asks for, and return how its rows stand.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: Where, how fast, how stubborn.
        credentials: Keys to sign with; default: the official chain.
        listener: Told what happens.
        stop: Ends the run early when it is requested.
        to_json: Gives the form in which the ledger keeps the summary.

    Raises:
        SettingsError: Settings or credentials can't be used; nothing was read.
        InputError: The input can't be read; nothing was sent, the ledger is as it was.
        LedgerError: The ledger can't be used, is held by another run, or belongs to another target.
        StoppedError: A stop was requested before the keys were there.
    """
    target = resolve_target(settings)
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    keys = credentials
    if keys is None:
        keys = await stop.unless_requested(credentials_for(settings, listener=listener))
    async with held(Ledger.open, path, target=target) as ledger:
        if ledger.upgrade:
            layout, copy = ledger.upgrade
            listener(LedgerUpgraded(ledger=str(path), layout=layout, copy=str(copy)))
        job = _Run(
            input_name=input_name,
            settings=settings,
            target=target,
            ledger=ledger,
            listener=listener,
            stop=stop,
        )
        return await job.run(keys, to_json)


@dataclass
class _Run(Job):
    """One run."""

    def __post_init__(self) -> None:
        self._run_id = secrets.token_hex(16)
        self._counters = Counters(dict.fromkeys(asked_rates(self.settings), 0))
        self._read_in = False
        self._outcomes: Mapping[str, int] | None = None
        """How the rows stand at the end, where that was counted already."""

    async def run(self, credentials: CredentialProvider, to_json: Callable[[Summary], bytes]) -> Summary:
        started = time.monotonic()
        try:
            await in_thread(self._begin)
            async with vigil(self.ledger, self.stop):
                with suppress(IngestStoppedError), self._deadline():
                    await self._read_and_send(credentials)
            done = Done(
                run_id=self._run_id,
                counters=self._counters,
                elapsed_s=time.monotonic() - started,
                read_in=self._read_in,
                outcomes=self._outcomes,
            )
            summary = await in_thread(conclude, self, done)
        except BaseException as exc:
            # The words of our own errors are redacted; what a library says may hold a signed URL.
            why = str(exc) if isinstance(exc, BulkError) else type(exc).__name__
            await self._end(exit_code=getattr(exc, "exit_code", ExitCode.STOPPED), stopped=why)
            raise
        await self._end(exit_code=summary.exit_code, stopped=summary.stopped, summary=to_json(summary).decode())
        self.listener(RunEnded(summary))
        return summary

    async def _read_and_send(self, credentials: CredentialProvider) -> None:
        await ingest(self.input_name, self.settings.read, self.ledger, stop=self.stop, listener=self.listener)
        self._read_in = True
        selection = await in_thread(select, self.ledger, self.settings)
        async with selected_lanes(self.ledger, selection) as lanes, self._start_announced(selection) as counting:
            if lanes.products:
                await self._send(lanes, credentials)
        if not lanes.products:
            # They stand as they stood when the run began. To count a million of them again takes seconds.
            self._outcomes = counting.result()

    async def _send(self, lanes: LaneReader, credentials: CredentialProvider) -> None:
        with self.stop.following(lambda: self.listener(RunStopping(self.stop.reason or ""))):
            await send(self, credentials, run_id=self._run_id, lanes=lanes, counters=self._counters)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        deadline_s = self.settings.deadline_s
        if deadline_s is None:
            yield
            return
        reason = f"the deadline of {deadline_s:g} s is over; run again to go on"
        timer = asyncio.get_running_loop().call_later(deadline_s, lambda: self.stop.request(reason))
        try:
            yield
        finally:
            timer.cancel()

    def _begin(self) -> None:
        self.ledger.begin_run(
            self._run_id,
            at=time.time(),
            version=installed_version(),  # reads files: another reason to stay off the event loop
            input_name=self.input_name,
            rates=asked_rates(self.settings),
        )
        self.ledger.forget_old(at=time.time(), stopped=lambda: self.stop.requested)

    @asynccontextmanager
    async def _start_announced(self, selection: Selection) -> AsyncIterator[Future[Mapping[str, int]]]:
        """Announce how the rows stand before the block, or beside it where there are so many that this takes long.

        Yields what becomes the rows by outcome; it is done when the block has ended.
        """
        async with held(Snapshot, self.ledger.path) as snapshot:
            counting = asyncio.ensure_future(self._announce_start(snapshot, selection))
            try:
                await asyncio.wait([counting], timeout=_COUNTED_BEFORE_S)
                yield counting
                await counting
            finally:
                counting.cancel()
                await until_ended(counting)

    async def _announce_start(self, snapshot: Snapshot, selection: Selection) -> Mapping[str, int]:
        outcomes = await interruptible(snapshot.outcomes, interrupt=snapshot.interrupt)
        self.listener(
            RunStarted(
                run_id=self._run_id,
                ledger=str(self.ledger.path),
                input=self.input_name,
                target=str(self.target),
                rows=sum(outcomes.values()),
                outcomes=outcomes,
                rates=asked_rates(self.settings),
                outside=selection.outside,
            )
        )
        return outcomes

    async def _end(self, *, exit_code: int, stopped: str | None, summary: str | None = None) -> None:
        """Record the end; a ledger that can't be written must not hide how the run ended."""
        with suppress(LedgerError):
            await in_thread(
                self.ledger.end_run,
                self._run_id,
                at=time.time(),
                exit_code=exit_code,
                stopped=stopped,
                summary=summary,
            )
