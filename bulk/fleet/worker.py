"""The whole worker: take a shard's lease, continue its ledger, run, ship the records, release the lease."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from bulk.engine.accounts import accounts_of
from bulk.engine.conclude import summary_json
from bulk.engine.ingest import IngestStoppedError
from bulk.engine.job import parts_of
from bulk.engine.run import Run
from bulk.engine.sessions.keys import KeyRing, given_keys
from bulk.engine.stop import StopSignal
from bulk.engine.threads import held, in_thread, interruptible
from bulk.events import InputRead, ignore
from bulk.fleet.assignment import assignment_of, fetch_slice, wait_for_manifest
from bulk.fleet.holding import held_shard, latest_fence
from bulk.fleet.lease import Host, Note
from bulk.fleet.local import take_local
from bulk.fleet.recovery import answered, refill, shipped_before, unshipped
from bulk.fleet.reporting import Reporter, obeying, reported
from bulk.fleet.segments import ShippingWriter, ship_first
from bulk.fleet.slices import read_slice
from bulk.fleet.store_url import open_store
from bulk.ledger.store import Ledger
from bulk.model import InputFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.job import Part
    from bulk.events import Event, Listener
    from bulk.fleet.assignment import Assignment
    from bulk.fleet.holding import Held
    from bulk.fleet.local import LocalShard
    from bulk.fleet.manifest import Manifest
    from bulk.fleet.store import Store
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["work"]

_PROGRESSES_A_TERM = 10


async def work(
    url: str,
    number: int,
    settings: Settings,
    *,
    folder: Path | None = None,
    ended_by: str | None = None,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
    to_json: Callable[[Summary], bytes] = summary_json,
) -> Summary:
    """Work on one shard of a fleet until its rows have their outcomes, and return their state.

    Args:
        url: The fleet's store.
        number: Number of the shard; if another process has it, this call waits.
        settings: This machine's settings, with the accounts of the shard.
        folder: Where this machine keeps shards; ``None``: the default place.
        ended_by: Name in the store under which a driver asks workers to end; ``None``: it uses another way.
        credentials: As for `bulk.run`.
        listener: Receives what happens.
        stop: Ends it early when it is requested.
        to_json: Encodes the summary for the ledger.

    Raises:
        SettingsError: Settings, credentials or the store can't be used.
        LedgerError: The local ledger can't be used.
        StoppedError: A stop was requested before the work began.
    """
    store, stop = open_store(url), stop or StopSignal()
    manifest = await wait_for_manifest(store, url, stop)
    task = assignment_of(manifest, number, settings)
    reporter = Reporter(store, number)
    crew = await _crew_of(task, given_keys(credentials, task.shard.accounts), stop, _both(reporter, listener))
    every_s = manifest.terms.term_s / _PROGRESSES_A_TERM
    async with obeying(store, ended_by, every_s=every_s, stop=stop):
        last = await _last_host(store, number, stop)
        async with held(take_local, folder, manifest.split, number, last=last) as here:
            await fetch_slice(store, task.shard, here.slice, stop)
            async with (
                crew.keys.opening(crew.parts, patient=False),  # during the wait for the lease
                held_shard(store, number, terms=manifest.terms, host=here.host, stop=stop) as lease,
                reported(reporter, lease.fence, every_s=every_s),
            ):
                summary = await _Worker(store, task, here, lease, crew).work(to_json)
                reporter.conclude(summary)
            return summary


@dataclass(frozen=True, slots=True)
class _Crew:
    """The accounts of a shard, and what all work on them shares."""

    accounts: tuple[Account, ...]
    parts: tuple[Part, ...]
    keys: KeyRing
    stop: StopSignal
    listener: Listener


async def _crew_of(
    task: Assignment, given: Mapping[str, CredentialProvider], stop: StopSignal, listener: Listener
) -> _Crew:
    accounts = accounts_of(task.settings)
    parts = parts_of(accounts, stop=stop, listener=listener)
    keys = KeyRing(given, listener=listener)
    await keys.open_only(parts)
    return _Crew(accounts, parts, keys, stop, listener)


def _both(first: Listener, second: Listener) -> Listener:
    def listen(event: Event) -> None:
        first(event)
        second(event)

    return listen


async def _last_host(store: Store, shard: int, stop: StopSignal) -> Host:
    """Return where the last holder of a shard ran, if its lease says it."""
    fence = await latest_fence(store, shard)
    data = await answered(lambda: store.get(f"lease/{shard}.{fence}"), stop) if fence else None
    note = Note.decoded(data) if isinstance(data, bytes) else None
    return note.host if note else Host()


@dataclass(frozen=True, slots=True)
class _Worker:
    """A shard whose lease this process has."""

    store: Store
    task: Assignment
    here: LocalShard
    lease: Held
    crew: _Crew

    async def work(self, to_json: Callable[[Summary], bytes]) -> Summary:
        number, stop = self.task.shard.number, self.crew.stop
        shipped = await shipped_before(self.store, number, self.here, stop)
        targets = {account.name: account.target for account in self.crew.accounts}
        async with held(Ledger.open, self.here.ledger, targets=targets) as ledger:
            if shipped is None:
                await refill(ledger, self.store, number, stop)
            lacking = [] if shipped is None else await in_thread(unshipped, ledger, shipped)
            if lacking:
                await answered(lambda: ship_first(self.store, number, self.lease.fence, lacking), stop)
            await in_thread(self.here.note_fence, self.lease.fence)
            job = _ShardRun(
                input_name=self.task.manifest.input,
                settings=replace(self.task.settings, ledger=str(self.here.ledger)),
                accounts=self.crew.accounts,
                ledger=ledger,
                listener=self.crew.listener,
                stop=stop,
                parts=self.crew.parts,
                may_send=self.lease.may_send,
                recording=lambda writer: ShippingWriter(
                    writer, self.store, shard=number, fence=self.lease.fence, first=1 if lacking else 0
                ),
                manifest=self.task.manifest,
                slice=self.here.slice,
            )
            return await job.run(self.crew.keys, to_json)


@dataclass(kw_only=True)
class _ShardRun(Run):
    """A run whose input is a shard's slice: its rows were already read and checked by the split."""

    manifest: Manifest
    slice: Path

    async def read_in(self) -> InputFound:
        """See `Job.read_in`."""
        cancelled = threading.Event()

        def obey() -> None:
            if self.stop.requested or cancelled.is_set():
                raise IngestStoppedError

        def take_in() -> None:
            now, manifest = time.time(), self.manifest
            with (
                self.slice.open("rb") as lines,
                self.ledger.intake(name=manifest.input, shape=manifest.shape, at=now) as intake,
            ):
                for rows in read_slice(lines):
                    intake.add(rows)
                    obey()

        await interruptible(take_in, interrupt=cancelled.set)
        found = _found(self.manifest)
        self.listener(InputRead(found))
        return found


def _found(manifest: Manifest) -> InputFound:
    shape = orjson.loads(manifest.shape)
    return InputFound(
        format=shape["format"],
        encoding=shape["encoding"],
        delimiter=shape["delimiter"],
        header_line=shape["header_line"],
        columns=shape["columns"],
        carried=(),
        notices=(),
        accounts_column=True,
    )
