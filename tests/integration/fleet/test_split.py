"""Split real files into a real folder."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.engine.accounts import accounts_of
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, SettingsError, StoppedError
from bulk.fleet.manifest import MANIFEST, Manifest
from bulk.fleet.slices import read_slice
from bulk.fleet.splitting import MOST_ACCOUNTS, shards_of, split
from bulk.fleet.store import ABSENT
from bulk.fleet.store_url import open_store
from bulk.rows import InputShape
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.fleet.manifest import Shard
    from bulk.fleet.store import Store
    from bulk.model.inputs import ReadRows


def account(number: int, group: str | None = None) -> AccountSettings:
    return AccountSettings(
        endpoint=f"https://platform{number}", rate_group=group or f"g{number}", key_env=f"KEY{number}", profile=None
    )


def settings_of(count: int, *, groups: int | None = None) -> Settings:
    return Settings(
        accounts={f"a{number}": account(number, f"g{number % groups}" if groups else None) for number in range(count)}
    )


def input_of(folder: Path, rows: int, *, accounts: int) -> str:
    path = folder / "in.csv"
    lines = [f"a{row % accounts},pk{row % accounts}x{row // 50},m{row % 50}" for row in range(rows)]
    path.write_text("\n".join(["Account,ProductKey,ModuleName", *lines, "nobody,pk,m", ""]))
    return str(path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"), make=True)


async def slice_of(store: Store, shard: Shard) -> ReadRows:
    data = await store.get(shard.file)
    assert isinstance(data, bytes)
    assert hashlib.sha256(data).hexdigest() == shard.sha256
    (rows,) = read_slice(data.splitlines(keepends=True), size=100_000)
    return rows


async def test_every_row_is_in_one_shard_with_its_line_and_that_of_its_account(tmp_path: Path, store: Store) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 5_000, accounts=6)

    manifest = await split(path, settings_of(6, groups=3), store, stop=StopSignal(), shards=2)

    stored = await store.get(MANIFEST)
    assert isinstance(stored, bytes)
    assert Manifest.decoded(stored) == manifest
    lines: list[int] = []
    for shard in manifest.shards:
        rows = await slice_of(store, shard)
        assert set(rows.accounts) == set(shard.accounts)
        assert len(rows) == shard.rows
        lines += [row[0] for row in rows.valid] + [row[0] for row in rows.invalid]
    assert sorted(lines) == list(range(2, 5_003))
    assert manifest.rows == 5_001


def test_rate_group_is_never_divided_and_a_shard_holds_no_more_than_fit() -> None:
    accounts = accounts_of(settings_of(400, groups=100))

    parts = shards_of(accounts)

    assert sorted(name for part in parts for name in part) == sorted(one.name for one in accounts)
    assert max(map(len, parts)) <= MOST_ACCOUNTS
    shards = {name: number for number, part in enumerate(parts) for name in part}
    for number in range(100):
        assert len({shards[f"a{other}"] for other in range(number, 400, 100)}) == 1


def test_account_without_a_group_that_all_machines_see_alike_is_refused() -> None:
    settings = Settings(accounts={"a": account(1), "b": AccountSettings(endpoint="https://b", key_env="B")})

    with pytest.raises(SettingsError, match="'b' has neither rate_group nor role_arn"):
        shards_of(accounts_of(settings))


@pytest.mark.parametrize("shards", [0, 4])
def test_number_of_shards_that_leaves_one_empty_is_refused(shards: int) -> None:
    with pytest.raises(SettingsError, match="give 1 to 3"):
        shards_of(accounts_of(settings_of(3)), shards)


def map_of_two(folder: Path, *, target: str = "https://platform{0} (alibaba)") -> str:
    """Write a map of the products of two accounts of a source to two accounts of the target."""
    lines = [f"old{number},s{number},a{number},t{number},{target.format(number)}" for number in range(2)]
    path = folder / "map.csv"
    path.write_text("\n".join(["Account,ProductKey,TargetAccount,TargetProductKey,Target", *lines, ""]))
    (folder / "export.csv").write_text(
        "Account,ProductKey,ModuleName\nold0,s0,m0\nold1,s1,m1\nold1,elsewhere,m2\n", encoding="utf-8"
    )
    return str(path)


async def test_rows_of_another_platform_are_split_by_their_products_of_the_target(tmp_path: Path, store: Store) -> None:
    settings = replace(settings_of(2), product_map=await asyncio.to_thread(map_of_two, tmp_path))

    manifest = await split(str(tmp_path / "export.csv"), settings, store, stop=StopSignal(), shards=2)
    stored = [await slice_of(store, shard) for shard in manifest.shards]

    assert {name: rows.valid[0][:3] for rows in stored for name in rows.accounts} == {
        "a0": (2, "t0", "m0"),
        "a1": (3, "t1", "m1"),
    }
    assert [row[0] for rows in stored for row in rows.invalid] == [4]
    assert InputShape.from_json(manifest.shape).is_mapped


async def test_a_map_for_another_target_is_refused_before_anything_is_stored(tmp_path: Path, store: Store) -> None:
    product_map = await asyncio.to_thread(map_of_two, tmp_path, target="https://another{0} (alibaba)")

    with pytest.raises(InputError, match="it is for https://another0"):
        await split(
            str(tmp_path / "export.csv"), replace(settings_of(2), product_map=product_map), store, stop=StopSignal()
        )

    assert await store.get(MANIFEST) is ABSENT
    assert await store.names("input") == ()


async def test_store_with_another_fleet_is_refused_and_stays_as_it_is(tmp_path: Path, store: Store) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)
    await split(path, settings_of(2), store, stop=StopSignal())
    before = await store.names("input"), await store.get(MANIFEST)
    await asyncio.to_thread(input_of, tmp_path, 11, accounts=2)

    with pytest.raises(SettingsError, match="has a fleet already"):
        await split(path, settings_of(2), store, stop=StopSignal())

    assert (await store.names("input"), await store.get(MANIFEST)) == before


async def test_of_two_splits_at_once_both_name_the_one_that_is_stored(tmp_path: Path, store: Store) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)

    first, second = await asyncio.gather(*(split(path, settings_of(2), store, stop=StopSignal()) for _ in range(2)))

    stored = await store.get(MANIFEST)
    assert isinstance(stored, bytes)
    assert first == second == Manifest.decoded(stored)


async def test_product_of_two_accounts_on_one_platform_is_refused_with_both_lines(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "in.csv"
    await asyncio.to_thread(path.write_text, "Account,ProductKey,ModuleName\na,pk,m1\nb,pk,m2\n")
    both = {
        name: AccountSettings(endpoint="https://one", rate_group=name, key_env=f"KEY{name}".upper()) for name in "ab"
    }

    with pytest.raises(InputError, match=r"'a' in line 2 and of 'b' here") as refused:
        await split(str(path), Settings(accounts=both), store, stop=StopSignal())

    assert refused.value.line == 3
    assert await store.names("input") == ()


async def test_stop_leaves_a_store_without_a_fleet(tmp_path: Path, store: Store) -> None:
    path, stop = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2), StopSignal()
    stop.request("interrupted")

    with pytest.raises(StoppedError):
        await split(path, settings_of(2), store, stop=stop)

    assert await store.names("") == ()
