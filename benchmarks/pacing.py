"""Compare our pace with aiolimiter's buckets: share of the rate reached, fullest second, throttles, CPU a grant.

    python benchmarks/pacing.py [--quick] [--loop asyncio|uvloop] [--repeats N] [--json FILE]

64 tasks ask for grants without end. Throttles are counted afterwards: each grant is given a latency of 5 to 25 ms, and
a strict sliding window of one second refuses what is over the rate. No limiter is told, so that all face the same; ours
is told when each answer comes, as in a run. Each is measured once undisturbed, and once with an event loop that stands
still for 250 ms in the middle.

A rate of 10 takes a while to show what latencies cost: twenty of our gates are measured side by side for a minute,
half of them with latencies that spread by 10 ms, half by 20.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter
from loops import loop_factory
from reporting import Verdict, middle, options_of, report

from bulk.control.pace import Pace
from bulk.engine.sessions.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

TASKS = 64
FASTEST_PER_S = 5_000
STALL_S = 0.250
BUCKET_S = 0.020
CPU_LENGTH_S = 1.0
BATCH = 100
SLOW_PER_S = 10
SLOW_GATES = 10
QUICKEST_S = 0.005
SPREADS_S = (0.010, 0.020)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One limiter at one rate; the fields are the keys of the JSON."""

    loop: str
    limiter: str
    per_s: int
    stall_s: float
    reached_percent: float
    """From the first grant to the last, so that few grants in a short run are not rounded down."""

    most_in_a_second: int
    throttled_per_thousand: float
    cpu_us: float
    """Of the whole process, event loop included, for each grant, in a run of its own without answers: the timers that
    stand in for the platform cost more than a grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """One of our gates at a low rate; the fields are the keys of the JSON."""

    loop: str
    spread_s: float
    reached_percent: float
    """Of what the rate allows from the start on."""

    throttled: int


@dataclass(frozen=True, slots=True)
class Limiter:
    """How to wait for a grant, and whom to tell that the answer is here."""

    acquire: Callable[[], Awaitable[object]]
    answered: Callable[[float], None] | None = None


def bucket(tokens: float, per_s: float) -> Limiter:
    """Wait for a token of an aiolimiter's bucket."""
    return Limiter(AsyncLimiter(tokens, tokens / per_s).acquire)


def ours(per_s: float) -> Limiter:
    """Wait at our gate."""
    gate = Gate(Pace(per_s, now=time.monotonic()))
    return Limiter(gate.acquire, gate.answered)


LIMITERS: dict[str, Callable[[float], Limiter]] = {
    "aiolimiter(rate, 1)": lambda per_s: bucket(per_s, per_s),
    "aiolimiter(1, 1/rate)": lambda per_s: bucket(1, per_s),
    "aiolimiter, 20 ms bucket": lambda per_s: bucket(max(1.0, per_s * BUCKET_S), per_s),
    "bulk": ours,
}


@dataclass(slots=True)
class Grants:
    """When each grant came, and when its request arrives."""

    came: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)


async def grants(
    limiter: Limiter, *, length_s: float, stall_s: float = 0.0, spread_s: float = SPREADS_S[-1], seed: int = 1
) -> Grants:
    """Take grants for so long and return when each came."""
    taken = Grants()
    uniform = random.Random(seed).uniform
    loop = asyncio.get_running_loop()
    end = time.monotonic() + length_s

    async def ask() -> None:
        while True:
            released_at = await limiter.acquire()
            now = time.monotonic()
            latency_s = uniform(QUICKEST_S, QUICKEST_S + spread_s)
            if now <= end:
                taken.came.append(now)
                taken.arrived.append(now + latency_s)
            if limiter.answered is not None and isinstance(released_at, float):
                loop.call_later(latency_s, limiter.answered, released_at)

    if stall_s:
        loop.call_later(0.4 * length_s, time.sleep, stall_s)
    tasks = [asyncio.create_task(ask()) for _ in range(TASKS)]
    await asyncio.sleep(length_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return taken


def windows(arrivals: Iterable[float], granted: float) -> tuple[int, int]:
    """Return the most in any sliding second, and how many a strict window of `granted` would refuse."""
    every: deque[float] = deque()
    admitted: deque[float] = deque()
    most = refused = 0
    for at in arrivals:
        for seen in (every, admitted):
            while seen and seen[0] <= at - 1.0:
                seen.popleft()
        every.append(at)
        most = max(most, len(every))
        if len(admitted) < granted:
            admitted.append(at)
        else:
            refused += 1
    return most, refused


def measure(limiter: str, per_s: int, *, length_s: float, stall_s: float, loop: str) -> Measured:
    """Run one limiter on an event loop of its own."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:

        async def cpu_a_grant_s() -> float:
            before_s = time.process_time()
            alone = replace(LIMITERS[limiter](per_s), answered=None)
            taken = await grants(alone, length_s=min(length_s, CPU_LENGTH_S))
            return (time.process_time() - before_s) / max(1, len(taken.came))

        taken = runner.run(grants(LIMITERS[limiter](per_s), length_s=length_s, stall_s=stall_s))
        cpu_s = runner.run(cpu_a_grant_s())
    came = taken.came
    _, refused = windows(sorted(taken.arrived), per_s)
    return Measured(
        loop=loop,
        limiter=limiter,
        per_s=per_s,
        stall_s=stall_s,
        reached_percent=round(100 * (len(came) - 1) / (came[-1] - came[0]) / per_s, 2),
        most_in_a_second=windows(came, per_s)[0],
        throttled_per_thousand=round(1_000 * refused / max(1, len(came)), 2),
        cpu_us=round(1e6 * cpu_s, 1),
    )


def cpu_an_answer_us() -> float:
    """Return what our pace takes to learn of an answer, in simulated time."""
    pace = Pace(FASTEST_PER_S, now=0.0)
    uniform = random.Random(1).uniform
    spent_s, count = 0.0, 0
    waiting: list[tuple[float, float]] = []
    for first in range(0, 4 * FASTEST_PER_S, BATCH):
        released = [number / FASTEST_PER_S for number in range(first, first + BATCH)]
        for at in released:
            pace.release(at)
        before_s = time.process_time()
        for released_at, answered_at in waiting:
            pace.answered(released_at, answered_at)
        spent_s += time.process_time() - before_s
        count += len(waiting)
        waiting = [(at, at + uniform(QUICKEST_S, QUICKEST_S + SPREADS_S[-1])) for at in released]
    return 1e6 * spent_s / count


def measure_slow(*, length_s: float, loop: str) -> list[Slow]:
    """Run gates of a low rate side by side: they leave the machine idle."""

    async def run() -> list[Grants]:
        runs = [
            grants(ours(SLOW_PER_S), length_s=length_s, spread_s=spread_s, seed=seed)
            for spread_s in SPREADS_S
            for seed in range(SLOW_GATES)
        ]
        return await asyncio.gather(*runs)

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        taken = runner.run(run())
    return [
        Slow(
            loop=loop,
            spread_s=SPREADS_S[number // SLOW_GATES],
            reached_percent=round(100 * len(each.came) / length_s / SLOW_PER_S, 2),
            throttled=windows(sorted(each.arrived), SLOW_PER_S)[1],
        )
        for number, each in enumerate(taken)
    ]


def main() -> None:
    """Measure, print a table, and write JSON if asked to."""
    options = options_of(__doc__, loops=True, repeats=1)
    rates, length_s = ((FASTEST_PER_S,), 0.5) if options.quick else ((10, 100, 1_000, FASTEST_PER_S), 5.0)
    slow_s = 6.0 if options.quick else 60.0
    print(f"{'limiter':26}{'loop':>8}{'rate':>6}{'stall':>8}{'reached':>10}{'most/s':>8}{'throttled':>11}{'CPU':>11}")
    rows = []
    for loop in options.loops * options.repeats:
        for per_s in rates:
            for stall_s in (0.0, STALL_S):
                for limiter in LIMITERS:
                    rows.append(measure(limiter, per_s, length_s=length_s, stall_s=stall_s, loop=loop))
                    print(_line(rows[-1]), flush=True)
    slow = [each for loop in options.loops for each in measure_slow(length_s=slow_s, loop=loop)]
    verdicts = [verdict for loop in options.loops for verdict in (*_judge(loop, rows), *_judge_slow(loop, slow))]
    answer_us = round(cpu_an_answer_us(), 2)
    verdicts.append(Verdict(claim="CPU µs an answer", figure=answer_us, limit=4.0, at_most=True))
    report(options, verdicts, [*map(asdict, rows), *map(asdict, slow)])


def _line(row: Measured) -> str:
    stall = f"{row.stall_s * 1000:.0f} ms" if row.stall_s else "-"
    reached, throttled, cpu = (
        f"{row.reached_percent:.1f}%",
        f"{row.throttled_per_thousand:.1f}‰",
        f"{row.cpu_us:.1f} µs",
    )
    return (
        f"{row.limiter:26}{row.loop:>8}{row.per_s:>6}{stall:>8}{reached:>10}{row.most_in_a_second:>8}"
        f"{throttled:>11}{cpu:>11}"
    )


def _judge(loop: str, rows: list[Measured]) -> Iterator[Verdict]:
    ours = [row for row in rows if row.loop == loop and row.limiter == "bulk"]
    for per_s, stall_s in dict.fromkeys((row.per_s, row.stall_s) for row in ours):
        same = [row for row in ours if (row.per_s, row.stall_s) == (per_s, stall_s)]
        what = f"{loop}: {per_s:,}/s" + (f", stalled for {stall_s * 1000:.0f} ms" if stall_s else "")
        yield Verdict(claim=f"{what}: % reached", figure=middle(row.reached_percent for row in same), limit=98.0)
        throttled = middle(row.throttled_per_thousand for row in same)
        yield Verdict(claim=f"{what}: ‰ throttled", figure=throttled, limit=0.0, at_most=True)
    yield Verdict(
        claim=f"{loop}: CPU µs a grant at {FASTEST_PER_S:,}/s",
        figure=middle(row.cpu_us for row in ours if row.per_s == FASTEST_PER_S),
        limit=20.0,
        at_most=True,
    )


def _judge_slow(loop: str, rows: list[Slow]) -> Iterator[Verdict]:
    for spread_s in SPREADS_S:
        same = [row for row in rows if row.loop == loop and row.spread_s == spread_s]
        what = f"{loop}: {SLOW_PER_S}/s from the start, latencies spread by {spread_s * 1000:.0f} ms"
        limit = 99.0 if spread_s <= SPREADS_S[0] else 98.0
        yield Verdict(claim=f"{what}: % reached", figure=middle(row.reached_percent for row in same), limit=limit)
        throttled = sum(row.throttled for row in same)
        yield Verdict(claim=f"{what}: throttled, all {len(same)}", figure=throttled, limit=0.0, at_most=True)


if __name__ == "__main__":
    main()
