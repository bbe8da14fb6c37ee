"""Several accounts in one sync: each is looked at, judged and worked off on its own."""

from __future__ import annotations

import csv
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.guard import Limit
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.run import sync
from bulk.model import Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from bulk.model import Summary

NAMES = ("cn", "eu")
Cells = tuple[str, str, str, str]
ROWS: list[Cells] = [
    (name, f"a1{name}{number:06d}", f"m{row}", f"alias{row}")
    for name in NAMES
    for number in range(3)
    for row in range(10)
]


class Estate:
    """A file for two accounts, each on a platform of its own."""

    def __init__(self, file: Path, boxes: dict[str, Sandbox]) -> None:
        self.file = file
        self.boxes = boxes

    def write(self, rows: Iterable[Cells]) -> None:
        with self.file.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("Account", "ProductKey", "ModuleName", "AliasName"), *rows])

    def settings(self, **changes: Any) -> Settings:
        accounts = {name: AccountSettings(endpoint=box.endpoint) for name, box in self.boxes.items()}
        told: dict[str, Any] = {"accounts": accounts, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        return Settings(**(told | changes))

    def keys(self) -> dict[str, StaticCredentials]:
        return {
            name: StaticCredentials(Credentials(box.credentials.access_key_id, box.credentials.access_key_secret))
            for name, box in self.boxes.items()
        }

    async def sync(self, *, settings: dict[str, Any] | None = None, **options: Any) -> Summary:
        told = self.settings(**(settings or {}))
        return await sync(str(self.file), told, SyncOptions(**options), credentials=self.keys())

    def drift(self, name: str, modules: int) -> None:
        for row in range(modules):
            self.boxes[name].console().update(f"a1{name}000000", f"m{row}", alias_name="hand", desc=None)

    def names(self, name: str, number: int = 0) -> set[str]:
        return {module.module_name for module in self.boxes[name].modules(f"a1{name}{number:06d}")} - {"default"}


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[Estate]:
    """Return two accounts whose first night has been."""
    async with AsyncExitStack() as stack:
        boxes = {
            name: await stack.enter_async_context(
                Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, access_key_id=f"LTAI-{name}"))
            )
            for name in NAMES
        }
        made = Estate(tmp_path / "m.csv", boxes)
        made.write(ROWS)
        first = await made.sync()
        assert (first.exit_code, first.outcomes["created"]) == (0, 60)
        yield made


async def test_a_limit_withholds_in_its_account_alone(estate: Estate) -> None:
    estate.drift("cn", 5)
    estate.drift("eu", 1)

    summary = await estate.sync(max_updates=Limit(2))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 5, "deletes": 0})
    assert summary.changes == {"created": 0, "updated": 1, "deleted": 0}
    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": 5, "eu": 0}
    assert summary.notes[0].startswith("account cn: 5 updates planned")


async def test_a_plan_of_several_accounts_is_applied(estate: Estate) -> None:
    estate.drift("cn", 5)
    estate.drift("eu", 5)
    withheld = await estate.sync(max_updates=Limit(2))
    assert withheld.plan is not None

    applied = await apply(Path(withheld.plan), estate.settings(), credentials=estate.keys())

    assert (applied.exit_code, applied.changes) == (0, {"created": 0, "updated": 10, "deleted": 0})


async def test_an_account_that_is_left_out_makes_no_surplus(estate: Estate) -> None:
    estate.write([row for row in ROWS if row[2] != "m0"])

    summary = await estate.sync(settings={"only_accounts": ("eu",)}, prune=True, max_deletes=Limit(100))

    assert "m0" in estate.names("cn")
    assert (summary.accounts["cn"].requests["list"], summary.withheld) == (
        0,
        {"creates": 0, "updates": 0, "deletes": 3},
    )


async def test_an_account_that_left_the_file_is_left_alone(estate: Estate) -> None:
    estate.write([row for row in ROWS if row[0] == "eu"])

    summary = await estate.sync(prune=True, max_deletes=Limit(100))

    assert len(estate.names("cn")) == 10
    assert (summary.surplus, summary.changes) == (30, {"created": 0, "updated": 0, "deleted": 0})


async def test_a_row_whose_account_can_not_be_told_keeps_all(estate: Estate) -> None:
    rows = [row for row in ROWS if row[1:3] != ("a1cn000000", "m0")]
    estate.write([*rows, ("nobody", "a1cn000000", "m0", "alias0")])

    summary = await estate.sync(prune=True, max_deletes=Limit(100))

    assert summary.exit_code == 1
    assert "m0" in estate.names("cn")
