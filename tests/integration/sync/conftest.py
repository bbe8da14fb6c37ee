"""A job that is synced night after night against a real sandbox, in this process."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.guard import Limit
from bulk.control.retry import RetryPolicy
from bulk.engine.run import run
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync
from bulk.events import ignore
from bulk.model import RESERVED_MODULE_NAME, Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from bulk.engine.stop import StopSignal
    from bulk.engine.sync.planning import SyncPlan
    from bulk.events import Listener
    from bulk.model import Summary

Cells = tuple[str, str, str, str]

EVERYTHING_GOES: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}
WRITES = {"CreateOTAModule", "UpdateOTAModule", "DeleteOTAModule"}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long waits are is the policy's own test; here they would only take time.
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.004, cap_s=0.02))


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@dataclass
class Nights:
    """A file, its ledger, and the platform."""

    file: Path
    box: Sandbox
    rows: list[Cells] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.file.with_name(f"{self.file.name}.ledger.db")

    def write(self, rows: Iterable[Cells], *more: str) -> None:
        self.rows = list(rows)
        with self.file.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ProductKey", "ModuleName", "AliasName", "Desc"])
            writer.writerows(self.rows)
            file.writelines(f"{line}\n" for line in more)

    def without(self, *modules: tuple[str, str]) -> list[Cells]:
        return [row for row in self.rows if row[:2] not in modules]

    def settings(self, **changes: Any) -> Settings:
        told: dict[str, Any] = {"endpoint": self.box.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        return Settings(**(told | changes))

    def keys(self) -> StaticCredentials:
        keys = self.box.credentials
        return StaticCredentials(Credentials(keys.access_key_id, keys.access_key_secret))

    async def run(self, **changes: Any) -> Summary:
        return await run(str(self.file), self.settings(**changes), credentials=self.keys())

    async def sync(
        self,
        *,
        settings: dict[str, Any] | None = None,
        detailed: bool = False,
        stop: StopSignal | None = None,
        listener: Listener = ignore,
        **options: Any,
    ) -> Summary:
        return await sync(
            str(self.file),
            self.settings(**(settings or {})),
            SyncOptions(**options),
            detailed_exit_code=detailed,
            credentials=self.keys(),
            listener=listener,
            stop=stop,
        )

    async def plan(self, output: Path | None = None, **options: Any) -> SyncPlan:
        return await plan_sync(
            str(self.file), self.settings(), SyncOptions(**options), output=output, credentials=self.keys()
        )

    async def apply(self, plan: Path, **options: Any) -> Summary:
        return await apply(plan, self.settings(), credentials=self.keys(), **options)

    def modules(self, product_key: str) -> dict[str, tuple[str, str]]:
        return {
            module.module_name: (module.alias_name or "", module.desc or "")
            for module in self.box.modules(product_key)
            if module.module_name != RESERVED_MODULE_NAME
        }

    def sent(self, since: int = 0) -> Counter[str]:
        return Counter(seen.action for seen in list(self.box.seen)[since:])

    def written(self, since: int = 0) -> int:
        return sum(count for action, count in self.sent(since).items() if action in WRITES)

    def mark(self) -> int:
        return len(self.box.seen)

    def records(self, columns: str = "outcome, code") -> dict[tuple[str, str], tuple[Any, ...]]:
        with closing(connect(self.ledger)) as connection:
            found = connection.execute(f"SELECT product_key, module_name, {columns} FROM modules").fetchall()
        return {record[:2]: record[2:] for record in found}


ROWS: list[Cells] = [
    (f"a1Prod{number:05d}", f"m{index}", f"alias{index}", f"desc {number}")
    for number in range(3)
    for index in range(10 if number == 0 else 4)
]
"""The first product is full."""


@pytest.fixture
def config() -> dict[str, Any]:
    """Return what the platform is told besides."""
    return {}


@pytest.fixture
async def nights(tmp_path: Path, config: dict[str, Any]) -> AsyncIterator[Nights]:
    """Return a job whose first night has been."""
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, **config)) as box:
        job = Nights(tmp_path / "m.csv", box)
        job.write(ROWS)
        yield job


@pytest.fixture
async def synced(nights: Nights) -> Nights:
    """Return a job whose first night has been."""
    summary = await nights.sync()
    assert summary.exit_code == 0
    return nights


@pytest.fixture
def everything_goes() -> Callable[[], dict[str, Limit]]:
    """Return limits that nothing reaches."""
    return lambda: dict(EVERYTHING_GOES)
