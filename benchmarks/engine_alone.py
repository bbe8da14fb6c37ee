"""Run the engine once without a rate, and print what it took as JSON: what `against.py` lets each of two trees do.

    python benchmarks/engine_alone.py INPUT ENDPOINT LOOP

The `bulk` that comes first on ``PYTHONPATH`` is measured; only what is the same in all versions is asked of it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest_timed import ingest_timed
from loops import loop_factory
from tiny_platform import on_first_cpu

import bulk
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.run import run
from bulk.settings import Settings

__all__ = ["Alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What one run took; the fields are keys of the JSON."""

    tree: str
    """Where the measured `bulk` was imported from."""

    request_cpu_us: float
    """Of the whole process, from the end of the ingest to the summary."""

    loop_cpu_us: float
    """Of that, the event loop's thread. Nearly all of the rest is the ledger's."""

    ingest_cpu_us_a_row: float
    ledger_bytes_a_row: float
    peak_mb: float


def main(source: str, endpoint: str, loop: str) -> None:
    """Run, and print the JSON."""
    on_first_cpu()
    ledger = Path(f"{source}.{time.monotonic_ns()}.db")
    settings = Settings(endpoint=endpoint, qps=0, list_qps=0, ledger=str(ledger))
    keys = StaticCredentials(Credentials("benchmark", "benchmark-secret"))
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner, ingest_timed() as ingest:
        summary = runner.run(run(source, settings, credentials=keys))
        cpu_s, thread_s = time.process_time(), time.thread_time()
    assert summary.outcomes["created"] == summary.rows, summary
    requests = sum(summary.requests.values())
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    alone = Alone(
        tree=str(Path(bulk.__file__).parent.parent),
        request_cpu_us=1e6 * (cpu_s - ingest.cpu_s) / requests,
        loop_cpu_us=1e6 * (thread_s - ingest.thread_s) / requests,
        ingest_cpu_us_a_row=1e6 * (ingest.cpu_s - ingest.cpu_before_s) / summary.rows,
        ledger_bytes_a_row=ledger.stat().st_size / summary.rows,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb,
    )
    print(json.dumps(asdict(alone)))


if __name__ == "__main__":
    main(*sys.argv[1:])
