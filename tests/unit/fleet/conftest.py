"""A store in memory that a test can cut off, and a fleet in it: what its shards shipped is what a test says."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import UnprovenError
from bulk.fleet.lease import Host, Note, State
from bulk.fleet.manifest import MANIFEST
from bulk.fleet.merging import merge
from bulk.fleet.progress import GivenUp, Progress, ShardState, failed_name, progress_name
from bulk.fleet.records import Sends, encoded
from bulk.fleet.splitting import split
from bulk.fleet.store import ABSENT, Outage, Put
from bulk.fleet.store_url import open_store
from bulk.ledger.storage.files import unfinished_merge_of
from bulk.model import Action, Attempt, OtaModule, Outcome, Settlement
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bulk.fleet.manifest import Manifest, Shard
    from bulk.fleet.store import Absent, Store

ACCOUNTS = 4
ROWS = 40

SETTINGS = Settings(
    accounts={
        f"a{number}": AccountSettings(
            endpoint=f"https://platform{number}", rate_group=f"g{number}", key_env=f"K{number}"
        )
        for number in range(ACCOUNTS)
    }
)


class MemoryStore:
    """A store whose answers a test can take away."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        """Operation and name of each question, in their order."""

        self._silent: list[tuple[str, str, int]] = []
        self._awaited: dict[tuple[str, str], asyncio.Event] = {}

    async def is_asked(self, operation: str, name: str) -> None:
        """Return at the next question of this kind."""
        await self._awaited.setdefault((operation, name), asyncio.Event()).wait()

    def be_silent(self, operation: str = "", prefix: str = "", *, times: int = 1_000_000) -> None:
        """Answer the next questions of this kind, or of any, with an outage."""
        self._silent.append((operation, prefix, times))

    def be_back(self) -> None:
        self._silent.clear()

    def _outage(self, operation: str, name: str) -> Outage | None:
        self.asked.append((operation, name))
        if awaited := self._awaited.pop((operation, name), None):
            awaited.set()
        for place, (kind, prefix, left) in enumerate(self._silent):
            if left and operation.startswith(kind) and name.startswith(prefix):
                self._silent[place] = kind, prefix, left - 1
                return Outage("the share is gone")
        return None

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        if outage := self._outage("get", name):
            return outage
        return self.objects.get(name, ABSENT)

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        if outage := self._outage("save", name):
            return outage
        if name not in self.objects:
            return ABSENT
        await asyncio.to_thread(path.write_bytes, self.objects[name])
        return Put.STORED

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        if outage := self._outage("put_if_absent", name):
            return outage
        return Put.STORED if self.objects.setdefault(name, data) == data else Put.EXISTS

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        if outage := self._outage("overwrite", name):
            return outage
        self.objects[name] = data if isinstance(data, bytes) else await asyncio.to_thread(data.read_bytes)
        return Put.STORED

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        known = tuple(sorted(name for name in self.objects if not prefix or name.startswith(f"{prefix}/")))
        return self._outage("names", prefix) or known

    async def discard(self, name: str) -> None:
        if not self._outage("discard", name):
            self.objects.pop(name, None)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def row(line: int, **more: Any) -> Settlement:
    """An outcome of the row of a line, as `Fleet` writes its input."""
    number = line - 2
    account = number % ACCOUNTS
    said: dict[str, Any] = {"outcome": Outcome.CREATED, "at": 1764243333.0 + line, "request_id": f"R{line}"}
    return Settlement(
        line=line,
        account=f"a{account}",
        module=OtaModule(f"pk{account}", f"m{number}", desc=f"Nr. {number}"),
        attempts=1,
        **{**said, **more},
    )


def claim(line: int) -> Settlement:
    return row(line, outcome=Outcome.SENDING, request_id=None)


def sent(account: str, *times_s: float) -> bytes:
    sends = Sends()
    for time_s in times_s:
        sends.note(Attempt(1.0, Action.CREATE, "pk", "m", 200, None, "R", 0.01, account=account, left_s=time_s))
    return encoded([], sends)


class Fleet:
    """A store of two shards, and what a test says that they shipped."""

    manifest: Manifest

    def __init__(self, folder: Path, store: MemoryStore | None = None) -> None:
        self.folder = folder
        self.url = str(folder / "store")
        self.store: Store = store or open_store(self.url, make=True)
        self.ledger = folder / "merged.db"

    async def split(self, settings: Settings = SETTINGS, *, shards: int = 2) -> None:
        lines = [f"a{number % ACCOUNTS},pk{number % ACCOUNTS},m{number},Nr. {number}" for number in range(ROWS)]
        path = self.folder / "in.csv"
        await asyncio.to_thread(path.write_text, "\n".join(["Account,ProductKey,ModuleName,Desc", *lines, ""]))
        self.manifest = await split(str(path), settings, self.store, stop=StopSignal(), shards=shards)

    async def describe(self, **changes: Any) -> None:
        """Let the store's manifest say something else."""
        self.manifest = replace(self.manifest, **changes)
        await self.store.overwrite(MANIFEST, self.manifest.encoded())

    async def give_slice(self, number: int, change: Callable[[bytes], bytes], *, rows: int = 0) -> None:
        """Change a shard's slice, with its hash and so many rows more in the manifest."""
        shard = self.manifest.shards[number]
        before = await self.store.get(shard.file)
        assert isinstance(before, bytes)
        data = change(before)
        await self.store.overwrite(shard.file, data)
        changed = replace(shard, sha256=hashlib.sha256(data).hexdigest(), rows=shard.rows + rows)
        shards = (*self.manifest.shards[:number], changed, *self.manifest.shards[number + 1 :])
        await self.describe(shards=shards, rows=self.manifest.rows + rows)

    def lines_of(self, shard: Shard) -> list[int]:
        return [line for line in range(2, ROWS + 2) if f"a{(line - 2) % ACCOUNTS}" in shard.accounts]

    async def ship(self, shard: int, *segments: Iterable[Settlement] | bytes, fence: int = 1, first: int = 0) -> None:
        for number, segment in enumerate(segments, first):
            data = segment if isinstance(segment, bytes) else encoded(segment)
            await self.store.put_if_absent(f"segments/{shard}/{fence}.{number}", data)

    async def say(self, shard: int, state: ShardState = ShardState.ENDED, *, fence: int = 1, **more: Any) -> None:
        said: dict[str, Any] = {"holder": f"process {fence} on host", "started_at": 1.0, "at": 2.0}
        progress = Progress(shard=shard, fence=fence, state=state, **{**said, **more})
        await self.store.overwrite(progress_name(shard, fence), progress.encoded())

    async def lease(self, shard: int, fence: int, state: State = State.SENDING, *, host: Host | None = None) -> None:
        note = Note(holder="h", state=state, host=host or Host(), where=f"process {fence} on host{shard}")
        await self.store.overwrite(f"lease/{shard}.{fence}", note.encoded())

    async def give_up(self, shard: int, *, fence: int = 5, why: str = "killed") -> None:
        left = GivenUp(shard=shard, fence=fence, tries=5, why=why, at=1.0)
        await self.store.overwrite(failed_name(shard), left.encoded())

    async def finish(self, *, but: int = -1) -> None:
        """Let each shard create its rows, but one of them."""
        for shard in self.manifest.shards:
            if shard.number != but:
                lines = self.lines_of(shard)
                await self.ship(shard.number, map(claim, lines), [*map(row, lines)])
                await self.say(shard.number)

    async def merge(self, stop: StopSignal | None = None) -> Any:
        return await merge(self.store, self.ledger, url=self.url, stop=stop)

    async def flaws(self) -> tuple[str, ...]:
        """What a merge finds wrong; it leaves nothing."""
        with pytest.raises(UnprovenError) as unproven:
            await self.merge()
        assert unproven.value.exit_code == 1
        assert not self.ledger.exists()
        assert not unfinished_merge_of(self.ledger).exists()
        return unproven.value.flaws

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute("SELECT line, outcome, code, attempts FROM standing ORDER BY line").fetchall()


@pytest.fixture
async def fleet(tmp_path: Path, store: MemoryStore) -> Fleet:
    fleet = Fleet(tmp_path, store)
    await fleet.split()
    return fleet
