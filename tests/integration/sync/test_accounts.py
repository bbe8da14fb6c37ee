"""Several accounts in one sync: each is looked at, judged and worked off on its own."""

from __future__ import annotations

import csv
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.guard import Limit
from bulk.engine.conclude import summary_json
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync
from bulk.errors import LedgerTargetError
from bulk.model import Dialect
from bulk.report.summary import summary_lines
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


async def test_an_account_that_is_left_out_has_no_exit_code_of_its_own(estate: Estate) -> None:
    estate.write([*ROWS, ("cn", "a1cn000009", "m0", "alias0")])

    summary = await estate.sync(settings={"only_accounts": ("eu",)})
    shown = "\n".join(summary_lines(summary))

    assert (summary.exit_code, summary.accounts["cn"].outcomes["pending"]) == (1, 1)
    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": None, "eu": 0}
    assert orjson.loads(summary_json(summary))["accounts"]["cn"]["exit_code"] is None
    assert re.search(r"cn +- +30 of 31", shown)


async def test_an_account_that_left_the_file_is_left_alone(estate: Estate) -> None:
    estate.write([row for row in ROWS if row[0] == "eu"])

    summary = await estate.sync(prune=True, max_deletes=Limit(100))

    assert len(estate.names("cn")) == 10
    assert (summary.surplus, summary.changes) == (30, {"created": 0, "updated": 0, "deleted": 0})


async def test_surplus_that_stays_does_not_change_the_exit_code_of_its_account(estate: Estate) -> None:
    estate.write([row for row in ROWS if row[1:3] != ("a1cn000000", "m0")])

    summary = await estate.sync()

    assert (summary.exit_code, summary.surplus) == (0, 1)
    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": 0, "eu": 0}


async def test_a_row_whose_account_can_not_be_told_keeps_all(estate: Estate) -> None:
    rows = [row for row in ROWS if row[1:3] != ("a1cn000000", "m0")]
    estate.write([*rows, ("nobody", "a1cn000000", "m0", "alias0")])

    summary = await estate.sync(prune=True, max_deletes=Limit(100))

    assert summary.exit_code == 1
    assert "m0" in estate.names("cn")


async def test_a_plan_of_several_accounts_tells_what_each_would_do_and_changes_nothing(
    estate: Estate, tmp_path: Path
) -> None:
    estate.drift("cn", 5)
    estate.drift("eu", 1)
    estate.write([row for row in ROWS if row[1:3] != ("a1eu000001", "m9")])
    seen = {name: len(box.seen) for name, box in estate.boxes.items()}

    plan = await plan_sync(
        str(estate.file),
        estate.settings(),
        SyncOptions(prune=True, max_updates=Limit(2)),
        output=tmp_path / "plan.jsonl",
        credentials=estate.keys(),
    )

    assert (plan.exit_code, plan.planned, plan.withheld) == (5, {"update": 6, "delete": 1}, {"max_updates": 5})
    assert plan.summary.notes[0].startswith("account cn: 5 updates planned")
    asked = {request.action for name, box in estate.boxes.items() for request in list(box.seen)[seen[name] :]}
    assert asked == {"ListOTAModuleByProduct", "ListOTAFirmware"}
    applied = await apply(tmp_path / "plan.jsonl", estate.settings(), credentials=estate.keys())
    assert (applied.exit_code, applied.changes) == (0, {"created": 0, "updated": 6, "deleted": 1})


async def test_a_plan_of_one_account_asks_and_applies_that_one_alone(estate: Estate, tmp_path: Path) -> None:
    estate.drift("cn", 3)
    estate.drift("eu", 3)
    eu_alone = estate.settings(only_accounts=("eu",))
    seen = len(estate.boxes["cn"].seen)

    plan = await plan_sync(str(estate.file), eu_alone, output=tmp_path / "plan.jsonl", credentials=estate.keys())
    applied = await apply(tmp_path / "plan.jsonl", estate.settings(), credentials=estate.keys())

    assert (plan.exit_code, plan.planned) == (0, {"update": 3})
    assert applied.changes == {"created": 0, "updated": 3, "deleted": 0}
    assert len(estate.boxes["cn"].seen) == seen


async def test_a_plan_is_refused_where_an_account_has_another_target_or_is_gone(estate: Estate, tmp_path: Path) -> None:
    estate.drift("eu", 3)
    await plan_sync(str(estate.file), estate.settings(), output=tmp_path / "plan.jsonl", credentials=estate.keys())
    eu = AccountSettings(endpoint=estate.boxes["eu"].endpoint)
    moved = {"cn": AccountSettings(endpoint="http://127.0.0.1:9"), "eu": eu}

    for accounts in (moved, {"eu": eu}):
        with pytest.raises(LedgerTargetError, match="the settings now send account 'cn' to"):
            await apply(tmp_path / "plan.jsonl", estate.settings(accounts=accounts), credentials=estate.keys())


async def test_an_account_that_left_the_settings_keeps_all_of_every_account(estate: Estate) -> None:
    estate.write([row for row in ROWS if row[2] != "m0" or row[1] != "a1eu000000"])
    eu = AccountSettings(endpoint=estate.boxes["eu"].endpoint)

    summary = await estate.sync(settings={"accounts": {"eu": eu}}, prune=True, max_deletes=Limit(100))

    assert (summary.exit_code, summary.outcomes["invalid"]) == (1, 30)
    assert summary.changes == {"created": 0, "updated": 0, "deleted": 0}
    assert (len(estate.names("cn")), "m0" in estate.names("eu")) == (10, True)


async def test_an_account_of_another_name_owns_what_it_owned(estate: Estate) -> None:
    estate.write([("asia" if row[0] == "cn" else row[0], *row[1:]) for row in ROWS if row[1:3] != ("a1cn000000", "m0")])
    renamed = {"asia" if name == "cn" else name: box for name, box in estate.boxes.items()}
    estate.boxes = renamed

    summary = await estate.sync(prune=True)

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 0, "deleted": 1})


async def test_the_part_of_an_account_that_looks_like_another_jobs_withholds_its_deletes(estate: Estate) -> None:
    mine = [row for row in ROWS if row[0] == "eu"]
    others = [("cn", row[1], f"x{row[2]}", "") for row in ROWS if row[0] == "cn"]
    estate.write([*mine, *others])

    for _ in range(2):
        summary = await estate.sync(prune=True, max_deletes=Limit(100))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 30, "updates": 0, "deletes": 30})
    assert summary.notes == ("account cn: the input has 0 of the 30 modules of the last good sync",)
    assert estate.names("cn") == {f"m{row}" for row in range(10)}


async def test_a_product_to_be_pruned_is_looked_at_in_the_account_that_owns_something_there(estate: Estate) -> None:
    estate.write([*(row for row in ROWS if row[1] != "a1cn000000"), ("cn", "a1cn000009", "m", "")])
    before = len(estate.boxes["eu"].seen)

    summary = await estate.sync(prune=True, prune_products=("a1cn000000", "a1Slip00000"), max_deletes=Limit(100))

    asked = {seen.product_key for seen in list(estate.boxes["eu"].seen)[before:]}
    assert asked == {f"a1eu{number:06d}" for number in range(3)}
    assert summary.notes[0] == "--prune-product a1Slip00000: no input of this ledger has named this product"
    assert (summary.withheld or {})["deletes"] == 10
