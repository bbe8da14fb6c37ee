"""Turn what runs sent into the figures of their charts: rates and latency percentiles over time. Pure: no I/O."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.cloud.codes import classify
from bulk.ledger.views.history import Window
from bulk.model import Action, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk.ledger.views.history import FailedAttempts, Span, Traffic

__all__ = ["PERCENTILES", "RunChart", "draw", "percentiles", "window_of"]

PERCENTILES = (0.50, 0.95, 0.99)

_MOST_SLOTS = 240
"""Most points that a chart as wide as a screen can show separately."""

_SLOT_LENGTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)
"""Lengths that read well on a time axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChart:
    """A run's figures, one value for each slot; all lists have the same length."""

    run_id: str
    slot_s: int
    at: list[int]
    """Where each slot begins, in seconds since the epoch."""

    asked_per_s: float | None
    """Creates a second that the run asked for; ``None``: unlimited."""

    per_s: dict[str, list[float]]
    """Requests a second of each action, by `Action.figure`."""

    throttled: list[int | None]
    """Requests that the platform throttled; ``None``: there were none, and nothing is drawn."""

    p50_ms: list[float | None]
    p95_ms: list[float | None]
    p99_ms: list[float | None]
    requests: dict[str, int]
    """Requests of the whole run, by `Action.figure`."""

    throttled_in_all: int
    seconds: int
    latency_ms: tuple[float | None, ...]
    """The percentiles of the whole run."""


@dataclass(slots=True)
class _Slot:
    """What was sent in one slot."""

    requests: Counter[Action] = field(default_factory=Counter)
    throttled: int = 0
    latencies_ms: Counter[float] = field(default_factory=Counter)


def window_of(span: Span) -> Window:
    """Divide a run's time into at most as many slots as a chart can show."""
    needed_s = (span.last_s - span.first_s + 1) / _MOST_SLOTS
    longest_s = _SLOT_LENGTHS_S[-1]
    slot_s = next((length_s for length_s in _SLOT_LENGTHS_S if length_s >= needed_s), None)
    return Window(span.run_id, span.first_s, slot_s or math.ceil(needed_s / longest_s) * longest_s)


def draw(
    spans: Sequence[Span],
    traffic: Iterable[Traffic],
    failed: Iterable[FailedAttempts],
    asked_per_s: Mapping[str, float],
) -> list[RunChart]:
    """Return a chart for each run.

    Args:
        spans: The runs.
        traffic: What they sent, each run's in the window from `window_of`.
        failed: The part of it that failed.
        asked_per_s: Run → creates a second that it asked for; 0: unlimited.
    """
    slots = [[_Slot() for _ in range(_slots_of(span))] for span in spans]
    for sent in traffic:
        slot = slots[sent.window][sent.slot]
        slot.requests[sent.action] += sent.requests
        slot.latencies_ms[sent.latency_ms] += sent.requests
    for refused in failed:
        if _kind_of(refused) == FailureKind.THROTTLED:
            slots[refused.window][refused.slot].throttled += refused.requests
    return [_chart(span, own, asked_per_s.get(span.run_id, 0.0)) for span, own in zip(spans, slots, strict=True)]


def percentiles(latencies_ms: Mapping[float, int]) -> tuple[float | None, ...]:
    """Return the latency that each of `PERCENTILES` of the requests did not exceed.

    Args:
        latencies_ms: Latency → requests; empty: nothing was sent, and every percentile is ``None``.
    """
    requests = sum(latencies_ms.values())
    wanted = [math.ceil(share * requests) for share in PERCENTILES]
    found: list[float | None] = []
    seen = 0
    for latency_ms in sorted(latencies_ms):
        seen += latencies_ms[latency_ms]
        while len(found) < len(wanted) and seen >= wanted[len(found)]:
            found.append(latency_ms)
    return tuple(found) if requests else (None,) * len(PERCENTILES)


def _kind_of(failed: FailedAttempts) -> str:
    return failed.failure or classify(None, failed.code, failed.http_status).kind


def _slots_of(span: Span) -> int:
    return (span.last_s - span.first_s) // window_of(span).slot_s + 1


def _chart(span: Span, slots: Sequence[_Slot], asked_per_s: float) -> RunChart:
    slot_s = window_of(span).slot_s
    at = [span.first_s + number * slot_s for number in range(len(slots))]
    # The last slot is rarely full: division by its full length would show a drop that never happened.
    lengths_s = [min(slot_s, span.last_s + 1 - start_s) for start_s in at]
    p50_ms, p95_ms, p99_ms = map(list, zip(*(percentiles(slot.latencies_ms) for slot in slots), strict=True))
    whole: Counter[float] = Counter()
    # Drawn even if none was sent: that too tells something about a run.
    sent: Counter[Action] = Counter(dict.fromkeys((Action.CREATE, Action.LIST), 0))
    for slot in slots:
        whole.update(slot.latencies_ms)
        sent.update(slot.requests)
    return RunChart(
        run_id=span.run_id,
        slot_s=slot_s,
        at=at,
        asked_per_s=asked_per_s or None,
        per_s={
            action.figure: [
                round(slot.requests[action] / length_s, 2) for slot, length_s in zip(slots, lengths_s, strict=True)
            ]
            for action in sent
        },
        throttled=[slot.throttled or None for slot in slots],
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        requests={action.figure: requests for action, requests in sent.items()},
        throttled_in_all=sum(slot.throttled for slot in slots),
        seconds=span.last_s - span.first_s + 1,
        latency_ms=percentiles(whole),
    )
