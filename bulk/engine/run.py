"""Run a job from its input to its summary."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bulk.distribution import installed_version
from bulk.engine.conclude import Done, conclude, summary_json
from bulk.engine.ingest import IngestStoppedError
from bulk.engine.job import Job, spoken_target
from bulk.engine.lanes.selection import select
from bulk.engine.lanes.sending import opened_feeds, send
from bulk.engine.preparing import Prepared
from bulk.engine.sessions.connect import ledger_path
from bulk.engine.sessions.rates import asked_rates
from bulk.engine.stop import StopSignal
from bulk.engine.threads import held, in_thread, interruptible, until_ended
from bulk.engine.vigil import vigil
from bulk.errors import BulkError, LedgerError
from bulk.events import AccountStart, AccountTakenOver, RunEnded, RunStarted, RunStopping, ignore
from bulk.exits import ExitCode
from bulk.ledger.views.accounts import Counted
from bulk.ledger.views.snapshot import Snapshot
from bulk.model import TRIED_AGAIN_OUTCOMES

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.lanes.selection import Selection
    from bulk.engine.lanes.sending import Feed
    from bulk.engine.sessions.keys import KeyRing
    from bulk.events import Listener
    from bulk.model import InputFound, Summary
    from bulk.settings import Settings

__all__ = ["Run", "run"]

_COUNTED_BEFORE_S = 0.1
"""How long the first request waits until the rows are counted: enough for about ten thousand rows."""


async def run(
    input_name: str,
    settings: Settings,
    *,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
    to_json: Callable[[Summary], bytes] = summary_json,
) -> Summary:
    """Create the modules that the input asks for, and return the state of its rows.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: Targets, rates, retries and limits.
        credentials: Keys to sign with: one provider for all requests, or account → provider; default: as the settings
            say.
        listener: Receives what happens.
        stop: Ends the run early when it is requested.
        to_json: Encodes the summary for the ledger.

    Raises:
        SettingsError: Settings or credentials can't be used; nothing was read.
        InputError: The input can't be read; nothing was sent, the ledger is unchanged.
        LedgerError: The ledger can't be used, is held by another run, or belongs to another target.
        StoppedError: A stop was requested before the keys were available.
    """
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    prepared = await Prepared.of(settings, credentials, listener=listener, stop=stop)
    async with prepared.ledger(path, input_name) as ledger:
        job = Run(
            input_name=input_name,
            settings=settings,
            accounts=prepared.accounts,
            product_map=prepared.product_map,
            ledger=ledger,
            listener=listener,
            stop=stop,
            parts=prepared.parts,
        )
        return await job.run(prepared.keys, to_json)


@dataclass
class Run(Job):
    """One run."""

    command: str = "run"
    """The command's name in the ledger."""

    applied: str | None = None
    """For an apply: the run that made the plan."""

    def __post_init__(self) -> None:
        self.run_id = secrets.token_hex(16)
        self._read_in = False
        self._counted: Counted | None = None
        """The rows by outcome at the end, if they were already counted."""

    async def run(self, keys: KeyRing, to_json: Callable[[Summary], bytes] = summary_json) -> Summary:
        """Do the whole run, and record how it ended."""
        started, deadline_s = time.monotonic(), self.settings.deadline_s
        try:
            await in_thread(self._begin)
            async with vigil(self.ledger, self.stop):
                with suppress(IngestStoppedError), self.stop.after(deadline_s, hint="; run again to go on"):
                    await self._read_and_send(keys)
            done = Done(
                run_id=self.run_id,
                elapsed_s=time.monotonic() - started,
                read_in=self._read_in,
                counted=self._counted,
            )
            summary = await in_thread(self._conclude, done)
        except BaseException as exc:
            # The messages of bulk's own errors are redacted; a library's message may contain a signed URL.
            why = str(exc) if isinstance(exc, BulkError) else type(exc).__name__
            await self._end(exit_code=getattr(exc, "exit_code", ExitCode.STOPPED), stopped=why)
            raise
        await self._end(exit_code=summary.exit_code, stopped=summary.stopped, summary=to_json(summary).decode())
        self.listener(RunEnded(summary))
        return summary

    def _conclude(self, done: Done) -> Summary:
        return conclude(self, done)

    async def _read_and_send(self, keys: KeyRing) -> None:
        await self._read_input()
        selection = await in_thread(select, self.ledger, self.settings, [part.name for part in self.parts])
        async with opened_feeds(self, selection) as feeds, self._start_announced(selection) as counting:
            if feeds:
                await self._send(feeds, keys)
        if not feeds:
            # No row has changed since the run began. Counting a million rows again takes seconds.
            self._counted = counting.result()

    async def _read_input(self) -> InputFound:
        try:
            found = await self.read_in()
        finally:
            for before, account, modules in self.ledger.takeovers:
                self.listener(AccountTakenOver(account=account, before=before, keys=modules))
        self._read_in = True
        return found

    async def _send(self, feeds: Sequence[Feed], keys: KeyRing) -> None:
        with self.stop.following(lambda: self.listener(RunStopping(self.stop.reason or ""))):
            await send(self, feeds, keys, run_id=self.run_id)

    def _begin(self) -> None:
        self.ledger.begin_run(
            self.run_id,
            at=time.time(),
            version=installed_version(),  # reads files: another reason to stay off the event loop
            input_name=self.input_name,
            command=self.command,
            applied=self.applied,
            rates=asked_rates(self.settings, syncs=self.syncs),
        )
        self.ledger.forget_old(at=time.time(), stopped=lambda: self.stop.requested)

    @asynccontextmanager
    async def _start_announced(self, selection: Selection) -> AsyncIterator[Future[Counted]]:
        """Announce the rows by outcome before the block, or during it if counting takes long.

        Yields a future of the rows by outcome; it is done when the block has ended.
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

    async def _announce_start(self, snapshot: Snapshot, selection: Selection) -> Counted:
        count = partial(_count, snapshot, by_account=self.names_accounts)
        counted = await interruptible(count, interrupt=snapshot.interrupt)
        outcomes = counted.outcomes
        self.listener(
            RunStarted(
                run_id=self.run_id,
                ledger=str(self.ledger.path),
                input=self.input_name,
                target=spoken_target(self.accounts),
                rows=sum(outcomes.values()),
                outcomes=dict(outcomes),
                rates=asked_rates(self.settings, syncs=self.syncs),
                outside=selection.outside,
                accounts=dict(self._account_starts(counted, selection)),
                syncs=self.syncs,
            )
        )
        return counted

    def _account_starts(self, counted: Counted, selection: Selection) -> Iterator[tuple[str, AccountStart]]:
        for part in self.parts if self.names_accounts else ():
            outcomes = counted.by_account.get(part.name)
            wanted = selection.of(part.name)
            if outcomes:
                open_rows = sum(outcomes[outcome] for outcome in TRIED_AGAIN_OUTCOMES)
                yield (
                    part.name,
                    AccountStart(
                        target=str(part.account.target),
                        rows=sum(outcomes.values()),
                        outcomes=outcomes,
                        rates=asked_rates(part.account.settings, syncs=self.syncs),
                        outside=0 if wanted is None else open_rows - sum(wanted.values()),
                    ),
                )

    async def _end(self, *, exit_code: int, stopped: str | None, summary: str | None = None) -> None:
        """Record the end; a write error of the ledger must not hide how the run ended."""
        with suppress(LedgerError):
            await in_thread(
                self.ledger.end_run,
                self.run_id,
                at=time.time(),
                exit_code=exit_code,
                stopped=stopped,
                summary=summary,
            )


def _count(snapshot: Snapshot, *, by_account: bool) -> Counted:
    return snapshot.counted() if by_account else Counted(snapshot.outcomes(), {})
