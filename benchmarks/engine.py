"""Compare the engine's requests a second with a bare HTTP loop's, and with ways in which such jobs are often done.

    python benchmarks/engine.py [--quick] [--loop asyncio|uvloop] [--repeats N] [--json FILE]

No rate limits anything; the tiny platform answers at once, on the other CPU. All send POST requests to it:

- engine: `bulk run`'s own function from reading a CSV of 20,000 rows on 4,000 products to its summary. A listing a
  product, a create a row, everything recorded at ``synchronous=FULL``. Counted twice: *sending* begins when the input
  is in the ledger and ends with the summary; *whole* begins with nothing.
- bare: the same requests byte for byte but for nonce and time, signed beforehand, sent by 64 tasks on one aiohttp
  session that read each body and drop it.
- transport: the same once more by the engine's `HttpTransport` alone: what is left when aiohttp's session is gone.
- cookbook: a create a row, no listings: one aiohttp session, ``gather`` behind a semaphore of 64, signed with urllib's
  quoting, a JSON line appended for each row: by opening the record for each, and flushed to one that is kept open.
- the official core SDK, and the official SDK made for this product: creates by 64 threads.

Contenders take turns, so that a busy moment of the machine hits all of them; ratios are taken inside a turn. Engine and
bare loop are compared by CPU time as well, which other processes disturb less: kept on one CPU, both are bound by it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import KEYS, bare, cookbook_flushing, cookbook_opening, core_sdk, iot_sdk, signed_queries, transport
from ingest_timed import ingest_timed
from inputs import write_csv
from loops import loop_factory
from reporting import Verdict, middle, options_of, report
from tiny_platform import on_first_cpu, tiny_platform

from bulk.cloud.keys.credentials import StaticCredentials
from bulk.engine.run import run
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_A_PRODUCT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Requests a second of each contender in one turn; the fields are keys of the JSON."""

    loop: str
    bare_per_s: float
    bare_cpu_us: float
    """Of this process, for each request."""

    transport_per_s: float
    transport_cpu_us: float
    sending_per_s: float
    sending_cpu_us: float
    whole_per_s: float
    cookbook_opening_per_s: float
    cookbook_flushing_per_s: float
    core_sdk_per_s: float | None
    """``None``: the SDK is not installed."""

    iot_sdk_per_s: float | None


def engine(source: Path, endpoint: str, loop: str) -> tuple[float, float, float]:
    """Return the requests a second of a run, while it sends and as a whole, and the CPU µs of each while it sends."""
    settings = Settings(endpoint=endpoint, qps=0, list_qps=0, ledger=f"{source}.{time.monotonic_ns()}.db")
    started = time.perf_counter()
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner, ingest_timed() as ingest:
        summary = runner.run(run(str(source), settings, credentials=StaticCredentials(KEYS)))
        ended, cpu_s = time.perf_counter(), time.process_time()
    assert summary.outcomes["created"] == summary.rows, summary
    requests = sum(summary.requests.values())
    return requests / (ended - ingest.ended_s), requests / (ended - started), 1e6 * (cpu_s - ingest.cpu_s) / requests


def take_turn(folder: Path, endpoint: str, loop: str, *, rows: int) -> Turn:
    """Let all contenders run once."""
    products = rows // ROWS_A_PRODUCT
    source = write_csv(folder / "modules.csv", rows, products=products)
    queries = signed_queries(rows, products)
    sending_per_s, whole_per_s, sending_cpu_us = engine(source, endpoint, loop)
    bare_per_s, bare_cpu_us = bare(queries, endpoint, loop)
    transport_per_s, transport_cpu_us = transport(queries, endpoint, loop)
    return Turn(
        loop=loop,
        sending_per_s=sending_per_s,
        sending_cpu_us=sending_cpu_us,
        whole_per_s=whole_per_s,
        bare_per_s=bare_per_s,
        bare_cpu_us=bare_cpu_us,
        transport_per_s=transport_per_s,
        transport_cpu_us=transport_cpu_us,
        cookbook_opening_per_s=cookbook_opening(rows // 4, products, endpoint, loop, record=folder / "opened.jsonl"),
        cookbook_flushing_per_s=cookbook_flushing(rows // 4, products, endpoint, loop, record=folder / "kept.jsonl"),
        core_sdk_per_s=core_sdk(rows // 20, endpoint),
        iot_sdk_per_s=iot_sdk(rows // 20, endpoint),
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, loops=True, repeats=5)
    on_first_cpu()
    turns: list[Turn] = []
    with tempfile.TemporaryDirectory() as folder, tiny_platform() as endpoint:
        for _ in range(options.repeats):
            for loop in options.loops:
                turns.append(take_turn(Path(folder), endpoint, loop, rows=1_000 if options.quick else 20_000))
                print(turns[-1], flush=True)
    verdicts = [verdict for loop in options.loops for verdict in _judge(loop, turns)]
    report(options, verdicts, [asdict(turn) for turn in turns])


def _judge(loop: str, every_turn: list[Turn]) -> Iterator[Verdict]:
    turns = [turn for turn in every_turn if turn.loop == loop]

    def verdict(claim: str, limit: float, ours: str, theirs: str) -> Verdict:
        ratio = middle(getattr(turn, ours) / getattr(turn, theirs) for turn in turns)
        speeds = [middle(getattr(turn, name) for turn in turns) for name in (ours, theirs)]
        return Verdict(
            claim=f"{loop}: {claim}", figure=ratio, limit=limit, detail="{:,.0f} / {:,.0f} a second".format(*speeds)
        )

    least = 0.80 if loop == "asyncio" else 0.70
    yield verdict("sending / bare loop", least, "sending_per_s", "bare_per_s")
    ours_us = middle(turn.sending_cpu_us for turn in turns)
    yield Verdict(
        claim=f"{loop}: the same by CPU time",
        figure=middle(turn.bare_cpu_us / turn.sending_cpu_us for turn in turns),
        limit=least,
        detail=f"{middle(turn.bare_cpu_us for turn in turns):.0f} / {ours_us:.0f} µs a request",
    )
    yield verdict("transport alone / bare loop", 0.0, "transport_per_s", "bare_per_s")
    yield verdict("whole run / bare loop", 0.0, "whole_per_s", "bare_per_s")
    yield verdict("sending / cookbook, record opened for each row", 2.0, "sending_per_s", "cookbook_opening_per_s")
    yield verdict("sending / cookbook, record kept open", 2.0, "sending_per_s", "cookbook_flushing_per_s")
    if turns[0].core_sdk_per_s is not None:
        yield verdict("sending / official core SDK", 5.0, "sending_per_s", "core_sdk_per_s")
    if turns[0].iot_sdk_per_s is not None:
        yield verdict("sending / official SDK for IoT", 5.0, "sending_per_s", "iot_sdk_per_s")


if __name__ == "__main__":
    main()
