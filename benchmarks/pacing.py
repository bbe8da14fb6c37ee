"""Compare our pace with aiolimiter's buckets: share of the rate reached, fullest second, throttles, CPU a grant.

    python benchmarks/pacing.py [--quick] [--loop asyncio|uvloop] [--repeats N] [--json FILE]

64 tasks ask for grants without end. Throttles are counted afterwards: each grant is given a latency of 5 to 25 ms, and
a strict sliding window of one second refuses what is over the rate. No limiter is told, so that all face the same.
Each is measured once undisturbed, and once with an event loop that stands still for 250 ms in the middle.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter
from loops import loop_factory
from reporting import Verdict, middle, options_of, report

from bulk.control.pace import Pace
from bulk.engine.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

TASKS = 64
FASTEST_PER_S = 5_000
STALL_S = 0.250
BUCKET_S = 0.020


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
    """Of the whole process, event loop included, for each grant."""


def bucket(tokens: float, per_s: float) -> Callable[[], Awaitable[object]]:
    """Return how to wait for a token of an aiolimiter's bucket."""
    return AsyncLimiter(tokens, tokens / per_s).acquire


def ours(per_s: float) -> Callable[[], Awaitable[object]]:
    """Return how to wait at our gate."""
    return Gate(Pace(per_s, now=time.monotonic())).acquire


LIMITERS: dict[str, Callable[[float], Callable[[], Awaitable[object]]]] = {
    "aiolimiter(rate, 1)": lambda per_s: bucket(per_s, per_s),
    "aiolimiter(1, 1/rate)": lambda per_s: bucket(1, per_s),
    "aiolimiter, 20 ms bucket": lambda per_s: bucket(max(1.0, per_s * BUCKET_S), per_s),
    "bulk": ours,
}


async def grants(acquire: Callable[[], Awaitable[object]], *, length_s: float, stall_s: float) -> list[float]:
    """Take grants for so long and return when each came."""
    came: list[float] = []

    async def ask() -> None:
        while True:
            await acquire()
            came.append(time.monotonic())

    end = time.monotonic() + length_s
    if stall_s:
        asyncio.get_running_loop().call_later(0.4 * length_s, time.sleep, stall_s)
    tasks = [asyncio.create_task(ask()) for _ in range(TASKS)]
    await asyncio.sleep(length_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [at for at in came if at <= end]


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

        async def run() -> tuple[list[float], float]:
            before_s = time.process_time()
            came = await grants(LIMITERS[limiter](per_s), length_s=length_s, stall_s=stall_s)
            return came, time.process_time() - before_s

        came, cpu_s = runner.run(run())
    latency = random.Random(1)
    _, refused = windows(sorted(at + latency.uniform(0.005, 0.025) for at in came), per_s)
    return Measured(
        loop=loop,
        limiter=limiter,
        per_s=per_s,
        stall_s=stall_s,
        reached_percent=round(100 * (len(came) - 1) / (came[-1] - came[0]) / per_s, 2),
        most_in_a_second=windows(came, per_s)[0],
        throttled_per_thousand=round(1_000 * refused / max(1, len(came)), 2),
        cpu_us=round(1e6 * cpu_s / max(1, len(came)), 1),
    )


def main() -> None:
    """Measure, print a table, and write JSON if asked to."""
    options = options_of(__doc__, loops=True, repeats=1)
    rates, length_s = ((FASTEST_PER_S,), 0.5) if options.quick else ((10, 100, 1_000, FASTEST_PER_S), 5.0)
    print(f"{'limiter':26}{'loop':>8}{'rate':>6}{'stall':>8}{'reached':>10}{'most/s':>8}{'throttled':>11}{'CPU':>11}")
    rows = []
    for loop in options.loops * options.repeats:
        for per_s in rates:
            for stall_s in (0.0, STALL_S):
                for limiter in LIMITERS:
                    rows.append(measure(limiter, per_s, length_s=length_s, stall_s=stall_s, loop=loop))
                    print(_line(rows[-1]), flush=True)
    verdicts = [verdict for loop in options.loops for verdict in _judge(loop, rows)]
    report(options, verdicts, [asdict(row) for row in rows])


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


if __name__ == "__main__":
    main()
