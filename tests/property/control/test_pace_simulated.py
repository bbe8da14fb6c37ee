"""The pace against a platform with strict windows, thousands of requests in simulated time. Every run has a seed."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from bulk.control.pace import Pace


@dataclass
class SlidingWindow:
    """Refuses what would be more than `granted` within any second; a refused request takes no place, or it does."""

    granted: int
    counts_refused: bool = False
    others_leave_at: float = math.inf
    then_granted: int = 0
    seen: deque[float] = field(default_factory=deque)

    def admits(self, at: float) -> bool:
        if at >= self.others_leave_at:
            self.granted = self.then_granted
        while self.seen and self.seen[0] <= at - 1.0:
            self.seen.popleft()
        admitted = len(self.seen) < self.granted
        if admitted or self.counts_refused:
            self.seen.append(at)
        return admitted


@dataclass
class FixedWindow:
    """Refuses what would be more than `granted` within a second that begins at `offset_s`."""

    granted: int
    offset_s: float
    second: int = -1
    seen: int = 0

    def admits(self, at: float) -> bool:
        second = math.floor(at - self.offset_s)
        if second != self.second:
            self.second, self.seen = second, 0
        self.seen += 1
        return self.seen <= self.granted


@dataclass
class Run:
    """What became of a simulated run."""

    per_s: float
    length_s: float
    released: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)

    def reached(self, per_s: float, *, since_s: float = 0.0) -> float:
        """Share of what `per_s` would have allowed that was carried out."""
        sent = sum(at >= since_s for at in self.released) - sum(at >= since_s for at in self.throttled)
        return sent / ((self.length_s - since_s) * per_s)

    def most_in_a_second(self) -> int:
        window = SlidingWindow(granted=0, counts_refused=True)
        most = 0
        for at in self.released:
            window.admits(at)
            most = max(most, len(window.seen))
        return most


def simulate(
    per_s: float,
    platform: SlidingWindow | FixedWindow,
    *,
    length_s: float,
    latency_s: tuple[float, float] = (0.0, 0.0),
    stalls: tuple[tuple[float, float], ...] = (),
    stray_at: float = math.inf,
    seed: int = 1,
) -> Run:
    """Let a pace with endless demand run against `platform`; timers are whole milliseconds long and up to one late."""
    chance = random.Random(seed)
    pace = Pace(per_s, now=0.0)
    run = Run(per_s, length_s)
    arrivals: list[float] = []
    now = 0.0
    while now < length_s:
        while not pace.wait_s(now):
            pace.release(now)
            run.released.append(now)
            heapq.heappush(arrivals, now + chance.uniform(*latency_s))
        timer_at = now + max(0.003, math.ceil(pace.wait_s(now) * 1000) / 1000) + chance.uniform(0.0, 0.001)
        for start, stall_s in stalls:
            if start <= timer_at < start + stall_s:
                timer_at = start + stall_s
        while arrivals and arrivals[0] <= timer_at:
            at = heapq.heappop(arrivals)
            stray = at >= stray_at
            if platform.admits(at) and not stray:
                pace.succeeded(at)
            else:
                stray_at = math.inf if stray else stray_at
                run.throttled.append(at)
                pace.throttled(at, retry_after_s=None)
            run.rates.append((at, pace.rate_per_s))
        now = timer_at
    return run


SEEDS = (1, 2, 3)
STALL = ((4.1, 0.250),)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [10, 100, 1_000])
@pytest.mark.parametrize("window", ["sliding", "sliding, refused count", "fixed"])
def test_jitter_costs_next_to_nothing_at_strict_windows(window: str, per_s: int, seed: int) -> None:
    platform = FixedWindow(per_s, 0.3) if window == "fixed" else SlidingWindow(per_s, "count" in window)

    run = simulate(per_s, platform, length_s=max(10.0, 3_000 / per_s), latency_s=(0.005, 0.025), seed=seed)

    assert len(run.throttled) <= 0.002 * len(run.released)
    assert run.reached(per_s) >= 0.97


@pytest.mark.parametrize("stalls", [(), STALL], ids=["no stall", "a stall of 250 ms"])
@pytest.mark.parametrize("per_s", [10, 100, 1_000, 5_000])
def test_steady_latency_costs_less_than_two_percent(per_s: int, stalls: tuple[tuple[float, float], ...]) -> None:
    run = simulate(per_s, SlidingWindow(per_s), length_s=10.0, stalls=stalls)

    assert run.throttled == []
    assert run.most_in_a_second() <= per_s
    assert run.reached(per_s) >= 0.98


@pytest.mark.parametrize("per_s", [500, 5_000])
def test_a_stall_is_made_good_a_few_requests_at_a_time(per_s: int) -> None:
    run = simulate(per_s, SlidingWindow(per_s), length_s=5.0, stalls=STALL)

    at_once = max(run.released.count(at) for at in set(run.released) if at > 4)
    assert at_once <= 0.02 * per_s + 2


@pytest.mark.parametrize("per_s", [4, 10, 100, 1_000])
def test_a_run_started_again_keeps_its_predecessors_window(per_s: int) -> None:
    platform = SlidingWindow(per_s)
    first = simulate(per_s, platform, length_s=3.37)

    second = simulate(per_s, SlidingWindow(per_s), length_s=3.0)

    both = Run(per_s, 7.0, released=first.released + [3.37 + 0.3 + at for at in second.released])
    assert both.most_in_a_second() <= per_s


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("counts_refused", [False, True])
@pytest.mark.parametrize(("told", "granted"), [(100, 40), (100, 10), (10, 4), (1_000, 400)])
def test_a_limit_shared_with_others_is_found_and_used(told: int, granted: int, counts_refused: bool, seed: int) -> None:
    platform = SlidingWindow(granted, counts_refused)

    run = simulate(told, platform, length_s=40.0, latency_s=(0.020, 0.080), seed=seed)

    assert run.reached(granted) >= 0.60
    assert len(run.throttled) < len(run.released) / 3


@pytest.mark.parametrize("per_s", [10, 100, 1_000])
def test_a_stray_throttle_is_forgotten_within_seconds(per_s: int) -> None:
    run = simulate(per_s, SlidingWindow(per_s), length_s=10.0, stray_at=5.0)

    lowest = min(rate for _, rate in run.rates)
    back_at = min(at for at, rate in run.rates if at > run.throttled[0] and rate == per_s)
    assert lowest == per_s / 2
    assert back_at - run.throttled[0] < 2.0


def test_others_who_leave_give_the_full_rate_back() -> None:
    platform = SlidingWindow(10, others_leave_at=20.0, then_granted=100)

    run = simulate(100, platform, length_s=90.0, latency_s=(0.020, 0.080))

    assert max(rate for at, rate in run.rates if 10 < at < 20) < 40
    assert run.rates[-1][1] == 100
