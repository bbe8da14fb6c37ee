"""Tell when a run has its input in the ledger; its own announcement comes later, beside its first requests."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from bulk.engine.ingest import ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IngestTimes", "ingest_timed"]


@dataclass(slots=True)
class IngestTimes:
    """When a run read its input, on the clock of ``time.perf_counter``."""

    began_s: float = 0.0
    ended_s: float = 0.0
    cpu_before_s: float = 0.0
    """CPU time of the process when it began."""

    cpu_s: float = 0.0
    """CPU time of the process when it ended."""

    thread_s: float = 0.0
    """CPU time of the event loop's thread when it ended."""


@contextmanager
def ingest_timed() -> Iterator[IngestTimes]:
    """Note the times of one run inside the block."""
    times = IngestTimes()

    async def timed(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they are
        times.began_s, times.cpu_before_s = time.perf_counter(), time.process_time()
        await ingest(*args, **kwargs)
        times.ended_s, times.cpu_s, times.thread_s = time.perf_counter(), time.process_time(), time.thread_time()

    with patch(f"{_caller()}.ingest", timed):
        yield times


def _caller() -> str:
    """Return which module calls it: an earlier version's run did so itself."""
    from bulk.engine import job  # noqa: PLC0415 - of the tree that is measured

    return "bulk.engine.job" if hasattr(job, "ingest") else "bulk.engine.run"
