"""Metrics of each account, where a run names any: they have the label ``account``. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from bulk.events import AccountStopped, AttemptMade, RateChanged, RowSettled, RunEnded, RunStarted
from bulk.model import OPEN_OUTCOMES, ROW_OUTCOMES, TRIED_AGAIN_OUTCOMES, Action, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from bulk.events import AccountStart, Event
    from bulk.model import AccountSummary, Attempt

    _Rates = dict[tuple[str, ...], float]

__all__ = ["ACCOUNT_METRICS", "AccountMetrics"]

ACCOUNT_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "bulk_account_rows": "Rows of the input, by account and outcome.",
        "bulk_account_requests": "Requests of this run, by account, action and result: ok, or the failure's class.",
        "bulk_account_stopped": "1: the account can't go on, so no more requests are sent for it.",
        "bulk_account_exit_code": "Exit code of a run of this account alone; absent: at work, or not tried.",
    }
)
"""Every metric that only a run with accounts has → its help text."""

_OK = "ok"
_FROM_THE_START = tuple(
    (action, result) for action in (Action.LIST, Action.CREATE) for result in (_OK, FailureKind.THROTTLED)
)
"""Series that exist from the first scrape. The others of 150 accounts appear once they have something to count."""


class AccountMetrics:
    """A listener that counts for each account, and yields the counts as metrics."""

    def __init__(self) -> None:
        """Start without accounts."""
        self._accounts: dict[str, _Account] = {}
        self._syncs = False
        """A sync settles a row when it looks and again when it works, so its rows are counted once it has ended."""

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RowSettled(settlement) if settlement.account and settlement.line is not None and not self._syncs:
                self._of(settlement.account).settle(settlement.outcome)
            case AttemptMade(attempt) if attempt.account:
                self._of(attempt.account).count(attempt)
            case AccountStopped():
                self._of(event.account).stopped = True
            case RateChanged() if event.account:
                self._of(event.account).granted_per_s[event.action] = event.per_s
            case RunStarted():
                self._syncs = event.syncs
                for name, start in event.accounts.items():
                    self._of(name).start(start, syncs=event.syncs)
            case RunEnded(summary):
                for name, account in summary.accounts.items():
                    self._of(name).end(account)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is; none if no account is named."""
        # A copy: another thread collects, and the dictionary must not grow meanwhile.
        accounts = self._accounts.copy()
        if accounts:
            yield _rows(accounts)
            yield _requests(accounts)
            yield _gauge("bulk_account_stopped", {name: float(one.stopped) for name, one in accounts.items()})
            codes = {name: one.exit_code for name, one in accounts.items() if one.exit_code is not None}
            yield _gauge("bulk_account_exit_code", codes)

    def rates(self) -> tuple[_Rates, _Rates]:
        """Return the rates asked for and granted, by account and action."""
        accounts = self._accounts.copy().items()
        asked: _Rates = {}
        granted: _Rates = {}
        for name, account in accounts:
            asked |= {(name, action): per_s for action, per_s in account.asked_per_s.copy().items()}
            granted |= {(name, action): per_s for action, per_s in account.granted_per_s.copy().items()}
        return asked, asked | granted

    def _of(self, name: str) -> _Account:
        return self._accounts.setdefault(name, _Account())


class _Account:
    """What is counted of one account."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter(dict.fromkeys(ROW_OUTCOMES, 0))
        self.requests: Counter[tuple[str, str]] = Counter(dict.fromkeys(_FROM_THE_START, 0))
        self.asked_per_s: dict[Action, float] = {}
        self.granted_per_s: dict[Action, float] = {}
        self.stopped = False
        self.exit_code: int | None = None

    def start(self, start: AccountStart, *, syncs: bool) -> None:
        """Take the rows as they were before the first request, and count those settled since."""
        self.asked_per_s = dict(start.rates)
        if syncs:
            self.rows = Counter(start.outcomes)
            return
        for outcome, rows in start.outcomes.items():
            if outcome not in TRIED_AGAIN_OUTCOMES:
                self.rows[outcome] += rows
        tried = sum(start.outcomes.get(outcome, 0) for outcome in TRIED_AGAIN_OUTCOMES)
        self.rows[Outcome.PENDING] += tried  # rows settled since have made it negative

    def settle(self, outcome: Outcome) -> None:
        """Count a row that is no longer pending."""
        if outcome not in OPEN_OUTCOMES:
            self.rows[outcome] += 1
            self.rows[Outcome.PENDING] -= 1

    def count(self, attempt: Attempt) -> None:
        """Count a request."""
        self.requests[attempt.action, attempt.failure or _OK] += 1

    def end(self, summary: AccountSummary) -> None:
        """Take the run's final counts."""
        self.rows = Counter(summary.outcomes)
        self.exit_code = summary.exit_code


def _rows(accounts: Mapping[str, _Account]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("bulk_account_rows", ACCOUNT_METRICS["bulk_account_rows"], labels=["account", "outcome"])
    for name, account in accounts.items():
        for outcome, rows in account.rows.copy().items():
            family.add_metric([name, outcome], rows)
    return family


def _requests(accounts: Mapping[str, _Account]) -> CounterMetricFamily:
    metric = "bulk_account_requests"
    family = CounterMetricFamily(metric, ACCOUNT_METRICS[metric], labels=["account", "action", "result"])
    for name, account in accounts.items():
        for (action, result), number in account.requests.copy().items():
            family.add_metric([name, action, result], number)
    return family


def _gauge(metric: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric, ACCOUNT_METRICS[metric], labels=["account"])
    for name, value in values.items():
        family.add_metric([name], value)
    return family
