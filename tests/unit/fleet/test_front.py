"""The functions for programs: each opens the store that its URL names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulk import fleet
from bulk.errors import SettingsError
from bulk.fleet.engines import Try
from bulk.fleet.progress import Progress, ShardState, progress_name
from bulk.fleet.store_url import open_store
from tests.unit.fleet.conftest import ROWS, SETTINGS, Fleet

if TYPE_CHECKING:
    from pathlib import Path


class Workers:
    def __init__(self, url: str) -> None:
        self.url = url

    async def slots(self) -> int:
        return 1

    async def work(self, shard: int, *, attempt: str) -> Try:
        assert attempt
        said = Progress(shard=shard, fence=1, state=ShardState.ENDED, holder="", started_at=0, at=0, exit_code=0)
        await open_store(self.url).overwrite(progress_name(shard, 1), said.encoded())
        return Try(exit_code=0)

    async def ask_to_end(self) -> None: ...


async def test_fleet_is_split_driven_looked_at_and_merged_by_url(tmp_path: Path) -> None:
    await Fleet(tmp_path).split()
    url = str(tmp_path / "other" / "store")
    looks: list[fleet.FleetLook] = []

    manifest = await fleet.split(str(tmp_path / "in.csv"), SETTINGS, url, shards=2)
    driven = await fleet.run(url, Workers(url), show=looks.append)
    status = await fleet.status(url)
    merged = await fleet.merge(url, str(tmp_path / "merged.db"))

    assert [shard.number for shard in manifest.shards] == [0, 1]
    assert (driven.store, driven.exit_code, driven.shards["done"]) == (url, 0, 2)
    assert looks[0].manifest == manifest
    assert [shard.standing for shard in status.shards] == [fleet.Standing.DONE] * 2
    assert (merged.rows, merged.outcomes["pending"]) == (ROWS, ROWS)
    assert await asyncio.to_thread((tmp_path / "merged.db").exists)


async def test_store_that_is_not_there_is_never_made_by_who_does_not_split(tmp_path: Path) -> None:
    url = str(tmp_path / "not" / "mounted")

    for looking in (fleet.run(url, Workers(url)), fleet.status(url), fleet.merge(url, tmp_path / "merged.db")):
        with pytest.raises(SettingsError, match="mounted"):
            await looking

    assert not await asyncio.to_thread((tmp_path / "not").exists)


def test_names_of_the_package_are_its_own_and_found_when_they_are_used() -> None:
    assert set(dir(fleet)) == set(fleet.__all__)
    assert all(getattr(fleet, name) is not None for name in fleet.__all__)
    with pytest.raises(AttributeError, match=r"'bulk\.fleet' has no attribute 'merger'"):
        _ = fleet.merger
