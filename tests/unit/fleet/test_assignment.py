"""What a worker takes from the manifest and from its machine, and the rows that it fetches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.accounts import accounts_of
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError, StoppedError
from bulk.fleet.assignment import assignment_of, fetch_slice, wait_for_manifest
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import MANIFEST as MANIFEST_NAME
from bulk.fleet.manifest import Manifest, Shard
from bulk.fleet.splitting import member_of
from bulk.settings import Settings
from bulk.settings.account import AccountSettings
from tests.unit.fleet.conftest import SETTINGS as FLEET_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from tests.unit.fleet.conftest import Fleet, MemoryStore

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

ACCOUNT = AccountSettings(endpoint="https://one", key_env="ONE", rate_group="g", qps=5)
SETTINGS = Settings(accounts={"a": ACCOUNT})
MANIFEST = Manifest(
    split="s",
    input="in.csv",
    shape="{}",
    rows=1,
    terms=Terms(),
    shards=(Shard(number=0, accounts=("a",), rows=1, sha256="", file=""),),
    members={account.name: member_of(account) for account in accounts_of(SETTINGS)},
)


def settings(**more: Any) -> Settings:
    return Settings(
        accounts={"a": replace(ACCOUNT, **more), "other": AccountSettings(endpoint="https://o", key_env="O")}
    )


def test_shard_is_worked_on_with_its_own_accounts_alone() -> None:
    task = assignment_of(MANIFEST, 0, settings())

    assert [*task.settings.accounts] == ["a"]


def test_lower_rate_than_the_fleet_was_split_with_is_fine() -> None:
    assert assignment_of(MANIFEST, 0, settings(qps=1)).settings.accounts["a"].qps == 1


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"endpoint": "https://two"}, r"is for https://two .*, and was for https://one"),
        ({"instance_id": "iot-1"}, "is for https://one"),
        ({"rate_group": "h"}, "has rate group 'h' here, and had 'g'"),
        ({"qps": 10}, "more requests a second here"),
        ({"qps": 0}, "more requests a second here"),
        ({"list_qps": 0}, "more requests a second here"),
    ],
)
def test_account_that_is_another_than_when_the_fleet_was_split_is_refused(other: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        assignment_of(MANIFEST, 0, settings(**other))


def test_worker_waits_for_a_store_that_is_silent_at_first(fleet: Fleet, store: MemoryStore, simulate: Simulate) -> None:
    store.be_silent("get", MANIFEST_NAME, times=30)

    async def main() -> None:
        assert await wait_for_manifest(store, "url", StopSignal()) == fleet.manifest
        assert asyncio.get_running_loop().time() == pytest.approx(30)

    simulate(main())


def test_stop_ends_the_wait_for_a_silent_store(store: MemoryStore, simulate: Simulate) -> None:
    store.be_silent()

    async def main() -> None:
        stop = StopSignal()
        asyncio.get_running_loop().call_later(5, lambda: stop.request("interrupted by Ctrl-C", exit_code=130))

        with pytest.raises(StoppedError, match=r"Ctrl-C") as stopped:
            await wait_for_manifest(store, "url", stop)

        assert stopped.value.exit_code == 130
        assert asyncio.get_running_loop().time() == pytest.approx(5)

    simulate(main())


async def test_worker_without_a_fleet_does_not_wait_for_one(store: MemoryStore) -> None:
    with pytest.raises(SettingsError, match="no fleet is in the store"):
        await wait_for_manifest(store, "url", StopSignal())


def test_number_that_no_shard_has_is_refused_with_the_numbers_there_are(fleet: Fleet) -> None:
    with pytest.raises(SettingsError, match="--shard 2: there are shards 0 to 1"):
        assignment_of(fleet.manifest, 2, FLEET_SETTINGS)


@pytest.mark.parametrize(("kept", "said"), [(1, r"accounts\.a2\], which"), (0, r"accounts\.a0\] and 1 more, which")])
def test_machine_without_an_account_of_its_shard_is_told_which_table_it_lacks(
    kept: int, said: str, fleet: Fleet
) -> None:
    names = fleet.manifest.shards[0].accounts[:kept]
    settings = replace(FLEET_SETTINGS, accounts={name: FLEET_SETTINGS.accounts[name] for name in names})

    with pytest.raises(SettingsError, match=said):
        assignment_of(fleet.manifest, 0, settings)


def test_account_of_a_manifest_without_members_is_taken_as_it_is_here(fleet: Fleet) -> None:
    task = assignment_of(replace(fleet.manifest, members={}), 0, FLEET_SETTINGS)

    assert tuple(task.settings.accounts) == fleet.manifest.shards[0].accounts


def test_request_takes_no_longer_than_the_next_holder_waits_for_it(fleet: Fleet) -> None:
    patient = replace(FLEET_SETTINGS, timeout_s=300.0)

    task = assignment_of(fleet.manifest, 0, patient)

    assert task.settings.timeout_s == fleet.manifest.terms.request_timeout_s < 300


async def test_slice_is_fetched_once_and_again_only_when_it_is_another(
    fleet: Fleet, store: MemoryStore, tmp_path: Path
) -> None:
    shard, path, stop = fleet.manifest.shards[0], tmp_path / "slice", StopSignal()

    await fetch_slice(store, shard, path, stop)
    await fetch_slice(store, shard, path, stop)
    fetched = store.asked.count(("save", shard.file))
    await asyncio.to_thread(path.write_bytes, b"of another split")
    await fetch_slice(store, shard, path, stop)

    assert fetched == 1
    assert path.read_bytes() == store.objects[shard.file]


@pytest.mark.parametrize("stored", [None, b"[]\n"])
async def test_slice_that_is_lost_or_changed_is_refused(
    stored: bytes | None, fleet: Fleet, store: MemoryStore, tmp_path: Path
) -> None:
    shard = fleet.manifest.shards[0]
    if stored is None:
        del store.objects[shard.file]
    else:
        store.objects[shard.file] = stored

    with pytest.raises(SettingsError, match=f"the store's {shard.file} is not what the manifest says"):
        await fetch_slice(store, shard, tmp_path / "slice", StopSignal())
