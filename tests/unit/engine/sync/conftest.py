"""A job that is synced night after night, against a platform in this process."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.run import run
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bulk.engine.sync.planning import SyncPlan
    from bulk.model import Summary

Cells = tuple[str, str, str, str]

ROWS: list[Cells] = [
    (f"a1Prod{number:05d}", f"m{index}", f"alias{index}", f"desc {number}")
    for number in range(2)
    for index in range(10 if number == 0 else 3)
]
"""The first product is full."""

EVERYTHING: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}


@dataclass
class Nights:
    """A file, its ledger, and the platform."""

    file: Path
    box: Any

    @property
    def ledger(self) -> Path:
        return self.file.with_name(f"{self.file.name}.ledger.db")

    def write(self, rows: Iterable[Cells]) -> None:
        with self.file.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("ProductKey", "ModuleName", "AliasName", "Desc"), *rows])

    async def run(self, **changes: Any) -> Summary:
        return await run(str(self.file), self.box.settings(**changes), credentials=self.box.keys())

    async def sync(self, *, settings: dict[str, Any] | None = None, **options: Any) -> Summary:
        return await sync(
            str(self.file),
            self.box.settings(**(settings or {})),
            SyncOptions(**(EVERYTHING | options)),
            credentials=self.box.keys(),
        )

    async def plan(self, output: Path | None = None, **options: Any) -> SyncPlan:
        return await plan_sync(
            str(self.file),
            self.box.settings(),
            SyncOptions(**(EVERYTHING | options)),
            output=output,
            credentials=self.box.keys(),
        )

    async def apply(self, plan: Path, **options: Any) -> Summary:
        return await apply(plan, self.box.settings(), credentials=self.box.keys(), **options)

    def outcomes(self, summary: Summary) -> Counter[str]:
        return Counter({outcome: count for outcome, count in summary.outcomes.items() if count})


@pytest.fixture
def make_nights(tmp_path: Path, make_box: Callable[..., Any]) -> Callable[..., Nights]:
    """Return what makes a job whose file is written; the platform is as `SandboxConfig` says."""

    def make(rows: Iterable[Cells] = ROWS, **config: Any) -> Nights:
        job = Nights(tmp_path / "m.csv", make_box(**config))
        job.write(rows)
        return job

    return make
