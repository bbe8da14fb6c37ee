from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulk.engine.sessions.lull import Lull
from bulk.engine.stop import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_S = 3600.0


def lull_of(probe_s: Callable[[int], float], stop: StopSignal | None = None) -> Lull:
    lull = Lull(probe_s=probe_s, stop=stop or StopSignal())
    lull.begin()
    return lull


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_at_a_time_finds_out_and_each_probe_has_its_number() -> None:
    numbers: list[int] = []

    def probe_s(number: int) -> float:
        numbers.append(number)
        return 0.0

    lull = lull_of(probe_s)
    first = asyncio.create_task(lull.wait())
    second = asyncio.create_task(lull.wait())

    assert await first
    await turns()
    assert not second.done()
    lull.probed()
    assert await second
    assert numbers == [1, 2]


async def test_an_answer_lets_everybody_go_at_once() -> None:
    lull = lull_of(lambda _: NEVER_S)
    waiting = [asyncio.create_task(lull.wait()) for _ in range(3)]
    await turns()

    lull.end()

    assert await asyncio.gather(*waiting) == [False] * 3
    assert not lull.is_on


async def test_a_stop_lets_everybody_go_and_nothing_is_held_back_afterwards() -> None:
    stop = StopSignal()
    lull = lull_of(lambda _: NEVER_S, stop)
    waiting = asyncio.create_task(lull.wait())
    await turns()

    stop.request("enough", exit_code=130)
    lull.begin()

    assert not await waiting
    assert not lull.is_on


async def test_who_is_cancelled_leaves_its_turn_to_the_next() -> None:
    lull = lull_of(lambda number: NEVER_S if number == 1 else 0.0)
    first = asyncio.create_task(lull.wait())
    second = asyncio.create_task(lull.wait())
    await turns()

    first.cancel()

    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second


async def test_the_next_outage_begins_with_short_distances_again() -> None:
    numbers: list[int] = []

    def probe_s(number: int) -> float:
        numbers.append(number)
        return 0.0

    lull = lull_of(probe_s)
    for _ in range(2):
        await lull.wait()
        lull.probed()
    lull.end()
    lull.begin()
    await lull.wait()

    assert numbers == [1, 2, 1]
