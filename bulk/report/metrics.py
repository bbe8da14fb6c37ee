"""Show schedulers and alerts how a run goes: a file in Prometheus text format for the node exporter.

An event costs only a count. A separate thread writes the file, completely or not at all.
"""

from __future__ import annotations

import errno
import threading
import time
from bisect import bisect_left
from contextlib import contextmanager
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bulk.atomic import replaced
from bulk.distribution import installed_version
from bulk.errors import BulkError
from bulk.events import (
    AttemptMade,
    RateChanged,
    RetryScheduled,
    RowSettled,
    RunEnded,
    RunStarted,
)
from bulk.exits import ExitCode
from bulk.model import ROW_OUTCOMES, Action, FailureKind, Outcome
from bulk.report.account_metrics import AccountMetrics
from bulk.report.sync_metrics import KEPT_METRICS, SyncMetrics
from bulk.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

    from bulk.events import Event
    from bulk.model import Attempt

__all__ = ["KEPT", "METRICS", "RunMetrics", "metrics_file"]

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "bulk_run": "The run that wrote this file.",
        "bulk_run_start_timestamp_seconds": "When the run began.",
        "bulk_run_end_timestamp_seconds": "When the run ended; absent while it is at work.",
        "bulk_run_exit_code": "What the run exited with; absent while it is at work.",
        "bulk_last_success_timestamp_seconds": "When a run last ended with exit code 0 or 6; kept from file to file.",
        "bulk_rows": "Rows of the input, by outcome.",
        "bulk_requests": "Requests of this run, by action and result: ok, or the class of the failure.",
        "bulk_retries": "Requests that were scheduled to be repeated, by action.",
        "bulk_recovered": "Creates whose reply was lost and that a listing proved.",
        "bulk_rate_asked_per_second": "Requests a second that the run may send at most, by action; 0: unlimited.",
        "bulk_rate_granted_per_second": "Requests a second that the pace allows now, by action; 0: unlimited.",
        "bulk_request_duration_seconds": "How long requests took, by action.",
    }
)
"""Every metric → its help text. Counters end in ``_total`` in the file, the run's labels in ``_info``."""

_LAST_SUCCESS = "bulk_last_success_timestamp_seconds"
KEPT = KEPT_METRICS | {_LAST_SUCCESS}
"""Metrics that are kept from file to file until this run has newer values."""

_BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATIENCE_S = 2.0
"""How long the end of a run waits for the last figures."""

_EVERY_S = 15.0
_SUCCESS = frozenset({ExitCode.DONE, ExitCode.CHANGED})
_OK = "ok"
_RESULTS = (_OK, *FailureKind)
_ONLY_OF: Mapping[str, frozenset[Action]] = MappingProxyType(
    {
        FailureKind.GONE: frozenset({Action.UPDATE, Action.DELETE}),
        FailureKind.HELD: frozenset({Action.DELETE}),
    }
)
"""Result → the actions that can have it; a result not listed here can be any action's."""

_SENT_BY_EVERY_RUN = (Action.LIST, Action.CREATE)
"""Their series exist from the first scrape; those of other actions once a run says that it sends them."""


class RunMetrics(Collector):
    """A listener that counts, and the collector that shows its counts."""

    def __init__(self, task: str, *, clock: Callable[[], float] = time.time, kept: Iterable[Sample] = ()) -> None:
        """Start at zero.

        Args:
            task: A label of every sample. It keeps several tasks' files in one folder apart.
            clock: Seconds since the epoch.
            kept: Samples of an earlier run's file to write again: see `KEPT`.
        """
        kept = list(kept)
        self._task = task
        self._clock = clock
        self._tally = Tally(time.monotonic)
        self._by_account = AccountMetrics()
        self._of_sync = SyncMetrics(sample for sample in kept if sample.name in KEPT_METRICS)
        self._began_at = clock()
        self._ended_at: float | None = None
        self._exit_code: int | None = None
        self._last_success_at = next((sample.value for sample in kept if sample.name == _LAST_SUCCESS), None)
        self._labels = {"version": installed_version()}
        self._rows: dict[str, int] | None = None
        # All keys exist from the start: another thread collects, and the dictionary must not grow meanwhile.
        self._requests = {(action, result): 0 for action in Action for result in _RESULTS}
        self._durations = {action: _Durations() for action in Action}
        self._retries = dict.fromkeys(Action, 0)
        self._recovered = 0
        self._asked_per_s = dict.fromkeys(Action, 0.0)
        self._allowed_per_s = dict.fromkeys(Action, 0.0)
        self._sent = frozenset(_SENT_BY_EVERY_RUN)

    def __call__(self, event: Event) -> None:
        """Count one event."""
        self._tally(event)
        self._by_account(event)
        self._of_sync(event)
        match event:
            case AttemptMade(attempt):
                self._count(attempt)
            case RowSettled(settlement):
                self._recovered += settlement.recovered
            case RetryScheduled(action=action):
                self._retries[action] += 1
            case RateChanged(action=action, per_s=per_s):
                self._allowed_per_s[action] = per_s
            case RunStarted():
                self._start(event)
            case RunEnded(summary):
                self._rows = dict(summary.outcomes)
                self._of_sync.end(event, self._clock())
                self.end(summary.exit_code)

    def end(self, exit_code: int) -> None:
        """Note that the run is over."""
        self._ended_at, self._exit_code = self._clock(), exit_code
        if exit_code in _SUCCESS:
            self._last_success_at = self._ended_at

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value, for the registry."""
        for metric in self._metrics():
            metric.samples = [
                sample._replace(labels={"task": self._task, **sample.labels}) for sample in metric.samples
            ]
            yield metric

    def _metrics(self) -> Iterator[Metric]:
        yield InfoMetricFamily("bulk_run", METRICS["bulk_run"], value=self._labels)
        yield from self._moments()
        yield _gauges("bulk_rows", ("outcome",), _keyed(self._rows or self._rows_so_far()))
        yield from self._traffic()
        yield CounterMetricFamily("bulk_recovered", METRICS["bulk_recovered"], value=self._recovered)
        yield from self._rates()
        yield from self._by_account.collect()
        yield from self._of_sync.collect()

    def _rates(self) -> Iterator[Metric]:
        """Yield the rates. If there are accounts, yield each account's, as each has its own."""
        asked, granted = self._by_account.rates()
        if asked:
            yield _gauges("bulk_rate_asked_per_second", ("account", "action"), asked)
            yield _gauges("bulk_rate_granted_per_second", ("account", "action"), granted)
            return
        yield _gauges("bulk_rate_asked_per_second", ("action",), _keyed(self._of_sent(self._asked_per_s)))
        yield _gauges("bulk_rate_granted_per_second", ("action",), _keyed(self._of_sent(self._allowed_per_s)))

    def _is_sent(self, action: Action) -> bool:
        return action in self._sent

    def _of_sent(self, by_action: Mapping[Action, float]) -> dict[str, float]:
        return {action: value for action, value in by_action.items() if self._is_sent(action)}

    def _start(self, event: RunStarted) -> None:
        self._sent |= event.rates.keys()
        known = {"run_id": event.run_id, "input": event.input, "ledger": event.ledger, "target": event.target}
        self._labels = self._labels | known
        self._asked_per_s.update(event.rates)
        for action, per_s in self._asked_per_s.items():
            self._allowed_per_s[action] = self._allowed_per_s[action] or per_s  # perhaps it changed already

    def _count(self, attempt: Attempt) -> None:
        result = attempt.failure or _OK
        self._requests[attempt.action, result] += 1
        self._durations[attempt.action].add(attempt.latency_s)

    def _rows_so_far(self) -> dict[str, int]:
        """Return the rows as they are now; of a sync as it found them, since its look and its work both settle rows."""
        state = self._tally.look()
        if state.started and state.started.syncs:
            return state.started.outcomes
        still_open = state.rows - state.settled
        return {**dict.fromkeys(ROW_OUTCOMES, 0), **state.counts, Outcome.PENDING: still_open}

    def _moments(self) -> Iterator[Metric]:
        moments = {
            "bulk_run_start_timestamp_seconds": self._began_at,
            "bulk_run_end_timestamp_seconds": self._ended_at,
            "bulk_run_exit_code": self._exit_code,
            _LAST_SUCCESS: self._last_success_at,
        }
        for name, value in moments.items():
            if value is not None:
                yield GaugeMetricFamily(name, METRICS[name], value=value)

    def _traffic(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("bulk_requests", METRICS["bulk_requests"], labels=["action", "result"])
        for (action, result), number in self._requests.items():
            if self._is_sent(action) and action in _ONLY_OF.get(result, self._sent):
                requests.add_metric([action, result], number)
        retries = CounterMetricFamily("bulk_retries", METRICS["bulk_retries"], labels=["action"])
        for action, number in self._retries.items():
            if self._is_sent(action):
                retries.add_metric([action], number)
        name = "bulk_request_duration_seconds"
        durations = HistogramMetricFamily(name, METRICS[name], labels=["action"])
        for action, took in self._durations.items():
            if self._is_sent(action):
                durations.add_metric([action], took.cumulated(), took.sum_s)
        yield from (requests, retries, durations)


class _Durations:
    """Counts requests by their duration."""

    def __init__(self) -> None:
        self._requests = [0] * (len(_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, took_s: float) -> None:
        self._requests[bisect_left(_BUCKETS_S, took_s)] += 1
        self.sum_s += took_s

    def cumulated(self) -> list[tuple[str, float]]:
        names = [*map(str, _BUCKETS_S), "+Inf"]
        return list(zip(names, accumulate(self._requests), strict=True))


@contextmanager
def metrics_file(path: Path, *, complain: Callable[[OSError], None], every_s: float = _EVERY_S) -> Iterator[RunMetrics]:
    """Yield a listener, and keep a file up to date with its events until the block ends.

    The whole file is replaced each time, so that a collector never reads half of it.

    Args:
        path: Path of the file; the node exporter reads files that end in ``.prom``.
        complain: Called once when writing starts to fail, and once more if it recovers and fails again. The run goes
            on.
        every_s: Seconds from one writing to the next.

    Raises:
        OSError: The file can't be written at the start.
    """
    metrics = RunMetrics(path.stem, kept=_read_kept(path))
    registry = CollectorRegistry()
    registry.register(metrics)

    def write() -> None:
        # No waiting here: a collector that left a pipe must not keep the run from ending.
        with replaced(path, patient=False) as out:
            out.write(generate_latest(registry))

    write()
    with _repeated(write, every_s, complain):
        try:
            yield metrics
        except BaseException as exc:
            metrics.end(_exit_code(exc))
            raise


@contextmanager
def _repeated(write: Callable[[], None], every_s: float, complain: Callable[[OSError], None]) -> Iterator[None]:
    """Write now and then, and once more at the end. Don't wait for a disk that does not answer."""
    over = threading.Event()
    kept = _Kept(write, complain)

    def repeat() -> None:
        while not over.wait(every_s):
            kept.write()
        kept.write()

    thread = threading.Thread(target=repeat, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_PATIENCE_S)
        if thread.is_alive():
            complain(TimeoutError(errno.ETIMEDOUT, "the disk does not answer"))


class _Kept:
    """A file that is written repeatedly: a disk that is full now may have room the next time."""

    def __init__(self, write: Callable[[], None], complain: Callable[[OSError], None]) -> None:
        self._write = write
        self._complain = complain
        self._is_lost = False

    def write(self) -> None:
        try:
            self._write()
        except OSError as exc:
            if not self._is_lost:
                self._complain(exc)
            self._is_lost = True
        else:
            self._is_lost = False


def _gauges(name: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    gauges = GaugeMetricFamily(name, METRICS[name], labels=labels)
    for value_of, value in values.items():
        gauges.add_metric(value_of, value)
    return gauges


def _keyed(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def _exit_code(exc: BaseException) -> int:
    if isinstance(exc, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return exc.exit_code if isinstance(exc, BulkError) else ExitCode.STOPPED


def _read_kept(path: Path) -> list[Sample]:
    """Return the samples of an earlier run to write again; nothing if another program wrote the file."""
    if not path.is_file():
        return []  # reading from a pipe or a terminal would block
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []
    return [sample for family in families for sample in family.samples if sample.name in KEPT]
