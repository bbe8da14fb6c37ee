"""Measure what it costs to run again: on a finished ledger, and after a run that was killed half way.

    python benchmarks/coming_back.py [--quick] [--repeats N] [--json FILE]

1,000,000 rows in no order over 100,000 products. Both ledgers are prepared through the ledger's own writer: in one
every row is `created`, in the other those of half of the products, the ones that the file names first. Counted are:
what a whole run on the first takes beyond its ingest; the time from the end of ingest to the first reply on the second;
and the cost of a row at 1,000,000 rows beside that at 10,000, in CPU time, for reading lanes and for settling.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest_timed import ingest_timed
from inputs import write_csv
from reporting import Verdict, middle, options_of, report
from tiny_platform import tiny_platform

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.ingest import ingest
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.events import AttemptMade, ignore
from bulk.ledger.lanes import LaneReader
from bulk.ledger.store import Ledger
from bulk.ledger.writer import LedgerWriter
from bulk.model import Dialect, Outcome, Settlement, Target
from bulk.settings import ReadSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.events import Event
    from bulk.model import Lane

KEYS = StaticCredentials(Credentials("benchmark", "benchmark-secret"))
SMALL_LEDGERS = 20
"""How many of the small ledger are made: one takes too short a time to be measured on a machine with other work."""

PRODUCTS_AT_ONCE = 50
"""How many products are claimed and settled together, of the order of what a run without a rate does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """CPU that each row of a ledger of so many takes; the fields are keys of the JSON."""

    rows: int
    lanes_us: float
    """To find its product and to read its lane."""

    settling_us: float
    """To record its claim and its outcome, on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A run on a ledger that was worked on before; the fields are keys of the JSON."""

    rows: int
    requests: int
    ingest_s: float
    after_ingest_s: float
    """From the end of ingest to the summary."""

    first_reply_s: float | None
    """From the end of ingest to the first reply; ``None``: no request was sent."""


async def prepare(source: Path, path: Path, *, target: Target, rows: int, share: float) -> Growth:
    """Make a ledger in which the products of the first part of the file are done with, and time the parts."""
    ledger = Ledger.open(path, targets={"": target})
    await ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=ignore)
    writer = LedgerWriter(
        ledger.connection, path, run_id="benchmark", loop=asyncio.get_running_loop(), on_failure=_raise
    )
    lanes_s, settling_s, settled = 0.0, 0.0, 0
    began = time.process_time()
    with closing(LaneReader(path)) as reader:
        lanes_s += time.process_time() - began
        while settled < rows * share:
            began = time.process_time()
            lanes = reader.next_lanes(PRODUCTS_AT_ONCE)
            read = time.process_time()
            await writer.claim(_recorded(lanes, Outcome.SENDING))
            for settlement in _recorded(lanes, Outcome.CREATED):
                writer.settle(settlement)
            settling_s += time.process_time() - read
            lanes_s += read - began
            settled += sum(len(lane.rows) for lane in lanes)
    await asyncio.to_thread(writer.close)
    ledger.close()
    return Growth(rows=rows, lanes_us=1e6 * lanes_s / settled, settling_us=1e6 * settling_s / settled)


def _recorded(lanes: Sequence[Lane], outcome: Outcome) -> list[Settlement]:
    return [
        Settlement(line=row.line, module=row.module, outcome=outcome, attempts=1, at=time.time())
        for lane in lanes
        for row in lane.rows
    ]


def _raise(error: Exception) -> None:
    raise error


async def again(source: Path, path: Path, endpoint: str) -> Again:
    """Run on a prepared ledger: to its end, or until the first reply."""
    stop = StopSignal()
    replies: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, AttemptMade):
            replies.append(time.perf_counter())
            stop.request("the first reply is here", exit_code=3)

    settings = Settings(endpoint=endpoint, ledger=str(path))
    with ingest_timed() as ingest_times:
        summary = await run(str(source), settings, credentials=KEYS, listener=listen, stop=stop)
    return Again(
        rows=summary.rows,
        requests=sum(summary.requests.values()),
        ingest_s=ingest_times.ended_s - ingest_times.began_s,
        after_ingest_s=time.perf_counter() - ingest_times.ended_s,
        first_reply_s=replies[0] - ingest_times.ended_s if replies else None,
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, repeats=1)
    share = 100 if options.quick else 1
    many, least = 1_000_000 // share, 10_000 // share
    with tempfile.TemporaryDirectory() as name, tiny_platform() as endpoint:
        folder = Path(name)
        target = Target(Dialect.ALIBABA, endpoint)
        large = write_csv(folder / "large.csv", many, products=many // 10, shuffled=True)
        small = write_csv(folder / "small.csv", least, products=least // 10, shuffled=True)
        finished, half = folder / "finished.db", folder / "half.db"
        grown = [asyncio.run(prepare(large, finished, target=target, rows=many, share=1.0))]
        grown += [
            asyncio.run(prepare(small, folder / f"small-{number}.db", target=target, rows=least, share=1.0))
            for number in range(SMALL_LEDGERS)
        ]
        asyncio.run(prepare(large, half, target=target, rows=many, share=0.5))
        done = [asyncio.run(again(large, finished, endpoint)) for _ in range(options.repeats)]
        killed = [asyncio.run(again(large, half, endpoint)) for _ in range(options.repeats)]
    figures = {"growth": [asdict(each) for each in grown], "again": [asdict(each) for each in (*done, *killed)]}
    report(options, _judge(grown, done, killed), figures)


def _judge(grown: Sequence[Growth], done: Sequence[Again], killed: Sequence[Again]) -> list[Verdict]:
    many, *small = grown
    few = Growth(
        rows=small[0].rows,
        lanes_us=middle(each.lanes_us for each in small),
        settling_us=middle(each.settling_us for each in small),
    )
    return [
        Verdict(
            claim="finished ledger: requests of another run",
            figure=max(each.requests for each in done),
            limit=0,
            at_most=True,
        ),
        Verdict(
            claim="finished ledger: the rest of the run / its ingest",
            figure=middle(each.after_ingest_s / each.ingest_s for each in done),
            limit=1,
            at_most=True,
            detail=f"{done[0].after_ingest_s:.1f} / {done[0].ingest_s:.1f} s",
        ),
        Verdict(
            claim="killed half way: seconds from ingest to the first reply",
            figure=middle(each.first_reply_s for each in killed if each.first_reply_s is not None),
            limit=2,
            at_most=True,
        ),
        Verdict(
            claim=f"lane reading: cost of a row at {many.rows:,} / at {few.rows:,}",
            figure=many.lanes_us / few.lanes_us,
            limit=1.15,
            at_most=True,
            detail=f"{many.lanes_us:.1f} / {few.lanes_us:.1f} µs",
        ),
        Verdict(
            claim=f"settling: cost of a row at {many.rows:,} / at {few.rows:,}",
            figure=many.settling_us / few.settling_us,
            limit=1.15,
            at_most=True,
            detail=f"{many.settling_us:.1f} / {few.settling_us:.1f} µs",
        ),
    ]


if __name__ == "__main__":
    main()
