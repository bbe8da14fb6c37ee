"""Results in the order of their items, one error instead of a group, and stops that end work that only reads."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from bulk.engine.looking.order import in_order, side_by_side, until_stopped
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError, StoppedError


class Works:
    """Works that end when the test says so."""

    def __init__(self, count: int) -> None:
        self.gates = [asyncio.Event() for _ in range(count)]
        self.started: list[int] = []
        self.cancelled: list[int] = []

    async def __call__(self, item: int) -> int:
        self.started.append(item)
        try:
            await self.gates[item].wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        return item * 10


async def test_results_come_in_the_order_of_the_items_whatever_ends_first() -> None:
    works = Works(4)
    for gate in reversed(works.gates):
        gate.set()

    assert [result async for result in in_order(range(4), works, ahead=2)] == [0, 10, 20, 30]
    assert [result async for result in in_order([], works, ahead=2)] == []


async def test_only_so_many_works_are_started_ahead() -> None:
    works = Works(5)
    works.gates[0].set()

    async with aclosing(in_order(range(5), works, ahead=2)) as results:
        assert await anext(results) == 0
        assert works.started == [0, 1]


async def test_works_that_nobody_waits_for_any_more_are_cancelled() -> None:
    works = Works(3)
    works.gates[0].set()

    async with aclosing(in_order(range(3), works, ahead=3)) as results:
        await anext(results)

    assert works.cancelled == [1, 2]


async def test_error_of_one_work_ends_the_others_and_is_raised_as_it_is() -> None:
    works = Works(1)

    async def fail() -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(works(0))
            await asyncio.sleep(0)
            raise SettingsError("no keys")

    with pytest.raises(SettingsError, match="no keys"):
        await side_by_side([works(0), fail()])

    assert works.cancelled == [0, 0]


async def test_results_of_all_works_are_returned_in_their_order() -> None:
    works = Works(2)
    works.gates[0].set()
    works.gates[1].set()

    assert await side_by_side([works(1), works(0)]) == [10, 0]


async def test_stop_ends_the_work_at_once_and_says_what_it_means() -> None:
    works, stop = Works(1), StopSignal()
    asyncio.get_running_loop().call_soon(lambda: stop.request("Ctrl-C", exit_code=130))

    with pytest.raises(StoppedError, match="Ctrl-C; nothing was written") as raised:
        await until_stopped(works(0), stop, consequence="nothing was written")

    assert raised.value.exit_code == 130


async def test_work_that_obeys_the_stop_itself_is_told_of_in_the_same_words() -> None:
    stop = StopSignal()

    async def obey() -> None:
        stop.request("the deadline is over")
        raise StoppedError("stopped", exit_code=3)

    with pytest.raises(StoppedError, match="the deadline is over; nothing was written"):
        await until_stopped(obey(), stop, consequence="nothing was written")


async def test_cancellation_from_outside_is_no_stop() -> None:
    works, stop = Works(1), StopSignal()
    waiting = asyncio.ensure_future(until_stopped(works(0), stop, consequence="nothing was written"))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not stop.requested


async def test_cancellation_from_outside_wins_over_a_stop_of_the_same_moment() -> None:
    works, stop = Works(1), StopSignal()
    waiting = asyncio.ensure_future(until_stopped(works(0), stop, consequence="nothing was written"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stop.request("Ctrl-C")
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_error_of_the_work_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise SettingsError("no keys")

    with pytest.raises(SettingsError, match="no keys"):
        await until_stopped(fail(), StopSignal(), consequence="nothing was written")
