"""Requests that are not ready when their turn comes, in simulated time: they leave, and never past the rate."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulk.control.pace import Pace
from bulk.engine.sessions.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Traffic:
    """Requests of some senders, each sending one after the other."""

    per_s: float
    ready_after_s: tuple[float, float]
    dice: random.Random
    left: list[float] = field(default_factory=list)
    missed: int = 0

    async def send(self, gate: Gate, count: int) -> None:
        clock = asyncio.get_running_loop().time
        while count:
            released_at = await gate.acquire()
            assert released_at is not None
            await asyncio.sleep(self.dice.uniform(*self.ready_after_s))
            if gate.leave(released_at):
                self.left.append(clock())
                count -= 1
            else:
                gate.give_back(released_at)
                self.missed += 1

    async def run(self, *, senders: int, each: int) -> float:
        clock = asyncio.get_running_loop().time
        gate = Gate(Pace(self.per_s, now=clock()), clock=clock)
        await asyncio.gather(*(self.send(gate, each) for _ in range(senders)))
        return clock()

    def most_in(self, window_s: float) -> int:
        return max(sum(at <= other < at + window_s for other in self.left) for at in self.left)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    per_s=st.sampled_from([0.05, 0.3, 1.0, 2.5, 10.0, 50.0]),
    shortest_s=st.floats(0.0, 5.0),
    spread_s=st.sampled_from([0.0, 0.01, 0.3, 3.0]),
    senders=st.sampled_from([1, 2, 5, 40]),
    seed=st.integers(0, 2**16),
)
@example(per_s=1.0, shortest_s=1.5, spread_s=0.0, senders=5, seed=0)
@example(per_s=10.0, shortest_s=3.0, spread_s=0.0, senders=40, seed=0)
@example(per_s=1.0, shortest_s=0.5, spread_s=3.0, senders=40, seed=1)  # 2.04 times: the worst of 2,000
def test_every_request_leaves_and_no_window_is_overfilled(
    in_simulated_time: Callable[..., float],
    per_s: float,
    shortest_s: float,
    spread_s: float,
    senders: int,
    seed: int,
) -> None:
    traffic = Traffic(per_s, (shortest_s, shortest_s + spread_s), random.Random(seed))
    each = 4

    elapsed_s = in_simulated_time(traffic.run(senders=senders, each=each))

    granted_in_a_window = -int(-per_s // 1)
    assert traffic.most_in(granted_in_a_window / per_s) <= granted_in_a_window
    # Who leaves late pushes the window: where some are ready seconds after others, that costs about half of the rate.
    assert elapsed_s <= 2.25 * (senders * each / per_s + each * (shortest_s + spread_s)) + 2.0


@pytest.mark.parametrize(("per_s", "ready_after_s"), [(0.05, 0.02), (1.0, 0.05), (10.0, 0.3)])
def test_slow_handshakes_cost_a_low_rate_nothing(
    in_simulated_time: Callable[..., float], per_s: float, ready_after_s: float
) -> None:
    traffic = Traffic(per_s, (ready_after_s, ready_after_s), random.Random(1))

    elapsed_s = in_simulated_time(traffic.run(senders=10, each=3))

    assert traffic.missed == 0
    assert elapsed_s <= 1.05 * 30 / per_s + 1.0
