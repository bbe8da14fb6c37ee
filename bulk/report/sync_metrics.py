"""Metrics of a sync: what it changed, what waits for approval, when all last matched the file. Pure: no I/O.

Values known only after a sync has ended are kept from the earlier file: an alert must not stop when a new sync starts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from bulk.control.reconcile import Kept
from bulk.events import RowSettled, RunEnded, RunStarted
from bulk.model import ChangeKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

    from bulk.events import Event
    from bulk.model import Settlement, Summary

__all__ = ["KEPT_METRICS", "SYNC_METRICS", "SyncMetrics"]

SYNC_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "bulk_changes": "Changes that this sync carried out, by kind.",
        "bulk_withheld": "Changes that wait for your approval since the last sync, by kind.",
        "bulk_contested": "Rows whose update somebody undoes every night, so syncs no longer send it.",
        "bulk_surplus": "Owned modules that left the file and stay on the platform, by reason.",
        "bulk_last_converged_timestamp_seconds": "When everything in the file was last as the file says.",
    }
)
"""Every metric that only a sync has → its help text. If accounts are named, each has the label ``account``."""

_CONVERGED = "bulk_last_converged_timestamp_seconds"

KEPT_METRICS = frozenset({"bulk_withheld", "bulk_contested", "bulk_surplus", _CONVERGED})
"""Metrics that keep the values of an earlier sync's file until this sync ends."""

_LABEL = {"bulk_changes": "kind", "bulk_withheld": "kind", "bulk_surplus": "reason"}

_KINDS = {
    Outcome.CREATED: ChangeKind.CREATE,
    Outcome.UPDATED: ChangeKind.UPDATE,
    Outcome.DELETED: ChangeKind.DELETE,
}

_Values = dict[tuple[str, str], float]
"""(account, kind or reason) → value; the second is empty if a metric has no such label."""


class SyncMetrics:
    """A listener that counts what syncs do, and yields the counts as metrics."""

    def __init__(self, kept: Iterable[Sample] = ()) -> None:
        """Start with the values of an earlier file.

        Args:
            kept: The file's samples of `KEPT_METRICS`.
        """
        self._values: dict[str, _Values] = {name: {} for name in SYNC_METRICS}
        for sample in kept:
            key = (sample.labels.get("account", ""), sample.labels.get(_LABEL.get(sample.name, ""), ""))
            self._values[sample.name][key] = sample.value
        self._is_sync = False

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RowSettled(settlement):
                self._count(settlement)  # with very many rows, some settle before the start is announced
            case RunStarted():
                self._start(event)

    def end(self, event: RunEnded, at: float) -> None:
        """Take the final counts of a sync.

        Args:
            event: The end of a sync; that of a run changes nothing.
            at: Present time, in seconds since the epoch.
        """
        summary = event.summary
        if summary.changes is not None:
            self._values = {name: self._kept_of(name, summary) | _found(name, summary, at) for name in SYNC_METRICS}

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value, except those without a known value."""
        for name, values in self._values.items():
            known = values.copy()  # another thread collects, and the dictionary must not grow meanwhile
            if known and (self._is_sync or name in KEPT_METRICS):
                yield _family(name, known)

    def _start(self, event: RunStarted) -> None:
        self._is_sync = event.syncs
        if event.syncs:
            accounts = list(event.accounts) or [""]
            zeros = {(account, kind.value): 0.0 for account in accounts for kind in ChangeKind}
            self._values["bulk_changes"] = zeros | self._values["bulk_changes"]

    def _count(self, settlement: Settlement) -> None:
        kind = _KINDS.get(settlement.outcome)
        if kind is not None and settlement.code is None:
            changes, key = self._values["bulk_changes"], (settlement.account, kind.value)
            changes[key] = changes.get(key, 0.0) + 1

    def _kept_of(self, name: str, summary: Summary) -> _Values:
        """Return the earlier values of accounts that this sync did not try; for convergence times, of all accounts."""
        if name not in KEPT_METRICS:
            return {}
        known = summary.accounts.keys() or {""}
        untried = known - summary.figures.keys()
        still = known if name == _CONVERGED else untried
        return {key: value for key, value in self._values[name].items() if key[0] in still}


def _found(name: str, summary: Summary, at: float) -> _Values:
    found: _Values = {}
    for account, figures in summary.figures.items():
        match name:
            case "bulk_changes":
                found |= {(account, kind): changes for kind, changes in figures.changes.items()}
            case "bulk_withheld":
                found |= {(account, kind): changes for kind, changes in figures.withheld.items()}
            case "bulk_surplus":
                # All reasons, so that one that is gone becomes 0. For an account only its own: 150 would have too many.
                reasons = {} if account else dict.fromkeys(map(str, Kept), 0)
                found |= {(account, reason): modules for reason, modules in (reasons | dict(figures.surplus)).items()}
            case "bulk_contested":
                found[account, ""] = figures.contested
            case _ if figures.converged:
                found[account, ""] = at
    return found


def _family(name: str, values: _Values) -> Metric:
    label = _LABEL.get(name)
    has_accounts = any(account for account, _ in values)
    labels = [*(["account"] if has_accounts else []), *([label] if label else [])]
    of_kind = CounterMetricFamily if name == "bulk_changes" else GaugeMetricFamily
    family = of_kind(name, SYNC_METRICS[name], labels=labels)
    for (account, which), value in values.items():
        family.add_metric([*([account] if has_accounts else []), *([which] if label else [])], value)
    return family
