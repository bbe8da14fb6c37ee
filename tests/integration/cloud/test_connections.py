"""Connections against real servers: which are used again, which are not, and how many there are at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.wire.connections import Connections
from bulk.cloud.wire.route import find_route
from bulk.errors import NotSentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk.cloud.wire.route import Route

    Serve = Callable[..., Any]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def route(serve: Serve) -> Route:
    return await find_route((await serve(b"", b"")).endpoint, "GET")


@pytest.fixture
async def other(serve: Serve) -> Route:
    return await find_route((await serve(b"", b"")).endpoint, "GET")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def single(clock: Clock) -> AsyncIterator[Connections]:
    async with Connections(limit=1, clock=clock) as opened:
        yield opened


async def test_kept_connection_is_used_again(single: Connections, route: Route) -> None:
    first = await single.take(route, connect_s=5)
    single.keep(route, first)

    again = await single.take(route, connect_s=5)
    single.keep(route, again)

    assert again is first


async def test_connection_that_was_idle_too_long_is_not_used_again(
    single: Connections, route: Route, clock: Clock
) -> None:
    first = await single.take(route, connect_s=5)
    single.keep(route, first)
    clock.now += 16.0

    again = await single.take(route, connect_s=5)
    single.keep(route, again)

    assert again is not first
    assert first.closed


async def test_idle_connection_makes_room_for_another_endpoint(single: Connections, route: Route, other: Route) -> None:
    idle = await single.take(route, connect_s=5)
    single.keep(route, idle)

    taken = await single.take(other, connect_s=5)
    single.keep(other, taken)

    assert idle.closed
    assert not taken.closed


@pytest.mark.parametrize("end", ["keep", "cut"])
async def test_who_waits_for_another_to_end_gets_a_connection(
    single: Connections, route: Route, other: Route, end: str
) -> None:
    async def use(way: Route) -> None:
        single.keep(way, await single.take(way, connect_s=5))

    busy = await single.take(route, connect_s=5)
    waiting = [asyncio.create_task(use(way)) for way in (other, route, other)]
    await asyncio.sleep(0)

    single.keep(route, busy) if end == "keep" else single.cut(route, busy)

    await asyncio.gather(*waiting)
    assert busy.closed


async def test_who_waits_longer_than_a_connection_may_take_gets_none(single: Connections, route: Route) -> None:
    busy = await single.take(route, connect_s=5)

    with pytest.raises(NotSentError):
        await single.take(route, connect_s=0.01)

    single.keep(route, busy)
    assert await single.take(route, connect_s=5) is busy
    single.keep(route, busy)


async def test_a_loss_takes_every_idle_connection_of_its_way_and_none_of_another(route: Route, other: Route) -> None:
    async with Connections(limit=3) as connections:
        lost, idle = [await connections.take(route, connect_s=5) for _ in range(2)]
        elsewhere = await connections.take(other, connect_s=5)
        connections.keep(route, idle)
        connections.keep(other, elsewhere)

        connections.cut(route, lost)

        assert idle.closed
        assert await connections.take(other, connect_s=5) is elsewhere
        connections.keep(other, elsewhere)
