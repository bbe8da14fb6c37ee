"""A driver where the store, the engine or the screen fails; its usual decisions are in the property tests."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.fleet.driver import MOST_TRIES, drive, ended_name
from bulk.fleet.engines import Try
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import Manifest, Shard
from bulk.fleet.progress import Progress, Shards, ShardState, progress_name, read_shards

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bulk.fleet.driver import FleetLook, FleetSummary
    from tests.unit.fleet.conftest import MemoryStore

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

ROWS = 100
MANIFEST = Manifest(
    split="s",
    input="in.csv",
    shape="{}",
    rows=2 * ROWS,
    terms=Terms(),
    shards=tuple(Shard(number=number, accounts=(f"a{number}",), rows=ROWS, sha256="", file="") for number in range(2)),
)


class Workers:
    """An engine with as many workers as there are shards; they do as the test says."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.stop = StopSignal()
        self.tries: list[int] = []
        self.left: list[int] = []
        self.does: Callable[[int], Awaitable[Try]] = self.finish

    async def finish(self, shard: int, *, exit_code: int = 0) -> Try:
        self.say(shard, ShardState.ENDED, created=ROWS, exit_code=exit_code)
        return Try(exit_code=exit_code)

    def say(self, shard: int, state: ShardState, *, created: int, fence: int = 1, **more: Any) -> None:
        said = Progress(
            shard=shard,
            fence=fence,
            state=state,
            holder="",
            started_at=0.0,
            at=0.0,
            rows=ROWS,
            outcomes={"created": created},
            **more,
        )
        self.store.objects[progress_name(shard, fence)] = said.encoded()
        self.store.objects[f"lease/{shard}.{fence}"] = b"{}"

    async def slots(self) -> int:
        return 2

    async def work(self, shard: int, *, attempt: str) -> Try:
        assert attempt.startswith(f"s-{shard}-")
        self.tries.append(shard)
        try:
            return await self.does(shard)
        except asyncio.CancelledError:
            self.left.append(shard)
            raise

    async def ask_to_end(self) -> None: ...

    async def drive(self, show: Callable[[FleetLook], None] = lambda _: None) -> FleetSummary:
        ended_by = ended_name("token")
        return await drive(self.store, MANIFEST, self, url="url", stop=self.stop, ended_by=ended_by, show=show)


@pytest.fixture
def workers(store: MemoryStore) -> Workers:
    return Workers(store)


def test_engine_that_can_not_start_a_worker_is_named_in_the_store(workers: Workers, simulate: Simulate) -> None:
    async def fail(shard: int) -> Try:
        if shard:
            return await workers.finish(shard)
        raise OSError(11, "Resource temporarily unavailable")

    async def main() -> None:
        workers.does = fail

        summary = await workers.drive()

        why = summary.failed["0"]
        assert "the engine could not start it" in why
        assert "Resource temporarily unavailable" in why
        assert workers.tries.count(0) == MOST_TRIES
        found = await read_shards(workers.store)
        assert isinstance(found, Shards)
        assert found.failed[0].why == why
        assert (summary.exit_code, summary.shards) == (3, {"done": 1, "incomplete": 0, "failed": 1, "left": 0})

    simulate(main())


def test_shard_that_is_given_up_is_named_with_what_its_worker_said(workers: Workers, simulate: Simulate) -> None:
    async def stop(shard: int) -> Try:
        fence = workers.tries.count(shard)
        workers.say(shard, ShardState.STOPPED, created=0, fence=fence, exit_code=3, stopped="the key is wrong")
        return Try(exit_code=3, why="exit code 3")

    async def main() -> None:
        workers.does = stop

        assert (await workers.drive()).failed == {"0": "the key is wrong", "1": "the key is wrong"}

    simulate(main())


def test_store_that_is_silent_for_a_while_costs_no_shard_a_try(workers: Workers, simulate: Simulate) -> None:
    async def slow(shard: int) -> Try:
        workers.store.be_silent()
        await asyncio.sleep(300)
        workers.store.be_back()
        return await workers.finish(shard)

    async def main() -> None:
        workers.does = slow

        summary = await workers.drive()

        assert (sorted(workers.tries), workers.left, summary.exit_code) == ([0, 1], [], 0)

    simulate(main())


def test_store_that_stays_silent_at_the_end_leaves_what_was_last_seen(workers: Workers, simulate: Simulate) -> None:
    async def end(shard: int) -> Try:
        ended = await workers.finish(shard)
        await asyncio.sleep(1)
        return ended

    async def main() -> None:
        workers.does = end
        workers.say(0, ShardState.WORKING, created=10)
        asyncio.get_running_loop().call_later(0.5, workers.store.be_silent)

        summary = await workers.drive()

        assert (summary.exit_code, summary.shards["done"]) == (0, 2)
        assert summary.outcomes == {"created": 10, "pending": 2 * ROWS - 10}

    simulate(main())


def test_driver_that_is_cancelled_leaves_no_worker_watched(workers: Workers, simulate: Simulate) -> None:
    async def hang(_: int) -> Try:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        workers.does = hang
        driving = asyncio.create_task(workers.drive())
        await asyncio.sleep(5)
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving

        assert sorted(workers.left) == [0, 1]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    simulate(main())


def test_screen_that_fails_stops_no_worker_and_is_not_hidden(workers: Workers, simulate: Simulate) -> None:
    async def slow(shard: int) -> Try:
        await asyncio.sleep(10)
        return await workers.finish(shard)

    def show(_: FleetLook) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        workers.does = slow
        with pytest.raises(ZeroDivisionError):
            await workers.drive(show)

        assert (workers.left, sorted(workers.tries)) == ([], [0, 1])

    simulate(main())


def test_screen_is_shown_the_shards_at_work(workers: Workers, simulate: Simulate) -> None:
    looks: list[FleetLook] = []

    async def slow(shard: int) -> Try:
        workers.say(shard, ShardState.WORKING, created=shard)
        await asyncio.sleep(10 + 10 * shard)
        return await workers.finish(shard)

    async def main() -> None:
        workers.does = slow
        await workers.drive(looks.append)

        assert looks[1].working == (0, 1)
        assert looks[-1].working == (1,)
        assert looks[1].shards.progress[1].provisioned == 1
        assert [look.elapsed_s for look in looks] == sorted(look.elapsed_s for look in looks)

    simulate(main())


def test_try_that_ends_during_a_stop_is_neither_repeated_nor_the_one_too_many(
    workers: Workers, simulate: Simulate
) -> None:
    async def die_and_end_by_request(shard: int) -> Try:
        if workers.tries.count(shard) < MOST_TRIES:
            return Try(exit_code=None, why="it died")
        await asyncio.sleep(7)
        workers.stop.request("interrupted by Ctrl-C", exit_code=130)
        return Try(exit_code=143, why="terminated")

    async def main() -> None:
        workers.does = die_and_end_by_request

        summary = await workers.drive()

        assert sorted(workers.tries) == [0] * MOST_TRIES + [1] * MOST_TRIES
        assert (summary.exit_code, summary.stopped) == (130, "interrupted by Ctrl-C")
        assert (summary.shards["left"], summary.failed) == (2, {})
        assert not [name for name in workers.store.objects if name.startswith("failed")]

    simulate(main())


def test_stop_before_anything_was_started_starts_nothing(workers: Workers, simulate: Simulate) -> None:
    async def main() -> None:
        workers.stop.request("the deadline of 5 s is over; run again to go on")

        summary = await workers.drive()

        assert workers.tries == []
        assert (summary.exit_code, summary.outcomes) == (3, {"pending": 2 * ROWS})

    simulate(main())


def test_rows_that_are_not_provisioned_end_a_driver_with_1_beside_shards_that_are_done(
    workers: Workers, simulate: Simulate
) -> None:
    async def main() -> None:
        workers.does = lambda shard: workers.finish(shard, exit_code=shard)

        summary = await workers.drive()

        assert (summary.exit_code, summary.shards) == (1, {"done": 1, "incomplete": 1, "failed": 0, "left": 0})

    simulate(main())


def test_worker_that_could_not_start_is_not_taken_for_one_that_finished_with_rows_left(
    workers: Workers, simulate: Simulate
) -> None:
    async def fail_to_start(shard: int) -> Try:
        if shard or workers.tries.count(0) > 2:
            return await workers.finish(shard)
        return Try(exit_code=1, why="ImportError: Too many open files")

    async def main() -> None:
        workers.does = fail_to_start

        summary = await workers.drive()

        assert workers.tries.count(0) == 3
        assert (summary.exit_code, summary.shards["done"]) == (0, 2)

    simulate(main())


def test_worker_that_never_starts_is_given_up_with_its_last_words(workers: Workers, simulate: Simulate) -> None:
    async def fail_to_start(shard: int) -> Try:
        return Try(exit_code=1, why="ImportError: Too many open files") if shard else await workers.finish(shard)

    async def main() -> None:
        workers.does = fail_to_start

        summary = await workers.drive()

        assert (summary.exit_code, summary.failed) == (3, {"1": "ImportError: Too many open files"})

    simulate(main())
