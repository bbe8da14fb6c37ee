"""Drivers: workers, engines and the driver itself are killed, and the next one reads the store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.fleet.conftest import ROWS

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.crash.fleet.conftest import Fleet

    FleetOf = Callable[..., AbstractAsyncContextManager[Fleet]]

LOCAL = "local:2"


async def ended(driver: Process) -> dict[str, Any]:
    async with asyncio.timeout(90):
        stdout, _ = await driver.communicate()
    summary: dict[str, Any] = json.loads(stdout)
    assert summary["exit_code"] == driver.returncode
    return summary


async def pid_of(fleet: Fleet, shard: int) -> int:
    """Return the process that has a shard now."""
    progress = (await fleet.shards()).progress[shard]
    return int((await fleet.lease(shard, progress.fence)).where.split()[1])


async def test_local_worker_that_is_killed_is_started_again(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, fleet.driver(LOCAL) as driver:
        await fleet.creates(ROWS // 3, account="a0")
        os.kill(await pid_of(fleet, 0), signal.SIGKILL)
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        assert summary["outcomes"] == {"created": 2 * ROWS}
        assert summary["shards"] == {"done": 2, "incomplete": 0, "failed": 0, "left": 0}
        await fleet.is_done()


async def test_local_worker_that_is_stopped_is_replaced_once_its_lease_is_over(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet, fleet.driver(LOCAL) as driver:
        await fleet.creates(ROWS // 3)
        stopped = await pid_of(fleet, 0)
        os.kill(stopped, signal.SIGSTOP)
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        with pytest.raises(ProcessLookupError):
            os.kill(stopped, 0)
        await fleet.is_done()


async def test_driver_that_is_killed_is_followed_by_one_that_reads_the_store(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet:
        async with fleet.driver("local:1") as first:
            await fleet.creates(ROWS + ROWS // 3)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        async with fleet.driver("local:1") as second:
            summary = await ended(second)

        assert summary["exit_code"] == 0
        assert summary["outcomes"] == {"created": 2 * ROWS}
        await fleet.is_done()


@pytest.mark.parametrize(
    ("number", "exit_code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.torture), (signal.SIGTERM, 143)]
)
async def test_signal_to_a_driver_ends_its_workers_in_order(
    number: signal.Signals, exit_code: int, fleet_of: FleetOf
) -> None:
    async with fleet_of(2, shards=2) as fleet:
        async with fleet.driver(LOCAL) as first:
            await fleet.creates(ROWS // 3, account="a0")
            first.send_signal(number)
            stopped = await ended(first)
        made = fleet.created()
        counted = (await fleet.shards()).progress.values()
        async with fleet.driver(LOCAL) as second:
            summary = await ended(second)

        assert stopped["exit_code"] == exit_code
        assert sum(one.outcomes.get("created", 0) for one in counted) == made
        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_shard_that_fails_five_times_is_named_and_the_others_go_on(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet:
        settings = fleet.folder / "bulk.toml"
        settings.write_text(settings.read_text().replace('key_env = "A1"', 'key_env = "NOBODY"'))
        async with fleet.driver(LOCAL) as driver:
            summary = await ended(driver)
        given_up = (await fleet.shards()).failed

        assert summary["exit_code"] == 3
        assert summary["outcomes"] == {"created": ROWS, "pending": ROWS}
        assert list(summary["failed"]) == ["1"]
        assert "NOBODY" in summary["failed"]["1"]
        assert given_up[1].tries == 5

        settings.write_text(settings.read_text().replace('key_env = "NOBODY"', 'key_env = "A1"'))
        async with fleet.driver(LOCAL) as driver:
            assert (await ended(driver))["exit_code"] == 0
        assert not (await fleet.shards()).failed
        await fleet.is_done()
