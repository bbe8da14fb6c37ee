"""A right to send that comes and goes while lanes work, in simulated time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.wire.transport import at_once
from bulk.control.breaker import Breaker
from bulk.control.pace import Pace
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.dispatch import Dispatcher
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.gate import Gate, Turn
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Clock, RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.errors import TurnMissedError
from bulk.events import ignore
from bulk.model import Accepted, Action, Failure, Lane, Listing, OtaModule, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bulk.cloud.wire.transport import Leave
    from bulk.model import Attempt, Change, Settlement

CONNECTING_S = 0.03
LATENCY_S = 0.05
PRODUCTS = 40
ENDED_S, BACK_S = 1.0, 121.0


class Platform:
    """Every request needs a connection first, so that the right may end between its turn and its leaving."""

    def __init__(self) -> None:
        self.sent_at_s: list[float] = []

    async def list_packages(self, _product_key: str | None, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for packages here")

    async def list_products(self, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, _product_key: str, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def list_modules(self, _product_key: str, /, *, leave: Leave = at_once) -> Listing | Failure:
        await self._sent(leave)
        return Listing((), "R", 200)

    async def apply(self, _change: Change, /, *, leave: Leave = at_once) -> Accepted | Failure:
        await self._sent(leave)
        return Accepted("R", 200)

    async def _sent(self, leave: Leave) -> None:
        await asyncio.sleep(CONNECTING_S)
        if not leave():
            raise TurnMissedError("too late")
        self.sent_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LATENCY_S)


class Notebook:
    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.attempts = 0

    def settle(self, settlement: Settlement) -> None:
        self.outcomes[settlement.outcome] += 1

    def note(self, _attempt: Attempt) -> None:
        self.attempts += 1

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        pass


async def work_with(may_send: Callable[[], bool], platform: Platform, notebook: Notebook, stop: StopSignal) -> None:
    time = asyncio.get_running_loop().time
    clock = Clock(monotonic=time, wall=time)
    session = Session(
        platform=platform,
        group=RateGroup(dict.fromkeys(Action, 10.0), clock=clock, may_send=may_send),
        writer=notebook,
        breaker=Breaker(now=time()),
        counters=Counters(),
        stop=stop,
        listener=ignore,
        policy=RetryPolicy(),
        uniform=random.Random(1).uniform,
        clock=clock,
    )
    session.group.close_on(stop)

    async def lanes() -> AsyncIterator[Lane]:
        for product in range(PRODUCTS):
            yield Lane(f"p{product}", (Row(product + 1, OtaModule(f"p{product}", "m")),))

    await Dispatcher(session, concurrency=10).run(lanes(), lambda lane: work_off(lane, session))


def test_nothing_leaves_without_the_right_and_no_row_pays_for_that(in_simulated_time: Callable[..., None]) -> None:
    platform, notebook = Platform(), Notebook()

    async def main() -> None:
        time = asyncio.get_running_loop().time
        await work_with(lambda: not ENDED_S <= time() < BACK_S, platform, notebook, StopSignal())

    in_simulated_time(main())

    assert notebook.outcomes == {Outcome.CREATED: PRODUCTS}
    assert notebook.attempts == len(platform.sent_at_s) == 2 * PRODUCTS
    assert [at_s for at_s in platform.sent_at_s if ENDED_S <= at_s < BACK_S] == []
    assert min(platform.sent_at_s) < ENDED_S
    assert BACK_S <= max(platform.sent_at_s) < BACK_S + 10


def test_right_that_never_comes_back_does_not_hold_up_a_stop(in_simulated_time: Callable[..., float]) -> None:
    platform, notebook, stop = Platform(), Notebook(), StopSignal()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(30.0, stop.request, "another machine took the shard")
        await work_with(lambda: loop.time() < ENDED_S, platform, notebook, stop)
        return loop.time()

    ended_s = in_simulated_time(main())

    assert ended_s == pytest.approx(30.0, abs=0.5)
    assert max(platform.sent_at_s) < ENDED_S
    assert Outcome.FAILED not in notebook.outcomes


@pytest.mark.parametrize("per_s", [0.0, 10.0])
def test_gate_asks_at_the_send_and_not_only_when_it_lets_out(
    in_simulated_time: Callable[..., None], per_s: float
) -> None:
    async def main() -> None:
        rights = [True]
        time = asyncio.get_running_loop().time
        gate = Gate(Pace(per_s, now=time()), clock=time, may_send=lambda: rights[0])
        released_at = await gate.acquire()
        assert released_at is not None
        turn = Turn(gate, released_at)

        rights[0] = False

        assert not turn.leave()
        gate.give_back(released_at)
        rights[0] = True
        again = await gate.acquire()
        assert again is not None
        assert Turn(gate, again).leave()

    in_simulated_time(main())
