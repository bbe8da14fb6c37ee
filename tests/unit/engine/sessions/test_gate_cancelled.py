"""A place in the queue whose request was cancelled in this very turn of the loop, before it could leave the queue."""

from __future__ import annotations

import asyncio

import pytest

from bulk.control.pace import Pace
from bulk.engine.sessions.gate import Gate

OWNER = object()


async def two_waiting() -> tuple[Gate, asyncio.Future[float | None], asyncio.Future[float | None]]:
    """Return a gate that lets nobody out for an hour, and two requests of one owner in its queue."""
    gate = Gate(Pace(0.0003, now=10_000.0), clock=lambda: 10_000.0)
    first, second = (asyncio.ensure_future(gate.acquire(OWNER)) for _ in range(2))
    await asyncio.sleep(0)
    assert gate.waiting == 2
    return gate, first, second


async def test_closing_passes_over_a_place_that_was_just_cancelled() -> None:
    gate, first, second = await two_waiting()

    first.cancel()
    gate.close()

    assert await second is None
    with pytest.raises(asyncio.CancelledError):
        await first
    assert gate.waiting == 0


async def test_owner_that_goes_home_takes_a_place_along_that_was_just_cancelled() -> None:
    gate, first, second = await two_waiting()

    first.cancel()
    gate.send_home(OWNER)

    assert await second is None
    with pytest.raises(asyncio.CancelledError):
        await first
    assert gate.waiting == 0
    gate.close()
