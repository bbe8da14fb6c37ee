"""A job that is synced night after night, against a platform in this process."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.control.retry import RetryPolicy
from bulk.engine.run import run
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync
from bulk.model import Dialect
from bulk.settings import Settings
from bulk.settings.account import AccountSettings
from tests.nights import FULL, Cells, NightlyFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bulk.engine.sync.planning import SyncPlan
    from bulk.model import Summary
    from bulk.sandbox import Seen
    from bulk.sandbox.worlds.console import Console

AccountCells = tuple[str, str, str, str]
"""Account, ProductKey, ModuleName, AliasName."""

ROWS: list[Cells] = [
    (f"a1Prod{number:05d}", f"m{index}", f"alias{index}", f"desc {number}")
    for number in range(2)
    for index in range(10 if number == 0 else 3)
]
"""The first product is full."""

NEW = (FULL, "new", "new", "")

EVERYTHING: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}


@dataclass
class Nights(NightlyFile):
    """A file, its ledger, and the platform."""

    def replace(self, *gone: tuple[str, str], by: Iterable[Cells] = ()) -> None:
        """Take modules out of the file and put others in; as many as are missing then go to a third product."""
        kept, new = [row for row in self.rows if row[:2] not in gone], list(by)
        padding = range(len(kept) + len(new), len(self.rows))
        self.write([*kept, *new, *((f"a1Prod{2:05d}", f"n{number}", "n", f"{number}") for number in padding)])

    def when(
        self, action: str, deed: Callable[[Console], object], *, nth: int = 1, of: str | None = None, name: str = ""
    ) -> None:
        """Let somebody act once: after the nth such request from now on was processed, before it is answered."""
        seen_so_far = 0

        def act(seen: Seen, console: Console) -> None:
            nonlocal seen_so_far
            if seen.action == action and of in {None, seen.product_key} and name in {"", seen.module_name}:
                seen_so_far += 1
                if seen_so_far == nth:
                    deed(console)

        self.box.let_in(act)

    async def run(self, **changes: Any) -> Summary:
        return await run(str(self.file), self.box.settings(**changes), credentials=self.box.keys())

    async def sync(
        self, *, settings: dict[str, Any] | None = None, call: dict[str, Any] | None = None, **options: Any
    ) -> Summary:
        """Sync with limits that nothing reaches, unless the options say others; ``call``: arguments of `sync`."""
        return await sync(
            str(self.file),
            self.box.settings(**(settings or {})),
            SyncOptions(**(EVERYTHING | options)),
            credentials=self.box.keys(),
            **(call or {}),
        )

    async def plan(
        self,
        output: Path | None = None,
        *,
        settings: dict[str, Any] | None = None,
        call: dict[str, Any] | None = None,
        **options: Any,
    ) -> SyncPlan:
        return await plan_sync(
            str(self.file),
            self.box.settings(**(settings or {})),
            SyncOptions(**(EVERYTHING | options)),
            output=output,
            credentials=self.box.keys(),
            **(call or {}),
        )

    async def apply(self, plan: Path | str, *, settings: dict[str, Any] | None = None, **options: Any) -> Summary:
        return await apply(Path(plan), self.box.settings(**(settings or {})), credentials=self.box.keys(), **options)

    def outcomes(self, summary: Summary) -> Counter[str]:
        return Counter({outcome: count for outcome, count in summary.outcomes.items() if count})

    def written(self, since: int = 0) -> Counter[str]:
        """Return how many changes of each kind arrived after the first so many requests."""
        short = {"CreateOTAModule": "create", "UpdateOTAModule": "update", "DeleteOTAModule": "delete"}
        sent = self.box.actions(since)
        return Counter({short[action]: count for action, count in sent.items() if action in short})


@pytest.fixture
def make_nights(tmp_path: Path, make_box: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Nights]:
    """Return what makes a job whose file is written; the platform is as `SandboxConfig` says.

    Retries don't wait at all: on Python 3.11 a timer that goes off hides the lines after it from the coverage.
    """
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.0, cap_s=0.0))

    def make(rows: Iterable[Cells] = ROWS, **config: Any) -> Nights:
        job = Nights(tmp_path / "m.csv", make_box(**config))
        job.write(rows)
        return job

    return make


@pytest.fixture
def make_synced(make_nights: Callable[..., Nights]) -> Callable[..., Awaitable[Nights]]:
    """Return what makes a job whose first night has been: every module of the file is its ledger's."""

    async def make(rows: Iterable[Cells] = ROWS, **config: Any) -> Nights:
        job = make_nights(rows, **config)
        assert (await job.sync()).exit_code == 0
        return job

    return make


ACCOUNTS = ("cn", "eu")


@dataclass
class Estate:
    """A file for two accounts, each on a platform of its own."""

    file: Path
    boxes: dict[str, Any]
    rows: list[AccountCells] = field(default_factory=list)
    of_one_platform: bool = False
    """Whether the platform itself knows the accounts by their names."""

    @property
    def ledger(self) -> Path:
        return self.file.with_name(f"{self.file.name}.ledger.db")

    def write(self, rows: Iterable[AccountCells]) -> None:
        self.rows = list(rows)
        with self.file.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("Account", "ProductKey", "ModuleName", "AliasName"), *self.rows])

    def drift(self, account: str, *names: str) -> None:
        for name in names:
            self.boxes[account].console().update(f"a1{account}000000", name, alias_name="hand", desc=None)

    def settings(self, **changes: Any) -> Settings:
        accounts = {
            name: AccountSettings(endpoint=box.endpoint, key_env=name.upper()) for name, box in self.boxes.items()
        }
        usual: dict[str, Any] = {"accounts": accounts, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        return Settings(**(usual | changes))

    def keys(self) -> dict[str, Any]:
        return {name: box.keys(name if self.of_one_platform else "") for name, box in self.boxes.items()}

    async def sync(
        self, *, settings: dict[str, Any] | None = None, call: dict[str, Any] | None = None, **options: Any
    ) -> Summary:
        return await sync(
            str(self.file),
            self.settings(**(settings or {})),
            SyncOptions(**(EVERYTHING | options)),
            credentials=self.keys(),
            **(call or {}),
        )

    async def apply(self, plan: Path | str, *, settings: dict[str, Any] | None = None, **options: Any) -> Summary:
        return await apply(Path(plan), self.settings(**(settings or {})), credentials=self.keys(), **options)

    def records(self, columns: str = "outcome, code") -> dict[tuple[str, str], tuple[Any, ...]]:
        with closing(connect(self.ledger)) as connection:
            found = connection.execute(f"SELECT product_key, module_name, {columns} FROM modules").fetchall()
        return {record[:2]: record[2:] for record in found}


@pytest.fixture
def make_estate(
    tmp_path: Path, make_box: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[Estate]]:
    """Return what makes two accounts, with two products of three modules each, whose first night has been.

    What a platform is besides, is given by the name of its account.
    """
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.0, cap_s=0.0))

    async def make(**config: dict[str, Any]) -> Estate:
        boxes = {name: make_box(access_key_id=f"LTAI-{name}", **config.get(name, {})) for name in ACCOUNTS}
        estate = Estate(tmp_path / "m.csv", boxes)
        estate.write(
            (name, f"a1{name}{number:06d}", f"m{index}", f"alias{index}")
            for name in ACCOUNTS
            for number in range(2)
            for index in range(3)
        )
        assert (await estate.sync()).exit_code == 0
        return estate

    return make


def swapped(nights: Any) -> Any:
    """Ask for a module in the full product in place of another."""
    nights.replace((FULL, "m0"), by=[NEW])
    return nights
