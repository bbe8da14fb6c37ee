"""State of a fleet, only from its store; no worker is asked, and nothing is changed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from bulk.errors import SettingsError
from bulk.fleet.lease import Note, State
from bulk.fleet.manifest import read_manifest
from bulk.fleet.progress import ShardState, highest_fences, outcomes_of, read_shards
from bulk.fleet.store import Outage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk.fleet.manifest import Manifest, Shard
    from bulk.fleet.progress import Progress, Shards
    from bulk.fleet.store import Store

__all__ = ["AccountStatus", "FleetStatus", "ShardStatus", "Standing", "status"]

_Found = TypeVar("_Found")

_LEASE = "lease"


class Standing(StrEnum):
    """State of a shard, the most serious first."""

    GIVEN_UP = "given up"  #: tried too often without success
    STOPPED = "stopped"  #: ended early; rows are left to do
    SILENT = "silent"  #: was worked on, and nothing has been heard for longer than a lease lasts
    WAITING = "waiting"  #: nobody has started it
    WORKING = "working"  #: a worker has it
    INCOMPLETE = "incomplete"  #: finished, but some rows are not provisioned
    DONE = "done"  #: finished, and every row is provisioned


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """State of a shard."""

    number: int
    standing: Standing
    accounts: int
    rows: int
    outcomes: Mapping[str, int]
    """Without zeros; rows that are not reported are ``pending``."""

    per_s: float
    """Rows a second that recently got their outcome; 0 if nobody works on it."""

    fence: int
    """How many holders it has had."""

    holder: str | None
    """Machine and process that have the lease, or had it last; ``None``: nobody had it."""

    heard_s_ago: float | None
    """Seconds since the last report, if this machine's clock and the holder's agree; ``None``: no report."""

    why: str | None
    """Why it was stopped or given up, with the remedy where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """State of an account."""

    shard: int
    outcomes: Mapping[str, int]
    """Without zeros, and without open rows during the work; empty: nobody has started its shard."""

    rows: int | None
    """``None``: unknown, because nobody has started its shard."""

    stopped: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """State of a fleet. Its fields are the keys of the JSON."""

    store: str
    input: str
    rows: int
    outcomes: Mapping[str, int]
    per_s: float
    accounts: Mapping[str, AccountStatus]
    shards: tuple[ShardStatus, ...]

    @property
    def by_standing(self) -> Mapping[Standing, list[ShardStatus]]:
        """Standing → its shards, for each standing that has any, the most serious first."""
        found = {standing: [shard for shard in self.shards if shard.standing is standing] for standing in Standing}
        return {standing: shards for standing, shards in found.items() if shards}


async def status(store: Store, *, url: str, now: float | None = None) -> FleetStatus:
    """Read the state of a fleet.

    Args:
        store: The fleet's store.
        url: Its URL, for messages.
        now: Seconds since the epoch; ``None``: by this machine's clock.

    Raises:
        SettingsError: The store does not answer, or has no fleet.
    """
    manifest = await read_manifest(store, url)
    said = _expected(await read_shards(store), url)
    fences = highest_fences(_expected(await store.names(_LEASE), url))
    at = time.time() if now is None else now
    shards = [await _shard(store, manifest, shard, said, fences.get(shard.number, 0), at) for shard in manifest.shards]
    outcomes: Counter[str] = Counter()
    for shard in shards:
        outcomes.update(shard.outcomes)
    return FleetStatus(
        store=url,
        input=manifest.input,
        rows=manifest.rows,
        outcomes=dict(outcomes),
        per_s=round(sum(shard.per_s for shard in shards), 3),
        accounts=dict(_accounts(manifest, said)),
        shards=tuple(shards),
    )


def _expected(found: _Found | Outage, url: str) -> _Found:
    if isinstance(found, Outage):
        raise SettingsError(f"the store {url} can't be used: {found.why}")
    return found


async def _shard(store: Store, manifest: Manifest, shard: Shard, said: Shards, fence: int, now: float) -> ShardStatus:
    progress, left = said.progress.get(shard.number), said.failed.get(shard.number)
    data = await store.get(f"{_LEASE}/{shard.number}.{fence}") if fence else None
    note = Note.decoded(data) if isinstance(data, bytes) else None
    heard_s_ago = max(0.0, now - progress.at) if progress else None
    standing = _standing(progress, note, heard_s_ago, manifest.terms.still_s)
    return ShardStatus(
        number=shard.number,
        standing=Standing.GIVEN_UP if left else standing,
        accounts=len(shard.accounts),
        rows=shard.rows,
        outcomes=outcomes_of(progress, shard.rows),
        per_s=progress.per_s if progress and standing is Standing.WORKING else 0.0,
        fence=fence,
        holder=note.where if note else progress.holder if progress else None,
        heard_s_ago=None if heard_s_ago is None else round(heard_s_ago, 1),
        why=left.why if left else progress.stopped if progress else None,
    )


def _standing(progress: Progress | None, note: Note | None, heard_s_ago: float | None, still_s: float) -> Standing:
    if progress is None or heard_s_ago is None:
        return Standing.WORKING if note and note.state is not State.RELEASED else Standing.WAITING
    if progress.state is ShardState.ENDED:
        return Standing.INCOMPLETE if progress.exit_code else Standing.DONE
    if progress.state is ShardState.STOPPED:
        return Standing.STOPPED
    has_ended = note is not None and note.state is State.RELEASED
    return Standing.SILENT if has_ended or heard_s_ago > still_s else Standing.WORKING


def _accounts(manifest: Manifest, said: Shards) -> Iterator[tuple[str, AccountStatus]]:
    for shard in manifest.shards:
        progress = said.progress.get(shard.number)
        for name in shard.accounts:
            known = progress.accounts.get(name) if progress else None
            yield (
                name,
                AccountStatus(
                    shard=shard.number,
                    outcomes=dict(known.outcomes) if known else {},
                    rows=known.rows if known else None,
                    stopped=known.stopped if known else None,
                ),
            )
