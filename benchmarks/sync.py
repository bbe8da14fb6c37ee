"""Measure nights of a sync: what deciding costs beside `bulk plan`, what a quiet night costs, its memory, its rate.

    python benchmarks/sync.py [--quick] [--repeats N] [--json FILE]

1,000,000 rows over 100,000 products, on platforms that do nearly nothing: minutes. All are taken in one run, since a
machine is slower in one minute than in the next.

- deciding: CPU of `bulk plan --sync` beside that of `bulk plan`, for a platform without a module and a new ledger, so
  that both decide on every row. What reading the input takes, measured by `bulk plan --offline`, is not counted.
- quiet: the same on a platform that has all modules as they are wanted, for the second `bulk sync` beside `bulk plan`;
  the first has adopted them. It must send listings only, and write no record of a row.
- memory: the peak of the quiet night beside that of one with a tenth of the rows.
- rate: listings a second of a quiet night, between its first and its last one, beside the 50 that are granted.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from inputs import write_csv
from processes import OnRows, judge_memory, on_rows
from reporting import Verdict, middle, options_of, report
from tiny_platform import tiny_platform

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_A_PRODUCT = 10
LISTS_PER_S = 50
ADOPT = ("--adopt", "--max-updates", "100%")


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, repeats=1)
    share = 100 if options.quick else 1
    many, few, paced = 1_000_000 // share, 100_000 // share, 20_000 // share
    with (
        tempfile.TemporaryDirectory() as name,
        tiny_platform() as empty,
        tiny_platform(modules=ROWS_A_PRODUCT, latency_s=(0.02, 0.06)) as patient,
        tiny_platform(modules=ROWS_A_PRODUCT) as whole,
    ):
        job = _Job(Path(name))
        offline, plans, syncs, plans_of_quiet = [], [], [], []
        for _ in range(options.repeats):
            offline.append(job.on(many, "plan", "--offline", endpoint=empty))
            plans.append(job.on(many, "plan", endpoint=empty))
            syncs.append(job.on(many, "plan", "--sync", endpoint=empty))
            plans_of_quiet.append(job.on(many, "plan", endpoint=whole))
        quiet = {rows: _quiet_night(job, rows, whole) for rows in (few, many)}
        rate = _rate(job, paced, patient)
    read_s = middle(each.cpu_s for each in offline)
    verdicts = [
        _judge_cost("deciding", plans, syncs, read_s),
        _judge_cost("a quiet night", plans_of_quiet, [quiet[many]], read_s),
        *judge_memory(quiet[few], quiet[many]),
        Verdict(claim=f"a quiet night: listings a second / {LISTS_PER_S}", figure=rate / LISTS_PER_S, limit=0.97),
    ]
    report(options, verdicts, [asdict(each) for each in (*offline, *plans, *syncs, *plans_of_quiet, *quiet.values())])


class _Job:
    """Inputs of growing length and their ledgers, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ledger(self, rows: int) -> Path:
        return self._folder / f"{rows}.db"

    def on(self, rows: int, command: str, *flags: str, endpoint: str, per_s: int = 0) -> OnRows:
        source = self._folder / f"{rows}.csv"
        if not source.exists():
            write_csv(source, rows, products=rows // ROWS_A_PRODUCT, shuffled=True)
        where = ("--endpoint", endpoint, "--qps", "0", "--list-qps", f"{per_s}")
        return on_rows(rows, source, command=command, options=("--ledger", str(self.ledger(rows)), *where, *flags))


def _quiet_night(job: _Job, rows: int, endpoint: str) -> OnRows:
    job.on(rows, "sync", *ADOPT, endpoint=endpoint)
    before = _records(job.ledger(rows))
    night = job.on(rows, "sync", "--prune", endpoint=endpoint)
    assert _records(job.ledger(rows)) == before, "a quiet night wrote a record of a row"
    return night


def _records(ledger: Path) -> object:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("SELECT count(*), sum(owned), max(settled_at), max(run_id) FROM modules").fetchone()


def _rate(job: _Job, rows: int, endpoint: str) -> float:
    job.on(rows, "sync", *ADOPT, endpoint=endpoint)
    job.on(rows, "sync", "--prune", endpoint=endpoint, per_s=LISTS_PER_S)
    with closing(sqlite3.connect(job.ledger(rows))) as connection:
        (summary,) = connection.execute("SELECT summary FROM runs ORDER BY rowid DESC LIMIT 1").fetchone()
        assert json.loads(summary)["requests"]["list"] == rows // ROWS_A_PRODUCT
        sent, seconds = connection.execute(
            "SELECT count(*), (julianday(max(at)) - julianday(min(at))) * 86400 FROM attempts "
            "WHERE run_id = (SELECT run_id FROM runs ORDER BY rowid DESC LIMIT 1)"
        ).fetchone()
    return float((sent - 1) / seconds)


def _judge_cost(what: str, plans: Sequence[OnRows], syncs: Sequence[OnRows], read_s: float) -> Verdict:
    plan, sync = (1e6 * (middle(each.cpu_s for each in runs) - read_s) / runs[0].rows for runs in (plans, syncs))
    return Verdict(
        claim=f"{what}: CPU of a row / that of a plan",
        figure=sync / plan,
        limit=2.0,
        at_most=True,
        detail=f"{sync:.1f} / {plan:.1f} µs",
    )


if __name__ == "__main__":
    main()
