"""Make one ledger of all that a fleet shipped, and prove that it is consistent."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import orjson

from bulk.distribution import installed_version
from bulk.engine.stop import StopSignal
from bulk.engine.threads import entered, in_thread
from bulk.errors import SettingsError, StoppedError, UnprovenError
from bulk.exits import ExitCode
from bulk.fleet.manifest import read_manifest
from bulk.fleet.progress import ShardState, read_shards
from bulk.fleet.proof import ShardProof, add_slice
from bulk.fleet.segments import segment_names
from bulk.fleet.store import Outage, Put
from bulk.ledger.merging import merged_ledger
from bulk.model import PROVISIONED_OUTCOMES, Action, Outcome, Trait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence

    from bulk.fleet.manifest import Manifest, Shard
    from bulk.fleet.progress import Shards
    from bulk.fleet.store import Store
    from bulk.ledger.merging import MergedLedger

__all__ = ["Merged", "merge"]

_AT_ONCE = 32
"""Segments that are requested together, as a store may be far away. They make a chunk."""

_TRIES = 5
_TRIED_EVERY_S = 1.0

_NOT_SHIPPED = Outcome.having(Trait.OPEN, Trait.WHEN_READ)
"""Outcomes that no segment has: an open row, or a row that its text alone settled."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """State of a fleet, as one ledger."""

    ledger: str
    input: str
    rows: int
    outcomes: Mapping[str, int]
    """Each outcome's name → rows, zeros included. `sending`: claimed, but no outcome was shipped."""

    accounts: int
    shards: int
    unfinished: Mapping[str, str]
    """Shard → why it is unfinished; empty: all are finished."""

    not_shipped: Mapping[str, int]
    """Finished shard → rows whose outcome is only on its machine."""

    requests: int
    """Requests whose times were shipped, and are proven to be within the rates."""

    fences: int
    """Processes that sent them, each with its own clock."""

    elapsed_s: float
    exit_code: int


async def merge(store: Store, ledger: Path, *, url: str, stop: StopSignal | None = None) -> Merged:
    """Write the ledger of a fleet, and prove that what was shipped is consistent.

    The proof shows: each row of the manifest occurs once; no key is in two shards; at most one create of a key has its
    own reply as evidence; a claim precedes each of these creates; no segment is missing; within each fence no window
    exceeds the rate. If the fleet is still working, the merge contains its progress so far.

    Args:
        store: The fleet's store.
        ledger: Path of the new ledger. An earlier merge of the same fleet is replaced, in one step; any other file is
            refused.
        url: The store's URL, for messages.
        stop: Ends it early; nothing is then written.

    Raises:
        SettingsError: The store does not answer, or has no fleet.
        UnprovenError: The proof fails; nothing is written.
        LedgerError: The ledger can't be written, or is no merge of this fleet.
        StoppedError: A stop was requested.
    """
    began_s, stop = time.monotonic(), stop or StopSignal()
    manifest = await read_manifest(store, url)
    _refuse_unsound(manifest)
    # Read before the segments: they then contain everything that has ended by now.
    said = await _answered(lambda: read_shards(store), url, stop)
    run_id = hashlib.sha256(manifest.split.encode()).hexdigest()[:32]
    targets = {name: member.target for name, member in manifest.members.items()}
    async with entered(merged_ledger(ledger, run_id=run_id, targets=targets)) as merged:
        await in_thread(_begin, merged, manifest, run_id)
        await _read_slices(store, merged, manifest, url, stop)
        proofs = [await _read_segments(store, merged, manifest, shard, url, stop) for shard in manifest.shards]
        flaws = [flaw for proof in proofs for flaw in proof.flaws] + await in_thread(_strange, merged)
        if flaws:
            raise UnprovenError(flaws)
        outcomes = await in_thread(merged.outcomes)
        requests = sum((proof.requests for proof in proofs), Counter[str]())
        unfinished = {str(shard.number): why for shard in manifest.shards if (why := _why_open(shard, said))}
        done = Merged(
            ledger=str(ledger),
            input=manifest.input,
            rows=manifest.rows,
            outcomes=outcomes,
            accounts=len(manifest.members),
            shards=len(manifest.shards),
            unfinished=unfinished,
            not_shipped=dict(_not_shipped(manifest, said, proofs)),
            requests=requests.total(),
            fences=sum(proof.fences for proof in proofs),
            elapsed_s=round(time.monotonic() - began_s, 3),
            exit_code=_exit_code(outcomes, manifest.rows, unfinished),
        )
        await in_thread(_end, merged, done, run_id, requests)
    return done


def _refuse_unsound(manifest: Manifest) -> None:
    """Refuse a manifest that contradicts itself: accounts are part of every key."""
    names = [name for shard in manifest.shards for name in shard.accounts]
    flaws = []
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        flaws.append(f"the manifest has account {twice!r} in two shards")
    if set(names) != set(manifest.members):
        flaws.append("the manifest's shards and its accounts differ")
    if sum(shard.rows for shard in manifest.shards) != manifest.rows:
        flaws.append(f"the manifest has {manifest.rows:,} rows, and its shards together another number")
    if flaws:
        raise UnprovenError(flaws)


def _begin(merged: MergedLedger, manifest: Manifest, run_id: str) -> None:
    first = next(iter(manifest.members.values()))
    merged.begin_run(
        run_id,
        at=time.time(),
        version=installed_version(),
        input_name=manifest.input,
        rates={Action.CREATE: first.create_per_s, Action.LIST: first.list_per_s},
        command="merge",
    )


async def _read_slices(store: Store, merged: MergedLedger, manifest: Manifest, url: str, stop: StopSignal) -> None:
    taking = merged.intake(name=manifest.input, shape=manifest.shape, at=time.time())
    with TemporaryDirectory(prefix="bulk-merge-") as folder:
        async with entered(taking) as intake:
            for shard in manifest.shards:
                path = Path(folder, "slice")
                end = await _answered(partial(store.save, shard.file, path), url, stop)
                if end is not Put.STORED:
                    raise UnprovenError([f"shard {shard.number}: {shard.file} is missing"])
                await in_thread(add_slice, intake, path, shard, manifest.members)


async def _read_segments(
    store: Store, merged: MergedLedger, manifest: Manifest, shard: Shard, url: str, stop: StopSignal
) -> ShardProof:
    proof = ShardProof(shard, manifest.members, merged)
    names = await _answered(lambda: segment_names(store, shard.number), url, stop)

    async def one(name: str) -> tuple[str, bytes]:
        data = await _answered(partial(store.get, name), url, stop)
        if not isinstance(data, bytes):  # nothing follows a fence's last segment, so its number leaves no hole
            raise UnprovenError([f"shard {shard.number}: {name} is listed in the store, and is not there"])
        return name, data

    async def chunk(first: int) -> list[tuple[str, bytes]]:
        return await asyncio.gather(*map(one, names[first : first + _AT_ONCE]))

    async with aclosing(_one_ahead(chunk, range(0, len(names), _AT_ONCE))) as chunks:
        async for segments in chunks:
            await in_thread(proof.add, segments)
    await in_thread(proof.conclude)
    return proof


async def _one_ahead(ask: Callable[[int], Awaitable[_Found]], asked: Sequence[int]) -> AsyncGenerator[_Found]:
    """Yield the answers in their order; request the next one while you process the current one."""
    following = None
    try:
        for number in asked:
            answer = await (following or ask(number))
            later = number + _AT_ONCE
            following = asyncio.ensure_future(ask(later)) if later in asked else None
            yield answer
    finally:
        if following:
            following.cancel()
            await asyncio.wait([following])


def _strange(merged: MergedLedger) -> list[str]:
    """Return the contradictions between modules and rows."""
    flaws = []
    if shared := merged.shared_product():
        flaws.append(f"line {shared[0]:,}: {shared[1]}")
    if strange := merged.strange_word():
        account, product_key, name = strange
        flaws.append(
            f"an outcome is about product {product_key}, module {name} of account {account!r}: no row asks for it"
        )
    return flaws


def _why_open(shard: Shard, said: Shards) -> str | None:
    given_up, progress = said.failed.get(shard.number), said.progress.get(shard.number)
    if given_up:
        return f"given up after {given_up.tries} tries: {given_up.why}"
    if progress is None:
        return "nobody has started it"
    if progress.state is ShardState.WORKING:
        return f"{progress.holder} is at work on it, or died"
    return f"it was stopped: {progress.stopped}" if progress.state is ShardState.STOPPED else None


def _not_shipped(manifest: Manifest, said: Shards, proofs: Sequence[ShardProof]) -> Iterator[tuple[str, int]]:
    for shard, proof in zip(manifest.shards, proofs, strict=True):
        progress = said.progress.get(shard.number)
        if progress and progress.state is ShardState.ENDED:
            known = sum(rows for outcome, rows in progress.outcomes.items() if outcome not in _NOT_SHIPPED)
            if known > len(proof.settled):
                yield str(shard.number), known - len(proof.settled)


def _exit_code(outcomes: Mapping[str, int], rows: int, unfinished: Mapping[str, str]) -> ExitCode:
    provisioned = sum(outcomes[outcome] for outcome in PROVISIONED_OUTCOMES)
    return ExitCode.DONE if provisioned == rows and not unfinished else ExitCode.INCOMPLETE


def _end(merged: MergedLedger, done: Merged, run_id: str, requests: Mapping[str, int]) -> None:
    shards = ", ".join(done.unfinished)
    stopped = f"merged from a fleet that had not finished: shards {shards}" if done.unfinished else None
    summary = {"requests": {Action(action).figure: sent for action, sent in requests.items()}}
    merged.end_run(
        run_id, at=time.time(), exit_code=done.exit_code, stopped=stopped, summary=orjson.dumps(summary).decode()
    )


async def _answered(ask: Callable[[], Awaitable[_Found | Outage]], url: str, stop: StopSignal) -> _Found:
    """Ask a store a few times.

    Raises:
        SettingsError: It does not answer.
        StoppedError: A stop was requested.
    """
    left = _TRIES
    while not stop.requested:
        if not isinstance(found := await ask(), Outage):
            return found
        left -= 1
        if not left:
            raise SettingsError(f"the store {url} can't be used: {found.why}")
        await stop.sleep(_TRIED_EVERY_S)
    raise StoppedError(stop.reason or "", exit_code=stop.exit_code or ExitCode.STOPPED)
