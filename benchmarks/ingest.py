"""Measure reading: rows a second into the ledger, beside the plain cost of the same with nothing checked; and memory.

    python benchmarks/ingest.py [--quick] [--repeats N] [--json FILE]

- ingest: what `bulk run` and `bulk plan` do first: read, validate, find repeats, index; 1,000,000 rows in no order over
  100,000 products, into a ledger at ``synchronous=FULL``; as CSV and as JSONL.
- plain: the CSV by csv.reader and one ``executemany`` into a table of four columns, committed once.
- memory: the peak of `bulk plan --offline`, a process of its own, at 100,000 and at 1,000,000 rows.
- growth: the cost of a row at 1,000,000 rows beside that at 10,000, in CPU time, which a busy machine disturbs least.
"""

from __future__ import annotations

import asyncio
import csv
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inputs import as_jsonl, write_csv
from processes import OnRows, judge_memory, on_rows
from reporting import Verdict, middle, options_of, report

from bulk.engine.ingest import ingest
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TARGET = Target(Dialect.ALIBABA, "http://127.0.0.1")
OFFLINE = ("--offline", "--endpoint", "http://127.0.0.1:9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What reading one input cost; the fields are keys of the JSON."""

    rows: int
    format: str
    ingest_s: float
    ingest_cpu_us_a_row: float
    plain_s: float


def into_ledger(source: Path, path: Path) -> None:
    """Do what a run does before it sends."""
    ledger = Ledger.open(path, targets={"": TARGET})
    asyncio.run(ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=ignore))
    ledger.close()


def plainly(source: Path, path: Path) -> None:
    """Do the least that brings a CSV into SQLite."""
    with (
        closing(sqlite3.connect(path)) as connection,
        connection,
        source.open(encoding="utf-8", newline="") as file,
    ):
        connection.execute("CREATE TABLE rows (product_key, module_name, alias_name, description)")
        records = csv.reader(file)
        next(records)
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", records)


def timed(work: Callable[[Path, Path], None], source: Path) -> tuple[float, float]:
    """Return the seconds, and the seconds of CPU, that it takes to fill a new database."""
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        work(source, Path(folder) / "rows.db")
        return time.perf_counter() - started, time.process_time() - cpu


def read(source: Path, rows: int) -> Reading:
    """Measure both ways, one after the other; a JSONL beside the CSV of the same rows."""
    ingest_s, cpu_s = timed(into_ledger, source)
    plain_s, _ = timed(plainly, source.with_suffix(".csv"))
    cpu_us = 1e6 * cpu_s / rows
    kind = source.suffix.removeprefix(".")
    return Reading(rows=rows, format=kind, ingest_s=ingest_s, ingest_cpu_us_a_row=cpu_us, plain_s=plain_s)


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__)
    share = 100 if options.quick else 1
    many, few, least = 1_000_000 // share, 100_000 // share, 10_000 // share
    with tempfile.TemporaryDirectory() as name:
        sources = {
            rows: write_csv(Path(name) / f"{rows}.csv", rows, products=max(rows // 10, 1), shuffled=True)
            for rows in (many, few, least)
        }
        readings = [read(sources[many], many) for _ in range(options.repeats)]
        lines = as_jsonl(sources[many])
        other = [read(lines, many) for _ in range(options.repeats)]
        small = [read(sources[least], least) for _ in range(options.repeats * 3)]
        plans = [on_rows(rows, sources[rows], command="plan", options=OFFLINE) for rows in (few, many)]
    measured: list[Reading | OnRows] = [*readings, *other, *small, *plans]
    verdicts = [*_judge_speed(readings), *_judge_speed(other), _judge_growth(readings, small), *judge_memory(*plans)]
    report(options, verdicts, [asdict(each) for each in measured])


def _judge_speed(readings: Sequence[Reading]) -> Iterator[Verdict]:
    rows, kind = readings[0].rows, readings[0].format.upper()
    per_s = middle(rows / each.ingest_s for each in readings)
    plain_per_s = middle(rows / each.plain_s for each in readings)
    yield Verdict(claim=f"{rows:,} rows of {kind}: ingested a second", figure=per_s, limit=120_000)
    yield Verdict(
        claim=f"{kind}: ingest / plain csv.reader and executemany",
        figure=middle(each.ingest_s / each.plain_s for each in readings),
        limit=3,
        at_most=True,
        detail=f"{per_s:,.0f} / {plain_per_s:,.0f} a second",
    )


def _judge_growth(readings: Sequence[Reading], small: Sequence[Reading]) -> Verdict:
    at_many, at_few = (middle(each.ingest_cpu_us_a_row for each in measured) for measured in (readings, small))
    claim = f"cost of a row at {readings[0].rows:,} / at {small[0].rows:,}"
    return Verdict(claim=claim, figure=at_many / at_few, limit=1.15, at_most=True)


if __name__ == "__main__":
    main()
