"""A fleet on Dask: its workers, their nannies, its scheduler and the driver are killed or stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.fleet.conftest import ROWS
from tests.crash.fleet.test_run import ended, pid_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.crash.fleet.conftest import Fleet

    FleetOf = Callable[..., AbstractAsyncContextManager[Fleet]]

pytest.importorskip("distributed")

CLI = "distributed.cli.dask_{}"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, fleet: Fleet, stack: AsyncExitStack) -> None:
        self._fleet = fleet
        self._stack = stack
        self._port = free_port()

    @property
    def engine(self) -> str:
        return f"dask:tcp://127.0.0.1:{self._port}"

    async def scheduler(self) -> Process:
        return await self._start("scheduler", "--host", "127.0.0.1", "--port", str(self._port))

    async def worker(self, *flags: str) -> Process:
        address = self.engine.removeprefix("dask:")
        return await self._start("worker", address, "--nthreads", "1", "--local-directory", "dask", *flags)

    async def _start(self, kind: str, *words: str) -> Process:
        started = self._fleet.process(*words, "--no-dashboard", module=CLI.format(kind), is_group=True)
        return await self._stack.enter_async_context(started)


@asynccontextmanager
async def cluster_of(fleet: Fleet, *, workers: int = 2, nanny: bool = True) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster(fleet, stack)
        await cluster.scheduler()
        for _ in range(workers):
            await cluster.worker("--nanny" if nanny else "--no-nanny")
        yield cluster


def parent_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


async def test_shards_are_worked_on_by_the_workers_of_a_cluster(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, cluster_of(fleet) as cluster, fleet.driver(cluster.engine) as driver:
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        assert summary["outcomes"] == {"created": 2 * ROWS}
        await fleet.is_done()


@pytest.mark.torture
@pytest.mark.parametrize("victim", ["worker", "nanny"])
async def test_dask_worker_that_is_killed_is_replaced(victim: str, fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, cluster_of(fleet) as cluster, fleet.driver(cluster.engine) as driver:
        await fleet.creates(ROWS // 3, account="a0")
        pid = await pid_of(fleet, 0)
        os.kill(parent_of(pid) if victim == "nanny" else pid, signal.SIGKILL)
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_dask_worker_that_is_stopped_past_its_lease_and_goes_on_sends_nothing_more(fleet_of: FleetOf) -> None:
    async with (
        fleet_of() as fleet,
        cluster_of(fleet, nanny=False) as cluster,
        fleet.driver(cluster.engine) as driver,
    ):
        await fleet.creates(ROWS // 4)
        stopped = await pid_of(fleet, 0)
        os.kill(stopped, signal.SIGSTOP)
        await fleet.creates(ROWS // 4)
        os.kill(stopped, signal.SIGCONT)
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_dask_worker_that_stays_stopped_is_not_waited_for_at_the_end(fleet_of: FleetOf) -> None:
    async with (
        fleet_of(2, shards=2) as fleet,
        cluster_of(fleet, nanny=False) as cluster,
        fleet.driver(cluster.engine) as driver,
    ):
        await fleet.creates(ROWS // 4, account="a0")
        os.kill(await pid_of(fleet, 0), signal.SIGSTOP)
        summary = await ended(driver)

        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_scheduler_that_is_killed_is_followed_by_another_at_its_address(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, AsyncExitStack() as stack:
        cluster = Cluster(fleet, stack)
        scheduler = await cluster.scheduler()
        await cluster.worker("--nanny")
        async with fleet.driver(cluster.engine) as driver:
            await fleet.creates(ROWS // 3)
            scheduler.send_signal(signal.SIGKILL)
            await scheduler.wait()
            await cluster.scheduler()
            await cluster.worker("--nanny")
            summary = await ended(driver)

        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_driver_of_a_cluster_that_is_killed_is_followed_by_another(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, cluster_of(fleet) as cluster:
        async with fleet.driver(cluster.engine) as first:
            await fleet.creates(ROWS // 3)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        async with fleet.driver(cluster.engine) as second:
            summary = await ended(second)

        assert summary["exit_code"] == 0
        await fleet.is_done()


@pytest.mark.torture
async def test_signal_to_the_driver_of_a_cluster_ends_its_workers_in_order(fleet_of: FleetOf) -> None:
    async with fleet_of(2, shards=2) as fleet, cluster_of(fleet) as cluster:
        async with fleet.driver(cluster.engine) as first:
            await fleet.creates(ROWS // 3)
            first.send_signal(signal.SIGTERM)
            stopped = await ended(first)
        made = fleet.created()
        counted = (await fleet.shards()).progress.values()
        async with fleet.driver(cluster.engine) as second:
            summary = await ended(second)

        assert stopped["exit_code"] == 143
        assert sum(one.outcomes.get("created", 0) for one in counted) == made
        assert summary["exit_code"] == 0
        await fleet.is_done()


async def test_scheduler_that_is_out_of_reach_is_told(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet:
        async with fleet.driver("dask:tcp://192.0.2.1:8786") as driver:
            await driver.communicate()

        assert driver.returncode == 2
        assert "--insecure-dask" in await asyncio.to_thread((fleet.folder / "errors.log").read_text)
