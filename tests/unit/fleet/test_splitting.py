"""Which shard gets which rows, and what a split refuses."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.accounts import accounts_of
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, SettingsError, StoppedError
from bulk.fleet import splitting
from bulk.fleet.manifest import MANIFEST, Manifest
from bulk.fleet.slices import read_slice
from bulk.fleet.splitting import MOST_ACCOUNTS, shards_of, split
from bulk.fleet.store import ABSENT
from bulk.rows import InputShape
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.fleet.manifest import Shard
    from bulk.model.inputs import ReadRows
    from tests.unit.fleet.conftest import MemoryStore


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


async def slice_of(store: MemoryStore, shard: Shard) -> ReadRows:
    data = await store.get(shard.file)
    assert isinstance(data, bytes)
    assert hashlib.sha256(data).hexdigest() == shard.sha256
    (rows,) = read_slice(data.splitlines(keepends=True), size=100_000)
    return rows


async def test_every_row_is_in_one_shard_with_its_line_and_that_of_its_account(
    tmp_path: Path, store: MemoryStore
) -> None:
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


async def test_rows_of_another_platform_are_split_by_their_products_of_the_target(
    tmp_path: Path, store: MemoryStore
) -> None:
    settings = replace(settings_of(2), product_map=await asyncio.to_thread(map_of_two, tmp_path))

    manifest = await split(str(tmp_path / "export.csv"), settings, store, stop=StopSignal(), shards=2)
    stored = [await slice_of(store, shard) for shard in manifest.shards]

    assert {name: rows.valid[0][:3] for rows in stored for name in rows.accounts} == {
        "a0": (2, "t0", "m0"),
        "a1": (3, "t1", "m1"),
    }
    assert [row[0] for rows in stored for row in rows.invalid] == [4]
    assert InputShape.from_json(manifest.shape).is_mapped


async def test_a_map_for_another_target_is_refused_before_anything_is_stored(
    tmp_path: Path, store: MemoryStore
) -> None:
    product_map = await asyncio.to_thread(map_of_two, tmp_path, target="https://another{0} (alibaba)")

    with pytest.raises(InputError, match="it is for https://another0"):
        await split(
            str(tmp_path / "export.csv"), replace(settings_of(2), product_map=product_map), store, stop=StopSignal()
        )

    assert await store.get(MANIFEST) is ABSENT
    assert await store.names("input") == ()


async def test_store_with_another_fleet_is_refused_and_stays_as_it_is(tmp_path: Path, store: MemoryStore) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)
    await split(path, settings_of(2), store, stop=StopSignal())
    before = await store.names("input"), await store.get(MANIFEST)
    await asyncio.to_thread(input_of, tmp_path, 11, accounts=2)

    with pytest.raises(SettingsError, match="has a fleet already"):
        await split(path, settings_of(2), store, stop=StopSignal())

    assert (await store.names("input"), await store.get(MANIFEST)) == before


async def test_of_two_splits_at_once_both_name_the_one_that_is_stored(tmp_path: Path, store: MemoryStore) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)

    first, second = await asyncio.gather(*(split(path, settings_of(2), store, stop=StopSignal()) for _ in range(2)))

    stored = await store.get(MANIFEST)
    assert isinstance(stored, bytes)
    assert first == second == Manifest.decoded(stored)


async def test_product_of_two_accounts_on_one_platform_is_refused_with_both_lines(
    tmp_path: Path, store: MemoryStore
) -> None:
    path = tmp_path / "in.csv"
    await asyncio.to_thread(path.write_text, "Account,ProductKey,ModuleName\na,pk,m1\nb,pk,m2\n")
    both = {
        name: AccountSettings(endpoint="https://one", rate_group=name, key_env=f"KEY{name}".upper()) for name in "ab"
    }

    with pytest.raises(InputError, match=r"'a' in line 2 and of 'b' here") as refused:
        await split(str(path), Settings(accounts=both), store, stop=StopSignal())

    assert refused.value.line == 3
    assert await store.names("input") == ()


async def test_stop_leaves_a_store_without_a_fleet(tmp_path: Path, store: MemoryStore) -> None:
    path, stop = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2), StopSignal()
    stop.request("interrupted")

    with pytest.raises(StoppedError):
        await split(path, settings_of(2), store, stop=stop)

    assert await store.names("") == ()


@pytest.mark.parametrize(
    ("accounts", "groups", "sizes"), [(300, 2, [150, 150]), (302, 2, [151, 151]), (151, 1, [151]), (400, 2, [200, 200])]
)
def test_group_that_is_too_large_for_a_process_is_one_shard_all_the_same(
    accounts: int, groups: int, sizes: list[int]
) -> None:
    parts = shards_of(accounts_of(settings_of(accounts, groups=groups)))

    assert [len(part) for part in parts] == sizes


def test_groups_that_do_not_pack_into_as_few_shards_as_accounts_would_get_one_more() -> None:
    accounts = accounts_of(settings_of(300, groups=3))  # 3 groups of 100: two of them are too many for a process

    assert [len(part) for part in shards_of(accounts)] == [100, 100, 100]


def test_settings_without_accounts_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"write \[accounts\.NAME\] in bulk\.toml"):
        shards_of(accounts_of(Settings(endpoint="https://one", rate_group="g")))


async def test_rows_of_accounts_that_are_left_out_go_to_the_first_shard(tmp_path: Path, store: MemoryStore) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 40, accounts=4)
    some = replace(settings_of(4), only_accounts=("a1", "a2"))

    manifest = await split(path, some, store, stop=StopSignal(), shards=2)

    first, second = [await slice_of(store, shard) for shard in manifest.shards]
    assert [shard.accounts for shard in manifest.shards] == [("a1",), ("a2",)]
    assert sorted({*first.accounts}) == ["a0", "a1", "a3"]
    assert {*second.accounts} == {"a2"}
    assert [*manifest.members] == ["a1", "a2"]


async def test_file_without_a_column_for_accounts_is_all_of_the_one_that_is_chosen(
    tmp_path: Path, store: MemoryStore
) -> None:
    path = tmp_path / "in.csv"
    await asyncio.to_thread(path.write_text, "ProductKey,ModuleName\npk,m1\npk,m2\n")
    one = replace(settings_of(3), only_accounts=("a2",))

    manifest = await split(str(path), one, store, stop=StopSignal())

    assert (await slice_of(store, manifest.shards[0])).accounts == ["a2", "a2"]


@pytest.mark.parametrize(
    ("operation", "prefix", "said"),
    [
        ("get", MANIFEST, "the store can't be used: the share is gone"),
        ("overwrite", "input", "the store can't be written: the share is gone"),
        ("put_if_absent", MANIFEST, "the store can't be written: the share is gone"),
    ],
)
async def test_store_that_does_not_answer_gets_no_fleet(
    operation: str, prefix: str, said: str, tmp_path: Path, store: MemoryStore
) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)
    store.be_silent(operation, prefix)

    with pytest.raises(SettingsError, match=said):
        await split(path, settings_of(2), store, stop=StopSignal())

    assert MANIFEST not in store.objects


async def test_store_with_a_manifest_of_a_later_version_is_refused(tmp_path: Path, store: MemoryStore) -> None:
    path = await asyncio.to_thread(input_of, tmp_path, 10, accounts=2)
    store.objects[MANIFEST] = b'{"of": "a later version"}'

    with pytest.raises(SettingsError, match="has a fleet already"):
        await split(path, settings_of(2), store, stop=StopSignal())

    assert [*store.objects] == [MANIFEST]


async def test_stop_during_the_reading_leaves_a_store_without_a_fleet(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stop = await asyncio.to_thread(input_of, tmp_path, 3_000, accounts=2), StopSignal()
    written = splitting._share_out
    batches = 0

    def share_out(*args: Any, **more: Any) -> None:
        nonlocal batches
        batches += 1
        written(*args, **more)
        stop.reason, stop.exit_code = "interrupted by Ctrl-C", 130

    monkeypatch.setattr(splitting, "_share_out", share_out)

    with pytest.raises(StoppedError, match=r"Ctrl-C") as stopped:
        await split(path, settings_of(2), store, stop=stop)

    assert (stopped.value.exit_code, batches) == (130, 1)
    assert store.objects == {}
