"""A driver in simulated time: which shards it tries, how often, and what it makes of workers that bring nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bulk.engine.stop import StopSignal
from bulk.fleet.driver import MOST_TRIES, drive, ended_name
from bulk.fleet.engines import Try
from bulk.fleet.lease import Host, Note, State, Terms
from bulk.fleet.manifest import Manifest, Shard
from bulk.fleet.progress import Progress, Shards, ShardState, progress_name, read_shards
from bulk.fleet.store import ABSENT, Absent, Outage, Put

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from bulk.fleet.driver import FleetSummary

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

ROWS = 100
DONE = Try(exit_code=0)
DIED = Try(exit_code=None, why="it died")
ENDED_BY = ended_name("token")


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        return self.objects.get(name, ABSENT)

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        raise AssertionError(f"nobody asks for {name} as the file {path}")

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        raise AssertionError(f"a driver takes nothing: {name}, {data!r}")

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        assert isinstance(data, bytes)
        self.objects[name] = data
        return Put.STORED

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        return tuple(sorted(name for name in self.objects if name.startswith(f"{prefix}/")))

    async def discard(self, name: str) -> None:
        raise AssertionError(f"{name} is kept")


class Fleet:
    """A store, and an engine whose workers do as the test says."""

    def __init__(self, shards: int = 1, *, slots: int = 2) -> None:
        self.store = Store()
        self.stop = StopSignal()
        self.tries: dict[int, list[str]] = {number: [] for number in range(shards)}
        self.left: list[int] = []
        self.free = slots
        self.was_asked_to_end = False
        self.worker: Callable[[int], Awaitable[Try]] = self.go_through
        self.manifest = Manifest(
            split="s",
            input="in.csv",
            shape="{}",
            rows=shards * ROWS,
            terms=Terms(),
            shards=tuple(
                Shard(number=number, accounts=(f"a{number}",), rows=ROWS, sha256="", file="")
                for number in range(shards)
            ),
        )

    async def go_through(self, shard: int) -> Try:
        """Do as a worker does; a test puts another one in its place."""
        self.tell(shard, ROWS, state=ShardState.ENDED, exit_code=0)
        return DONE

    def tell(self, shard: int, created: int, **more: Any) -> None:
        """Write progress, and the lease that goes with it."""
        fence = len(self.tries[shard])
        said = Progress(
            shard=shard,
            fence=fence,
            state=ShardState.WORKING,
            holder="",
            started_at=0.0,
            at=0.0,
            rows=ROWS,
            outcomes={"created": created},
        )
        self.store.objects[progress_name(shard, fence)] = replace(said, **more).encoded()
        self.renew(shard)

    def renew(self, shard: int) -> None:
        note = Note(holder="h", count=int(now_s() * 10), state=State.SENDING, host=Host())
        self.store.objects[f"lease/{shard}.{len(self.tries[shard])}"] = note.encoded()

    async def slots(self) -> int:
        return self.free

    async def work(self, shard: int, *, attempt: str) -> Try:
        self.tries[shard].append(attempt)
        self.free -= 1
        try:
            return await self.worker(shard)
        except asyncio.CancelledError:
            self.left.append(shard)
            raise
        finally:
            self.free += 1

    async def ask_to_end(self) -> None:
        self.was_asked_to_end = True

    async def drive(self) -> FleetSummary:
        return await drive(self.store, self.manifest, self, url="store", stop=self.stop, ended_by=ENDED_BY)

    async def shards(self) -> Shards:
        found = await read_shards(self.store)
        assert isinstance(found, Shards)
        return found


def now_s() -> float:
    return asyncio.get_running_loop().time()


def dying(fleet: Fleet, *, gain: int = 0) -> Callable[[int], Awaitable[Try]]:
    """Return a worker of shard 0 that dies after a second, having brought so many rows more; others go through."""
    well = fleet.worker

    async def work(shard: int) -> Try:
        if shard or (gain and len(fleet.tries[0]) * gain >= ROWS):
            return await well(shard)
        await asyncio.sleep(1)
        fleet.tell(0, len(fleet.tries[0]) * gain)
        return DIED

    return work


def test_each_shard_is_tried_once_where_all_goes_well(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(5)

        summary = await fleet.drive()

        assert [len(tries) for tries in fleet.tries.values()] == [1] * 5
        assert (summary.exit_code, summary.outcomes) == (0, {"created": 5 * ROWS})

    simulate(main())


def test_shard_that_brings_nothing_is_named_after_five_tries_and_the_others_go_on(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(3, slots=1)
        fleet.worker = dying(fleet)

        summary = await fleet.drive()

        assert [len(tries) for tries in fleet.tries.values()] == [MOST_TRIES, 1, 1]
        assert len(set(fleet.tries[0])) == MOST_TRIES
        assert (summary.exit_code, summary.failed) == (3, {"0": "it died"})
        assert summary.outcomes == {"created": 2 * ROWS, "pending": ROWS}
        assert (await fleet.shards()).failed[0].tries == MOST_TRIES

    simulate(main())


def test_shard_that_gets_on_between_two_deaths_is_never_given_up(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet()
        fleet.worker = dying(fleet, gain=10)

        summary = await fleet.drive()

        assert len(fleet.tries[0]) == 10
        assert summary.exit_code == 0

    simulate(main())


def test_failure_of_the_engine_says_nothing_of_a_shard(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet()
        well = fleet.worker

        async def work(shard: int) -> Try:
            few = len(fleet.tries[shard]) <= 2 * MOST_TRIES
            return Try(exit_code=None, why="gone", counts=False) if few else await well(shard)

        fleet.worker = work

        assert (await fleet.drive()).exit_code == 0

    simulate(main())


def test_engine_without_workers_ends_the_driver_after_a_minute(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(slots=0)

        summary = await fleet.drive()

        assert now_s() == pytest.approx(60, abs=1)
        assert summary.exit_code == 3
        assert "no worker" in str(summary.stopped)

    simulate(main())


def test_worker_whose_lease_is_still_is_left_and_its_shard_goes_to_another(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet()
        well = fleet.worker

        async def work(shard: int) -> Try:
            fleet.tell(shard, 10)
            if len(fleet.tries[shard]) == 1:
                await asyncio.Event().wait()
            return await well(shard)

        fleet.worker = work

        summary = await fleet.drive()

        assert fleet.left == [0]
        assert fleet.manifest.terms.still_s < now_s() < 2 * fleet.manifest.terms.still_s
        assert summary.exit_code == 0

    simulate(main())


def test_worker_that_renews_its_lease_or_waits_for_one_is_let_be(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(2)
        well = fleet.worker

        async def work(shard: int) -> Try:
            for _ in range(100):
                await asyncio.sleep(10)
                if shard:
                    fleet.renew(shard)
            return await well(shard)

        fleet.worker = work

        await fleet.drive()

        assert [len(tries) for tries in fleet.tries.values()] == [1, 1]

    simulate(main())


@pytest.mark.parametrize(("exit_code", "word"), [(0, "done"), (1, "incomplete")])
def test_worker_that_never_ends_after_its_last_word_is_waited_for_no_longer(
    exit_code: int, word: str, simulate: Simulate
) -> None:
    async def main() -> None:
        fleet = Fleet(2)

        async def work(shard: int) -> Try:
            fleet.tell(shard, ROWS, state=ShardState.ENDED, exit_code=exit_code)
            await asyncio.Event().wait()
            return DONE

        fleet.worker = work

        summary = await fleet.drive()

        assert now_s() < 2 * fleet.manifest.terms.renew_every_s
        assert [len(tries) for tries in fleet.tries.values()] == [1, 1]
        assert (summary.exit_code, summary.shards[word]) == (exit_code, 2)

    simulate(main())


def test_worker_that_says_its_last_word_ends_in_order(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet()
        well = fleet.worker

        async def work(shard: int) -> Try:
            end = await well(shard)
            await asyncio.sleep(1)
            return end

        fleet.worker = work

        await fleet.drive()

        assert not fleet.left

    simulate(main())


def test_shard_that_a_lost_worker_finished_waits_for_no_other_worker(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(slots=1)

        async def work(shard: int) -> Try:
            fleet.tell(shard, 10)
            fleet.free -= 1
            asyncio.get_running_loop().call_later(
                20, lambda: fleet.tell(shard, ROWS, state=ShardState.ENDED, exit_code=0)
            )
            return DIED

        fleet.worker = work

        summary = await fleet.drive()

        assert now_s() < 30
        assert len(fleet.tries[0]) == 1
        assert (summary.exit_code, summary.stopped) == (0, None)

    simulate(main())


def test_driver_after_another_tries_only_what_is_left(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet(3)
        fleet.tell(0, ROWS, state=ShardState.ENDED, exit_code=0)
        fleet.tell(1, 10, state=ShardState.ENDED, exit_code=1)
        fleet.tell(2, 10)

        await fleet.drive()

        assert [len(tries) for tries in fleet.tries.values()] == [0, 1, 1]

    simulate(main())


def test_stop_reaches_workers_by_the_store_and_waits_for_them_no_longer_than_it_says(simulate: Simulate) -> None:
    async def main() -> None:
        fleet = Fleet()

        async def work(_: int) -> Try:
            await asyncio.Event().wait()
            return DONE

        fleet.worker = work
        asyncio.get_running_loop().call_later(5, lambda: fleet.stop.request("Ctrl-C", exit_code=130))

        summary = await fleet.drive()

        assert fleet.was_asked_to_end
        assert ENDED_BY in fleet.store.objects
        assert (summary.exit_code, summary.stopped) == (130, "Ctrl-C")
        assert now_s() == pytest.approx(20, abs=1)

    simulate(main())
