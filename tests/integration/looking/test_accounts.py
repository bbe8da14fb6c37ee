"""Exports, maps, runs and checks of several accounts: one file, each product with its account."""

from __future__ import annotations

import csv
import io
from asyncio import to_thread
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.looking.check import check
from bulk.engine.looking.export import export
from bulk.engine.looking.mapping import map_products
from bulk.engine.plan import plan
from bulk.engine.run import run
from bulk.errors import InputError, SettingsError, UnreadError
from bulk.model import Dialect
from bulk.report.results import write_results
from bulk.sandbox import Account, Sandbox
from bulk.settings import Settings
from bulk.settings.account import AccountSettings
from tests.integration.looking.conftest import READS, actions_seen, box_of, fill, keys_of, names_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def account(name: str, products: frozenset[str] | None = None) -> Account:
    rates = {"qps": 0.0, "list_qps": 0.0, "rates": {"products": 0, "product": 0}}
    keys = {"access_key_id": f"id-{name}", "access_key_secret": f"secret-{name}"}
    return Account(name=name, uid=f"uid-{name}", products=products, **keys, **rates)  # type: ignore[arg-type]  # a dict of both kinds


@asynccontextmanager
async def served(*names: str, dialect: Dialect) -> AsyncIterator[Sandbox]:
    async with box_of(accounts=tuple(map(account, names)), dialect=dialect) as box:
        yield box


def told(box: Sandbox, *names: str, dialect: Dialect, **changes: Any) -> Settings:
    accounts = {name: AccountSettings(endpoint=box.endpoint, key_env=name.upper()) for name in names}
    return Settings(accounts=accounts, dialect=dialect, qps=0, list_qps=0, **changes)


def keys(box: Sandbox, *names: str) -> dict[str, Any]:
    return {name: keys_of(box, name) for name in names}


@pytest.fixture
async def source() -> AsyncIterator[Sandbox]:
    async with served("cn", "eu", dialect=Dialect.ALIBABA) as box:
        fill(box, [("a1Cn0000001", "mcu", "主控"), ("a1Cn0000002", "led")], account="cn", names=NAMES)
        fill(box, [("a1Eu0000001", "mcu"), ("a1Eu0000002",), ("a1Eu0000003", "ble")], account="eu", names=NAMES)
        yield box


NAMES = {"a1Cn0000001": "Lamp", "a1Cn0000002": "Fan", "a1Eu0000001": "Lamp", "a1Eu0000002": "Hub", "a1Eu0000003": "Hub"}
FROM = {"dialect": Dialect.ALIBABA}
TO = {"dialect": Dialect.TUYA}


async def test_all_accounts_are_in_one_file(source: Sandbox, tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    done = await export(output, told(source, "eu", "cn", **FROM), credentials=keys(source, "cn", "eu"))

    assert output.read_text(encoding="utf-8") == (
        "Account,ProductKey,ModuleName,AliasName,Desc,ProductName\n"
        "eu,a1Eu0000001,mcu,,,Lamp\n"
        "eu,a1Eu0000003,ble,,,Hub\n"
        "cn,a1Cn0000001,mcu,主控,,Lamp\n"
        "cn,a1Cn0000002,led,,,Fan\n"
    )
    assert [(one.account, one.products, one.modules) for one in done.accounts] == [("eu", 3, 2), ("cn", 2, 2)]
    assert actions_seen(source) <= READS


async def test_one_product_of_one_account_that_can_not_be_read_leaves_no_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "p.csv").write_text("Account,ProductKey\ncn,a1cn\neu,a1Gone00001\n")
    accounts = tuple(account(name, frozenset({f"a1{name}"})) for name in ("cn", "eu"))
    async with box_of(accounts=accounts) as box:
        with pytest.raises(UnreadError, match="account eu, a1Gone00001") as raised:
            await export(
                tmp_path / "o.csv",
                told(box, "cn", "eu", **FROM),
                products=str(tmp_path / "p.csv"),
                credentials=keys(box, "cn", "eu"),
            )

    assert raised.value.exit_code == 3
    assert names_in(tmp_path) == ["p.csv"]


async def test_accounts_become_accounts_of_the_target(source: Sandbox, tmp_path: Path) -> None:
    exported, mapped = tmp_path / "e.csv", tmp_path / "m.csv"
    await export(exported, told(source, "cn", "eu", **FROM), credentials=keys(source, "cn", "eu"))
    async with served("east", "west", dialect=Dialect.TUYA) as target:
        fill(target, [("T1",), ("T2",), ("T3",)], account="east", names={"T1": "Fan", "T2": "Lamp A", "T3": "Hub"})
        fill(target, [("W1",)], account="west", names={"W1": "Lamp B"})
        made = await map_products(
            str(exported), mapped, told(target, "east", "west", **TO), credentials=keys(target, "east", "west")
        )
        open_keys = {product.source.product_key for product in made.open_products}
        await to_thread(complete, mapped, {"a1Cn0000001": ("east", "T2"), "a1Eu0000001": ("west", "W1")})
        settings = told(target, "east", "west", product_map=str(mapped), **TO)
        summary = await run(str(exported), settings, credentials=keys(target, "east", "west"))
        checked = await check(str(exported), settings, credentials=keys(target, "east", "west"))
        there = {
            (name, key): {module.module_name for module in target.modules(key, name)} - {"default"}
            for name, key in (("east", "T1"), ("east", "T2"), ("east", "T3"), ("west", "W1"))
        }

    # Both Lamps and the one Hub with modules are open: another Hub of the source has none, and its name all the same.
    assert open_keys == {"a1Cn0000001", "a1Eu0000001", "a1Eu0000003"}
    assert there == {("east", "T1"): {"led"}, ("east", "T2"): {"mcu"}, ("east", "T3"): set(), ("west", "W1"): {"mcu"}}
    assert (summary.outcomes["created"], summary.outcomes["invalid"]) == (3, 1)
    assert [finding.line for finding in checked.examples] == [5]
    rows = await to_thread(results_of, exported)
    assert [(row["Account"], row["ProductKey"], row["target_account"], row["target_product_key"]) for row in rows] == [
        ("cn", "a1Cn0000001", "east", "T2"),
        ("cn", "a1Cn0000002", "east", "T1"),
        ("eu", "a1Eu0000001", "west", "W1"),
        ("eu", "a1Eu0000003", "", ""),
    ]


async def test_map_without_the_targets_account_is_refused(source: Sandbox, tmp_path: Path) -> None:
    exported, mapped = tmp_path / "e.csv", tmp_path / "m.csv"
    await export(exported, told(source, "cn", "eu", **FROM), credentials=keys(source, "cn", "eu"))
    async with served("east", "west", dialect=Dialect.TUYA) as target:
        fill(target, [("T1",)], account="east", names={"T1": "Fan"})
        await map_products(
            str(exported), mapped, told(target, "east", "west", **TO), credentials=keys(target, "east", "west")
        )
        await to_thread(complete, mapped, {"a1Cn0000001": ("", "T2")})
        with pytest.raises(InputError, match="TargetAccount") as raised:
            await run(
                str(exported),
                told(target, "east", "west", product_map=str(mapped), **TO),
                credentials=keys(target, "east", "west"),
            )
        assert not target.requests["create"]

    assert raised.value.exit_code == 2


async def test_modules_go_to_another_account_of_one_platform_and_never_back(tmp_path: Path) -> None:
    exported, mapped = tmp_path / "e.csv", tmp_path / "m.csv"
    async with served("old", "new", dialect=Dialect.ALIBABA) as box:
        fill(box, [("a1Old000001", "mcu"), ("a1Old000002", "led")], account="old", names={"a1Old000001": "Lamp"})
        fill(box, [("a1New000001",)], account="new", names={"a1New000001": "Lamp"})
        every, both = told(box, "old", "new", **FROM), keys(box, "old", "new")
        await export(exported, replace(every, only_accounts=("old",)), credentials=both)
        with pytest.raises(SettingsError, match="account old is"):
            await map_products(str(exported), mapped, every, credentials=both)
        await map_products(str(exported), mapped, replace(every, only_accounts=("new",)), credentials=both)
        await to_thread(complete, mapped, {})
        summary = await run(str(exported), replace(every, product_map=str(mapped)), credentials=both)
        text = mapped.read_text(encoding="utf-8")
        there = {module.module_name for module in box.modules("a1New000001", "new")} - {"default"}
        mapped.write_text(text.replace("a1New000001", "a1Old000001"), encoding="utf-8")
        with pytest.raises(InputError, match="would write to it"):
            await run(str(exported), replace(every, product_map=str(mapped)), credentials=both)
        mapped.write_text(text.replace(",new,", ",old,"), encoding="utf-8")
        with pytest.raises(InputError, match="moves modules away from"):
            await run(str(exported), replace(every, product_map=str(mapped)), credentials=both)

    assert summary.outcomes["created"] == 1
    assert there == {"mcu"}


async def test_a_product_that_was_taken_out_of_the_map_is_no_target_of_another_one(tmp_path: Path) -> None:
    exported, mapped = tmp_path / "e.csv", tmp_path / "m.csv"
    async with served("old", "new", dialect=Dialect.ALIBABA) as box:
        fill(box, [("a1Old000001", "mcu"), ("a1Old000002", "led")], account="old")
        fill(box, [("a1New000001",)], account="new")
        every, both = told(box, "old", "new", **FROM), keys(box, "old", "new")
        await export(exported, replace(every, only_accounts=("old",)), credentials=both)
        await map_products(str(exported), mapped, replace(every, only_accounts=("new",)), credentials=both)
        await to_thread(complete, mapped, {"a1Old000001": ("new", "a1Old000002")})
        before = box.requests["create"]
        settings = replace(every, product_map=str(mapped))
        for job in (run, plan, check):
            with pytest.raises(InputError, match="product 'a1Old000002' is one of the source") as raised:
                await job(str(exported), settings, credentials=both)
            assert str(raised.value).startswith(f"{exported}, line 3: ")

        assert box.requests["create"] == before


async def test_an_export_of_some_products_does_not_show_whether_a_name_is_unique(
    source: Sandbox, tmp_path: Path
) -> None:
    """Two products of the source are Hubs: the file names one of them."""
    exported, mapped, some = tmp_path / "e.csv", tmp_path / "m.csv", tmp_path / "p.csv"
    some.write_text("Account,ProductKey\neu,a1Eu0000003\n", encoding="utf-8")
    every = told(source, "cn", "eu", **FROM)
    await export(exported, every, products=str(some), credentials=keys(source, "cn", "eu"))
    async with served("east", dialect=Dialect.TUYA) as target:
        fill(target, [("T1",)], account="east", names={"T1": "Hub"})

        made = await map_products(str(exported), mapped, told(target, "east", **TO), credentials=keys(target, "east"))

    assert [(product.source.name, product.target) for product in made.products] == [("Hub", None)]
    assert "only some products of its source" in mapped.read_text(encoding="utf-8")


def complete(path: Path, places: dict[str, tuple[str, str]]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["ProductKey"] in places:
            row["TargetAccount"], row["TargetProductKey"] = places[row["ProductKey"]]
            row["Target"] = next(other["Target"] for other in rows if other["Target"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["TargetProductKey"])


def results_of(source: Path) -> list[dict[str, str]]:
    out = io.BytesIO()
    write_results(source.with_name(f"{source.name}.ledger.db"), out, format="csv")
    return list(csv.DictReader(io.StringIO(out.getvalue().decode())))
