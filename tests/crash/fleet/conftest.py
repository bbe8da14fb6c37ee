"""A fleet of processes on loopback, terms of its lease a tenth or less, against a sandbox in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from bulk import fleet
from bulk.cli.execution import execute_in_thread
from bulk.engine.stop import StopSignal
from bulk.fleet.lease import Note, Terms
from bulk.fleet.manifest import MANIFEST
from bulk.fleet.progress import Shards, read_shards
from bulk.fleet.splitting import split
from bulk.fleet.store_url import open_store
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.sandbox.accounts.account import Account, number_of
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bulk.fleet.store import Store
    from bulk.sandbox import Seen
    from tests.crash.conftest import Child

    ChildIn = Callable[..., AbstractAsyncContextManager[Child]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]

PER_S = 40
PRODUCTS = 6
ROWS_A_PRODUCT = 10
ROWS = PRODUCTS * ROWS_A_PRODUCT
"""Of each account: one second and a half of its rate."""

JUDGED_S = 0.95
"""What is called a second here: the sandbox stamps a request when it looks at it, which a busy machine delays."""

QUICK = Terms(term_s=1.5, request_timeout_s=0.5)
PATIENCE_S = 60.0


@dataclass
class Fleet:
    """A split input, its store, and what its platform saw."""

    folder: Path
    names: tuple[str, ...]
    box: Sandbox
    child_in: ChildIn
    seen: list[Seen] = field(default_factory=list)
    _awaited: list[tuple[int, str, asyncio.Event]] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return open_store(str(self.folder / "store"))

    @property
    def environ(self) -> dict[str, str]:
        return {
            f"{name.upper()}_{part}": f"{name}-{part}-for-tests"
            for name in self.names
            for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET")
        }

    def worker(
        self, shard: int = 0, *, machine: str = "here", environ: dict[str, str] | None = None
    ) -> AbstractAsyncContextManager[Child]:
        """Start a worker; each machine has a disk, a lock and rates of its own."""
        patch = (
            "import pathlib, bulk.engine.sessions.shared_window as m\n"
            f"m.shared_folder = lambda: pathlib.Path({str(self.folder / f'rates-{machine}')!r})"
        )
        words = ("fleet", "work", "store", "--shard", str(shard), "--work-folder", machine, "--json")
        return self.child_in(self.folder, *words, environ=self.environ | (environ or {}), patch=patch)

    @asynccontextmanager
    async def driver(self, engine: str) -> AsyncIterator[asyncio.subprocess.Process]:
        words = ("fleet", "run", "store", "--engine", engine, "--json")
        async with self.process(*words) as process:
            yield process

    @asynccontextmanager
    async def process(
        self, *words: str, module: str = "bulk", is_group: bool = False
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a program in the fleet's folder.

        Args:
            words: Its arguments.
            module: What is started.
            is_group: What it starts is ended with it; else it may go on.
        """
        with (self.folder / "errors.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *words),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "BULK_WORK_FOLDER": str(self.folder / "here"), **self.environ},
                start_new_session=is_group,
            )
        try:
            yield process
        finally:
            if is_group:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()

    async def creates(self, more: int, *, account: str = "") -> None:
        """Wait until the platform has carried out so many more."""
        event = asyncio.Event()
        self._awaited.append((self.created(account) + more, account, event))
        async with asyncio.timeout(PATIENCE_S):
            await event.wait()

    def note(self, seen: Seen) -> None:
        self.seen.append(seen)
        for count, account, event in self._awaited:
            if not event.is_set() and self.created(account) >= count:
                event.set()

    def created(self, account: str = "") -> int:
        return sum(one.carried_out and bool(one.module_name) and account in {"", one.account} for one in self.seen)

    async def shards(self) -> Shards:
        found = await read_shards(self.store)
        assert isinstance(found, Shards)
        return found

    async def lease(self, shard: int, fence: int) -> Note:
        data = await self.store.get(f"lease/{shard}.{fence}")
        assert isinstance(data, bytes)
        note = Note.decoded(data)
        assert note
        return note

    def holds_what_is_promised(self) -> None:
        """Nothing was made twice, and no second holds more than granted."""
        made = Counter((one.product_key, one.module_name) for one in self.seen if one.carried_out and one.module_name)
        assert made.total() == len(made)
        for name in self.names:
            for is_create in (True, False):
                times = [one.at for one in self.seen if one.account == name and bool(one.module_name) is is_create]
                assert max(sum(at <= other < at + JUDGED_S for other in times) for at in times) <= PER_S

    async def is_done(self) -> None:
        self.holds_what_is_promised()
        assert self.created() == ROWS * len(self.names)
        merged = await fleet.merge(str(self.folder / "store"), str(self.folder / "merged.db"))
        assert {outcome: rows for outcome, rows in merged.outcomes.items() if rows} == {
            "created": ROWS * len(self.names)
        }
        progress = (await self.shards()).progress.values()
        assert sum((Counter(one.outcomes) for one in progress), Counter()) == {"created": ROWS * len(self.names)}


@pytest.fixture
def fleet_of(tmp_path: Path, child_in: ChildIn, watch: Watch) -> Callable[..., AbstractAsyncContextManager[Fleet]]:
    """Return what makes a fleet: accounts, shards, the terms of its lease."""

    @asynccontextmanager
    async def make(accounts: int = 1, *, shards: int = 1, terms: Terms = QUICK) -> AsyncIterator[Fleet]:
        names = tuple(f"a{number}" for number in range(accounts))
        async with Sandbox(_box(names)) as box:
            fleet = Fleet(tmp_path, names, box, child_in)
            watch(box, fleet.note)
            await asyncio.to_thread(_prepare, fleet, shards, terms)
            yield fleet

    return make


def _box(names: tuple[str, ...]) -> SandboxConfig:
    accounts = tuple(
        Account(
            name=name,
            access_key_id=f"{name}-ACCESS_KEY_ID-for-tests",
            access_key_secret=f"{name}-ACCESS_KEY_SECRET-for-tests",
            uid=number_of(name),
            qps=0,
            list_qps=0,
        )
        for name in names
    )
    return SandboxConfig(accounts=accounts, starting_world=False, faults=FaultPlan.parse("latency=5-15ms"))


def _prepare(fleet: Fleet, shards: int, terms: Terms) -> None:
    own = {
        name: AccountSettings(endpoint=fleet.box.endpoint, rate_group=name, key_env=name.upper())
        for name in fleet.names
    }
    tables = [
        f'[accounts.{name}]\nendpoint = "{one.endpoint}"\nrate_group = "{name}"\nkey_env = "{one.key_env}"\n'
        for name, one in own.items()
    ]
    top = f'dialect = "alibaba"\nqps = {PER_S}\nlist_qps = {PER_S}\n'
    (fleet.folder / "bulk.toml").write_text("\n".join([top, *tables]))
    lines = [
        f"{name},{name}p{product},m{row}"
        for product in range(PRODUCTS)
        for name in fleet.names
        for row in range(ROWS_A_PRODUCT)
    ]
    path = fleet.folder / "in.csv"
    path.write_text("\n".join(["Account,ProductKey,ModuleName", *lines, ""]))
    store = open_store(str(fleet.folder / "store"), make=True)

    async def divide() -> None:
        manifest = await split(
            str(path), Settings(accounts=own, qps=PER_S, list_qps=PER_S), store, stop=StopSignal(), shards=shards
        )
        await store.overwrite(MANIFEST, replace(manifest, terms=terms).encoded())

    execute_in_thread(divide)
