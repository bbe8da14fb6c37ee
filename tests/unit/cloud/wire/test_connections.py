"""Which connection a request gets, and which ones are closed: decided without a socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.wire.connections import Connections
from bulk.cloud.wire.route import Route
from bulk.errors import NotSentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.cloud.wire.conftest import FarEnd, Line

LINGER = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connections(far_end: FarEnd, clock: Clock) -> AsyncIterator[Connections]:
    assert far_end.lines == []
    async with Connections(limit=2, clock=clock) as opened:
        yield opened


@pytest.fixture
async def route(far_end: FarEnd) -> Route:
    assert far_end.lines == []
    return Route("http://a.example", "GET")


async def test_kept_connection_is_given_out_again(connections: Connections, route: Route, far_end: FarEnd) -> None:
    first = await connections.take(route, connect_s=5)
    connections.keep(route, first)

    assert await connections.take(route, connect_s=5) is first
    assert len(far_end.lines) == 1
    connections.keep(route, first)


@pytest.mark.parametrize(("idle_s", "lines"), [(15.0, 1), (15.1, 2)])
async def test_connection_that_was_idle_for_long_is_not_used(
    connections: Connections, route: Route, far_end: FarEnd, clock: Clock, idle_s: float, lines: int
) -> None:
    connections.keep(route, await connections.take(route, connect_s=5))
    clock.now = idle_s

    taken = await connections.take(route, connect_s=5)

    assert (len(far_end.lines), len(far_end.open)) == (lines, 1)
    connections.keep(route, taken)


async def test_connection_that_the_server_closed_meanwhile_is_not_used(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    connections.keep(route, await connections.take(route, connect_s=5))
    far_end.lines[0].lose()

    taken = await connections.take(route, connect_s=5)

    assert far_end.open == [far_end.lines[1]]
    connections.keep(route, taken)


async def test_data_that_nobody_asked_for_is_never_the_next_answer(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    def talk(line: Line) -> None:
        line.protocol.data_received(b"HTTP/1.1 200 OK\r\n\r\n")

    far_end.refusals.extend([talk] * 3)

    with pytest.raises(NotSentError) as caught:
        await connections.take(route, connect_s=5)
    assert caught.value.code == "unasked_answer"
    assert (len(far_end.lines), far_end.open) == (3, [])

    # None of those three counts any more: as many as the limit allows can be made.
    for taken in [await connections.take(route, connect_s=5) for _ in range(2)]:
        connections.keep(route, taken)


async def test_connection_that_could_not_be_made_leaves_room_for_another(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    far_end.refusals.extend([TimeoutError(), ValueError("no such host"), OSError(111, "refused")])

    codes = []
    for _ in range(3):
        with pytest.raises(NotSentError) as caught:
            await connections.take(route, connect_s=5)
        codes.append(caught.value.code)
        assert caught.value.__context__ is None, "aiohttp's error may hold anything"
    taken = [await connections.take(route, connect_s=5) for _ in range(2)]

    assert codes[:2] == ["connect_timeout", "not_connected"]
    assert len(far_end.open) == 2
    for each in taken:
        connections.keep(route, each)


async def test_each_connection_may_take_as_long_as_its_request_allows(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    for connect_s in (5.0, 5.0):
        connections.keep(route, await connections.take(route, connect_s=connect_s))
        far_end.lines[-1].lose()
    connections.keep(route, await connections.take(route, connect_s=1.0))

    assert far_end.connect_s == [5.0, 5.0, 1.0]


async def test_longest_idle_connection_of_others_makes_room_for_a_route_that_has_none(
    connections: Connections, far_end: FarEnd, clock: Clock
) -> None:
    routes = [Route(f"http://{name}.example", "GET") for name in "abc"]
    for route in routes[:2]:
        clock.now += 1.0
        connections.keep(route, await connections.take(route, connect_s=5))

    taken = await connections.take(routes[2], connect_s=5)

    assert [line.is_closing() for line in far_end.lines] == [True, False, False]
    connections.keep(routes[2], taken)


async def test_connection_is_not_kept_from_a_route_that_waits_for_it(connections: Connections, far_end: FarEnd) -> None:
    busy, other = Route("http://a.example", "GET"), Route("http://b.example", "GET")
    taken = [await connections.take(busy, connect_s=5) for _ in range(2)]
    waiting = asyncio.create_task(connections.take(other, connect_s=5))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()

    connections.keep(busy, taken[0])

    connections.keep(other, await waiting)
    connections.keep(busy, taken[1])
    assert [line.is_closing() for line in far_end.lines] == [True, False, False]


async def test_connection_that_must_not_be_used_again_is_closed_instead_of_kept(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    used, closed = [await connections.take(route, connect_s=5) for _ in range(2)]
    far_end.lines[0].protocol.force_close()
    closed.close()

    connections.keep(route, used)
    connections.keep(route, closed)

    assert far_end.open == []
    taken = [await connections.take(route, connect_s=5) for _ in range(2)]
    for each in taken:
        connections.keep(route, each)


@pytest.mark.parametrize("has_socket", [True, False])
@pytest.mark.parametrize("fails", [True, False])
async def test_cut_connection_delivers_nothing_later_and_its_routes_idle_ones_are_not_trusted(
    connections: Connections, route: Route, far_end: FarEnd, has_socket: bool, fails: bool
) -> None:
    other = Route("http://b.example", "GET")
    broken = await connections.take(route, connect_s=5)
    connections.keep(other, await connections.take(other, connect_s=5))
    line = far_end.lines[0]
    wire = line.socket
    assert wire is not None
    wire.fails = fails
    line.socket = wire if has_socket else None

    connections.cut(route, broken)

    assert line.is_aborted
    assert wire.options == ([LINGER] if has_socket else [])
    assert far_end.open == [far_end.lines[1]], "another endpoint is not affected"


async def test_cut_drops_the_idle_connections_of_its_route(
    connections: Connections, route: Route, far_end: FarEnd
) -> None:
    broken, idle = [await connections.take(route, connect_s=5) for _ in range(2)]
    connections.keep(route, idle)
    far_end.lines[0].lose(ConnectionResetError(104, "reset"))

    connections.cut(route, broken)

    assert far_end.open == []
    assert not far_end.lines[0].is_aborted, "there is nothing left to abort"


async def test_end_closes_every_connection(far_end: FarEnd, route: Route) -> None:
    async with Connections(limit=2) as connections:
        for taken in [await connections.take(route, connect_s=5) for _ in range(2)]:
            connections.keep(route, taken)

    assert far_end.open == []
