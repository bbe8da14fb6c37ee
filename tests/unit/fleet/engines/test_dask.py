"""Shards on the workers of a cluster whose client is a twin: placed, watched, and lost in each way there is."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.fleet.engines.dask import DaskEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from bulk.fleet.engines import Try

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

DONE = json.dumps({"exit_code": 0, "stopped": None})


def now_s() -> float:
    return asyncio.get_running_loop().time()


class CancelledError(Exception):
    """As `distributed.client.FutureCancelledError` is named: no CancelledError of asyncio."""


class Future:
    """A task of the cluster."""

    def __init__(self, submitted: dict[str, Any]) -> None:
        self.submitted = submitted
        self.is_released = False
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def worker(self) -> str:
        (worker,) = self.submitted["workers"]
        return str(worker)

    def end(self, said: str | Exception | None = DONE) -> None:
        if said is None:
            self._ended.cancel()
        elif isinstance(said, Exception):
            self._ended.set_exception(said)
        else:
            self._ended.set_result(said)

    async def result(self) -> str:
        return await self._ended

    def release(self) -> None:
        self.is_released = True


class Cluster:
    """A scheduler, its workers, and what was submitted to them."""

    def __init__(self) -> None:
        self.workers: dict[str, Callable[[], float]] = {}
        """Address → when the scheduler last heard of it, by the scheduler's clock."""

        self.is_gone = False
        self.hangs = False
        self.clients: list[Client] = []
        self.futures: list[Future] = []
        self.looks = 0

    def client(self, address: str, **options: Any) -> Client:
        assert options == {"asynchronous": True, "set_as_default": False, "timeout": 5.0}
        return Client(self, address)

    def start(self, *workers: str) -> None:
        for worker in workers:
            self.workers[worker] = lambda: 1_000.0 + now_s()

    def freeze(self, worker: str) -> None:
        last = self.workers[worker]()
        self.workers[worker] = lambda: last

    async def identity(self, *, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "all of them, not the first five"
        self.looks += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.is_gone:
            raise OSError("Timed out trying to connect")
        return {"workers": {worker: {"last_seen": seen()} for worker, seen in self.workers.items()}}


class Client:
    def __init__(self, cluster: Cluster, address: str) -> None:
        self.address = address
        self.is_closed = False
        self.scheduler = SimpleNamespace(identity=cluster.identity)
        self._cluster = cluster

    def __await__(self) -> Generator[Any, None, Client]:
        return self._connected().__await__()

    async def _connected(self) -> Client:
        if self._cluster.is_gone:
            raise OSError("Timed out trying to connect")
        self._cluster.clients.append(self)
        return self

    def submit(self, task: Callable[[str], str], text: str, **options: Any) -> Future:
        future = Future({"task": task, "text": text, **options})
        self._cluster.futures.append(future)
        return future

    async def close(self) -> None:
        self.is_closed = True
        if self._cluster.is_gone:
            raise OSError("the scheduler is gone")


def task(text: str) -> str:
    raise AssertionError(f"the twin carries out nothing: {text}")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=cluster.client))
    monkeypatch.setattr("bulk.fleet.engines.dask.time", SimpleNamespace(monotonic=now_s))
    return cluster


def engine_of() -> DaskEngine:
    return DaskEngine("tls://scheduler:8786", task, ["s3://bucket/job", "--qps", "5"], ended_by="stop/token")


async def begun(engine: DaskEngine, *shards: int) -> list[asyncio.Task[Try]]:
    """Start these shards as a driver does: one for each slot."""
    assert await engine.slots() >= len(shards)
    tries = [asyncio.create_task(engine.work(shard, attempt=f"s-{shard}-0-0")) for shard in shards]
    await asyncio.sleep(0)
    return tries


def test_each_shard_is_one_task_that_is_pinned_to_one_worker(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("tls://a", "tls://b")
        tries = await begun(engine, 0, 1)

        assert await engine.slots() == 0
        assert {future.worker for future in cluster.futures} == {"tls://a", "tls://b"}
        submitted = cluster.futures[1].submitted
        assert (submitted["key"], submitted["retries"], submitted["pure"]) == ("bulk-s-1-0-0", 0, False)
        assert submitted["task"] is task
        assert json.loads(submitted["text"]) == {
            "words": ["s3://bucket/job", "--qps", "5", "--shard", "1"],
            "ended_by": "stop/token",
        }
        for future in cluster.futures:
            future.end()
        ends = [await one for one in tries]

        assert [(end.exit_code, end.why, end.counts) for end in ends] == [(0, "", True)] * 2
        assert await engine.slots() == 2
        assert all(future.is_released for future in cluster.futures)

    simulate(main())


def test_what_a_worker_says_is_how_its_try_ended(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        cluster.start("a")
        (one,) = await begun(engine_of(), 0)
        cluster.futures[0].end(json.dumps({"exit_code": 3, "stopped": "the key is wrong"}))

        end = await one

        assert (end.exit_code, end.why, end.counts) == (3, "the key is wrong", True)

    simulate(main())


@pytest.mark.parametrize(
    ("said", "why", "counts"),
    [
        (MemoryError("no room"), "MemoryError: no room", True),
        (CancelledError("lost dependencies"), "CancelledError: lost dependencies", False),
        (None, "Dask cancelled its task", False),
    ],
)
def test_task_that_fails_counts_and_one_that_dask_took_back_does_not(
    said: Exception | None, why: str, counts: bool, cluster: Cluster, simulate: Simulate
) -> None:
    async def main() -> None:
        cluster.start("a")
        (one,) = await begun(engine_of(), 0)
        cluster.futures[0].end(said)

        end = await one

        assert (end.exit_code, end.why, end.counts) == (None, why, counts)

    simulate(main())


def test_shard_without_a_free_worker_is_no_try_of_it(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        before = await engine.work(0, attempt="s-0-0-0")
        cluster.start("a")
        (one,) = await begun(engine, 0)
        beside = await engine.work(1, attempt="s-1-0-0")
        cluster.futures[0].end()
        await one

        for end in (before, beside):
            assert (end.exit_code, end.why, end.counts) == (None, "no worker of Dask is free", False)
        assert len(cluster.futures) == 1

    simulate(main())


def test_worker_that_leaves_the_scheduler_has_lost_its_try(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a", "b")
        (one,) = await begun(engine, 0)
        await asyncio.sleep(10)
        del cluster.workers[cluster.futures[0].worker]

        end = await one

        assert (end.exit_code, end.why, end.counts) == (None, f"Dask lost its worker {cluster.futures[0].worker}", True)
        assert now_s() == pytest.approx(10, abs=1.1)
        assert cluster.futures[0].is_released
        assert await engine.slots() == 1

    simulate(main())


def test_worker_that_reports_no_more_has_lost_its_try_and_gets_none_until_it_reports(
    cluster: Cluster, simulate: Simulate
) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a")
        (one,) = await begun(engine, 0)
        await asyncio.sleep(10)
        cluster.freeze("a")

        end = await one
        silent = await engine.slots()
        cluster.start("a")
        await asyncio.sleep(1)

        assert end.why == "Dask lost its worker a"
        assert now_s() == pytest.approx(26, abs=1.5)
        assert (silent, await engine.slots()) == (0, 1)

    simulate(main())


def test_worker_whose_try_the_driver_gave_up_gets_none_until_it_reports(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a")
        (one,) = await begun(engine, 0)
        one.cancel()
        with suppress(asyncio.CancelledError):
            await one
        at_once = await engine.slots()
        await asyncio.sleep(1)

        assert (at_once, await engine.slots()) == (0, 1)
        assert cluster.futures[0].is_released

    simulate(main())


def test_scheduler_that_is_gone_ends_tries_that_do_not_count_and_is_connected_to_again(
    cluster: Cluster, simulate: Simulate
) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a")
        (one,) = await begun(engine, 0)
        cluster.is_gone = True

        end = await one
        gone = await engine.slots()
        cluster.is_gone = False
        await asyncio.sleep(1)
        back = await engine.slots()
        (again,) = await begun(engine, 0)
        cluster.futures[1].end()

        assert (end.exit_code, end.why, end.counts) == (None, "Dask's scheduler is gone", False)
        assert (gone, back, (await again).exit_code) == (0, 1, 0)
        assert [client.address for client in cluster.clients] == ["tls://scheduler:8786"] * 2
        assert cluster.clients[0].is_closed

    simulate(main())


def test_scheduler_that_does_not_answer_is_waited_for_no_longer_than_a_few_seconds(
    cluster: Cluster, simulate: Simulate
) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a")
        cluster.hangs = True

        assert await engine.slots() == 0
        assert now_s() == pytest.approx(5)
        assert cluster.clients[0].is_closed

    simulate(main())


def test_cluster_is_looked_at_twice_a_second_however_many_ask(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        cluster.start("a", "b", "c")
        tries = await begun(engine, 0, 1, 2)
        for _ in range(100):
            await engine.slots()
            await asyncio.sleep(0.1)
        for one in tries:
            one.cancel()
        await asyncio.wait(tries)

        assert 15 <= cluster.looks <= 22

    simulate(main())


def test_engine_disconnects_once_and_workers_are_asked_by_the_store(cluster: Cluster, simulate: Simulate) -> None:
    async def main() -> None:
        engine = engine_of()
        await engine.close()
        await engine.slots()
        await engine.ask_to_end()
        still_open = not cluster.clients[0].is_closed
        cluster.is_gone = True
        await engine.close()
        await engine.close()

        assert still_open
        assert cluster.clients[0].is_closed
        assert len(cluster.clients) == 1

    simulate(main())
