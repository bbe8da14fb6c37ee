"""Compare a run's time with its lower bound, max(products / list rate, creates / create rate).

    python benchmarks/pipeline.py [--quick] [--repeats N] [--json FILE]

500 listings and 500 creates a second are granted; the tiny platform on the other CPU takes 20 to 80 ms a reply. Time
is counted from the end of ingest to the summary. No flag says how many lanes are open: the run finds out by itself.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest_timed import ingest_timed
from inputs import write_csv
from loops import installed_loops, loop_factory
from reporting import Verdict, middle, options_of, report
from tiny_platform import on_first_cpu, tiny_platform

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.run import run
from bulk.settings import Settings

PER_S = 500.0
LATENCY_S = (0.020, 0.080)
ROWS = 10_000
PRODUCTS = (2_000, 10_000, 1_000)
MOST = 1.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run; the fields are keys of the JSON."""

    products: int
    bound_s: float
    sending_s: float
    ratio: float
    whole_ratio: float
    """With the reading of the input."""

    loop: str


def measure(folder: Path, endpoint: str, *, rows: int, products: int, loop: str) -> Measured:
    """Run a job of its own and time its sending."""
    source = write_csv(folder / "modules.csv", rows, products=products)
    settings = Settings(endpoint=endpoint, qps=PER_S, list_qps=PER_S, ledger=str(folder / f"{time.monotonic_ns()}.db"))
    keys = StaticCredentials(Credentials("benchmark", "benchmark-secret"))
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner, ingest_timed() as ingest:
        summary = runner.run(run(str(source), settings, credentials=keys))
        ended = time.perf_counter()
    assert summary.requests == {"list": products, "create": rows}, summary
    sending_s = ended - ingest.ended_s
    bound_s = max(products, rows) / PER_S
    return Measured(
        products=products,
        bound_s=bound_s,
        sending_s=round(sending_s, 3),
        ratio=sending_s / bound_s,
        whole_ratio=(ended - ingest.began_s) / bound_s,
        loop=loop,
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, repeats=1)
    share = 10 if options.quick else 1
    on_first_cpu()
    figures, verdicts = [], []
    with tempfile.TemporaryDirectory() as folder, tiny_platform(latency_s=LATENCY_S) as endpoint:
        for products in PRODUCTS:
            for loop in installed_loops():
                taken = [
                    measure(Path(folder), endpoint, rows=ROWS // share, products=products // share, loop=loop)
                    for _ in range(options.repeats)
                ]
                print(*taken, sep="\n", flush=True)
                figures += taken
                claim = f"{ROWS // share:,} rows on {products // share:,} products, {loop}: time / bound"
                ratio = middle(each.ratio for each in taken)
                whole = middle(each.whole_ratio for each in taken)
                detail = f"{whole:.3f} with the reading of the input"
                verdicts.append(Verdict(claim=claim, figure=ratio, limit=MOST, at_most=True, detail=detail))
    report(options, verdicts, [asdict(each) for each in figures])


if __name__ == "__main__":
    main()
