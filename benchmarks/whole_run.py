"""Measure whole runs of growing inputs, from the start of the process to its end: memory, and the cost of a row.

    python benchmarks/whole_run.py [--quick] [--repeats N] [--json FILE]

`bulk run` without a rate against the tiny platform, in a process of its own: minutes. All rows are in no order.

- memory: the peak at 1,000,000 rows over 100,000 products beside that at 100,000 rows over as many products.
- growth: the CPU time of a row at 1,000,000 rows beside that at 10,000, ten rows a product in both. What starting
  takes, measured on ten rows, is not counted. The small run is taken before and after the large one, since a machine
  that is slower in one minute than in the next would show otherwise.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from inputs import write_csv
from processes import OnRows, judge_memory, on_rows
from reporting import Verdict, middle, options_of, report
from tiny_platform import tiny_platform

ROWS_A_PRODUCT = 10


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__)
    share = 100 if options.quick else 1
    many, few, least = 1_000_000 // share, 100_000 // share, 10_000 // share
    with tempfile.TemporaryDirectory() as name, tiny_platform() as endpoint:
        folder = Path(name)
        flags = ("--endpoint", endpoint, "--qps", "0", "--list-qps", "0")

        def run(rows: int, *, rows_a_product: int = ROWS_A_PRODUCT) -> OnRows:
            source = write_csv(folder / f"{rows}.csv", rows, products=rows // rows_a_product, shuffled=True)
            ledger = ("--ledger", str(folder / "ledger.db"))
            try:
                return on_rows(rows, source, command="run", options=(*flags, *ledger))
            finally:
                for file in folder.glob("ledger.db*"):
                    file.unlink()

        started = [run(ROWS_A_PRODUCT) for _ in range(options.repeats)]
        small = [run(least) for _ in range(options.repeats)]
        wide = run(few, rows_a_product=1)
        large = run(many)
        small += [run(least) for _ in range(options.repeats)]
    verdicts = [*judge_memory(wide, large), _judge_growth(started, small, large)]
    report(options, verdicts, [asdict(each) for each in (*started, *small, wide, large)])


def _judge_growth(started: list[OnRows], small: list[OnRows], large: OnRows) -> Verdict:
    start_s = middle(each.cpu_s for each in started)
    at_few, at_many = (
        1e6 * (middle(each.cpu_s for each in runs) - start_s) / runs[0].rows for runs in (small, [large])
    )
    return Verdict(
        claim=f"a whole run: cost of a row at {large.rows:,} / at {small[0].rows:,}",
        figure=at_many / at_few,
        limit=1.15,
        at_most=True,
        detail=f"{at_many:.0f} / {at_few:.0f} µs",
    )


if __name__ == "__main__":
    main()
