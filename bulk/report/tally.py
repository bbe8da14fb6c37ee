"""Count what a run announces, and give its state at any moment. Pure: no I/O; the caller gives the clock.

An event costs only a count. Rates, time left and the reason for waiting are worked out only in `look`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.events import (
    AccountStopped,
    AttemptMade,
    IngestProgressed,
    LaneClosed,
    LaneOpened,
    LookStarted,
    PhaseStarted,
    PlanStarted,
    RateChanged,
    RetryScheduled,
    RowSettled,
    RunStarted,
    RunStopping,
    SyncPhase,
)
from bulk.model import OPEN_OUTCOMES, ROW_OUTCOMES, TRIED_AGAIN_OUTCOMES, Action
from bulk.report.account_tally import AccountState, AccountTallies
from bulk.report.speed import Speed
from bulk.report.sync_tally import SyncTally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.events import AccountStart, Event
    from bulk.model import Settlement
    from bulk.report.sync_tally import SyncState

__all__ = ["RunState", "Tally", "open_rows"]

_RATE_SPAN_S = 10.0
"""Span of the present rate: long enough for ten requests at the slowest granted rate."""

_DONE_WITH = frozenset(ROW_OUTCOMES) - TRIED_AGAIN_OUTCOMES
"""Outcomes of rows that no run tries again. All other rows are open, even if earlier runs tried them."""

_RETRY_SPAN_S = 5.0
"""How long after a retry `waiting_for` still names it."""

_AT_THE_LIMIT = 0.9
"""From this share of the granted rate on, the rate limit is what slows the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """State of a run at one moment."""

    started: RunStarted | None
    """``None`` while the input is still being read, and in a plan."""

    products: int | None = None
    """Products that a plan lists; ``None``: it is no plan, or it still reads the input."""

    listed: int = 0
    """Products that are listed already."""

    doing: str = "Planning"
    """Purpose of the listing, as shown on screens."""

    rows: int
    """Rows of the input without those that the run leaves out; while the input is read, rows so far."""

    settled: int
    counts: Mapping[str, int]
    """Outcome → rows that this run need not try any more; outcomes without rows may be missing."""

    elapsed_s: float
    """Time since the first request was possible; 0 while the input is read."""

    create_per_s: float
    """Creates a second over the last seconds; of a sync, products or changes."""

    allowed_per_s: float
    """Creates a second that the pace allows now; 0: unlimited."""

    left_s: float | None
    """Time left at the present speed; ``None``: not known yet."""

    lanes: int
    """Products being worked on."""

    waiting_for: str
    """What slows the run, in a few words."""

    stopping: str | None
    """Why the run is stopping; ``None``: it isn't."""

    phase: SyncPhase | None = None
    """In a sync, ``rows`` counts the products that it looks at, or its changes; ``None``: it is no sync."""

    accounts: tuple[AccountState, ...] = ()
    """Accounts that the run works on, and those that stopped before it started; empty: none are named."""


def open_rows(event: RunStarted | AccountStart) -> int:
    """Return how many rows a run, or an account, will try after this start."""
    return event.rows - event.outside - sum(event.outcomes.get(outcome, 0) for outcome in _DONE_WITH)


class Tally:
    """A listener that counts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start at zero.

        Args:
            clock: Monotonic seconds, such as ``time.monotonic``.
        """
        self._clock = clock
        self._read = 0
        self._started: RunStarted | None = None
        self._started_at = 0.0
        # All outcomes exist from the start: another thread reads this dictionary, which must not grow meanwhile.
        self._counts: Counter[str] = Counter(dict.fromkeys(ROW_OUTCOMES, 0))
        self._open = 0
        self._creates = 0
        self._allowed_per_s = 0.0
        self._lanes = 0
        self._closed = 0
        self._products: int | None = None
        self._doing = "Planning"
        self._retry: tuple[float, str] | None = None
        self._stopping: str | None = None
        self._accounts = AccountTallies()
        self._sync = SyncTally(clock())
        self._create_speed = Speed(_RATE_SPAN_S, since=clock())
        self._settle_speed = Speed(_RATE_SPAN_S * 3, since=clock())

    def __call__(self, event: Event) -> None:  # noqa: C901 - one flat case an event is the plainest dispatch
        """Count one event."""
        match event:
            case RowSettled(settlement):
                self._settle(settlement)
            case AttemptMade(attempt):
                self._creates += attempt.action is Action.CREATE
            case LaneOpened() | LaneClosed():
                self._count_lane(event)
            case PhaseStarted():
                self._sync.begin(event, self._clock())
            case PlanStarted(products):
                self._products = products
            case LookStarted(doing, products):
                self._doing, self._products = doing, products
            case RetryScheduled(code=code):
                self._retry = (self._clock(), code)
            case RateChanged(action=Action.CREATE, per_s=per_s, account=""):
                self._allowed_per_s = per_s
            case IngestProgressed(rows):
                self._read = rows
            case RunStarted():
                self._start(event)
            case AccountStopped() | RunStopping():
                self._stop(event)

    def look(self) -> RunState:
        """Return the present state of the run."""
        now = self._clock()
        if self._started and self._started.syncs:
            return self._look_at_sync(self._started, now)
        rows = self._started.rows - self._started.outside if self._started else self._read
        settled = rows - self._open if self._started else 0
        accounts = self._accounts.look(now)
        create_per_s = self._create_speed.look(now, self._creates)
        done_per_s = self._settle_speed.look(now, settled if self._started else self._closed)
        return RunState(
            started=self._started,
            products=self._products,
            listed=self._closed,
            doing=self._doing,
            rows=rows,
            settled=settled,
            counts=+self._counts if self._started else {},
            elapsed_s=now - self._started_at if self._started else 0.0,
            create_per_s=create_per_s,
            allowed_per_s=self._allowed_per_s,
            left_s=_longest(accounts) if accounts and self._started else self._left_s(now, done_per_s),
            lanes=self._lanes,
            waiting_for=self._waiting_for(now, create_per_s),
            stopping=self._stopping,
            accounts=accounts,
        )

    def _look_at_sync(self, started: RunStarted, now: float) -> RunState:
        state = self._sync.look(now)
        accounts = self._sync.accounts(self._accounts.stopped_by_name(), now)
        return RunState(
            started=started,
            rows=state.total,
            settled=state.done,
            counts=state.counts,
            elapsed_s=now - self._started_at,
            create_per_s=state.per_s,
            allowed_per_s=0.0,
            left_s=state.left_s,
            lanes=self._lanes,
            waiting_for=self._why_waiting(now) or _what_holds_back(started, state),
            stopping=self._stopping,
            phase=state.phase,
            accounts=accounts,
        )

    def _start(self, event: RunStarted) -> None:
        self._started = event
        self._started_at = self._clock()
        # Counting very many rows takes time: meanwhile some were settled, and the rate may have changed.
        self._counts.update({outcome: event.outcomes.get(outcome, 0) for outcome in _DONE_WITH})
        self._open += open_rows(event)
        self._accounts.start(event.accounts, open_rows, self._started_at)
        # Each account has its own rate, and accounts of one rate group share it: there is no limit for the whole run.
        self._allowed_per_s = 0.0 if event.accounts else self._allowed_per_s or event.rates[Action.CREATE]
        # Measured from here, since the first look may come ten seconds later. Rows settled before don't count as speed.
        self._create_speed = Speed(_RATE_SPAN_S, since=self._started_at, count=self._creates)
        settled = event.rows - event.outside - self._open
        self._settle_speed = Speed(_RATE_SPAN_S * 3, since=self._started_at, count=settled)

    def _stop(self, event: AccountStopped | RunStopping) -> None:
        if isinstance(event, AccountStopped):
            self._accounts.stop(event.account, event.reason)
        else:
            self._stopping = event.reason

    def _count_lane(self, event: LaneOpened | LaneClosed) -> None:
        closed = isinstance(event, LaneClosed)
        self._lanes += -1 if closed else 1
        self._closed += closed
        if closed:
            self._sync.close_lane(event.account)

    def _settle(self, settlement: Settlement) -> None:
        self._sync.settle(settlement)
        if settlement.outcome in OPEN_OUTCOMES or settlement.line is None:
            return
        if settlement.account:
            self._accounts.settle(settlement.account)
        self._counts[settlement.outcome] += 1
        self._open -= 1

    def _left_s(self, now: float, per_s: float) -> float | None:
        if self._started is None:
            return ((self._products or 0) - self._closed) / per_s if per_s > 0 else None
        if self._open == 0:
            return 0.0
        if per_s > 0:
            return self._open / per_s
        # A guess at first. Later a speed of 0 means that nothing is settled, so the time left is unknown.
        at_first = now - self._started_at < _RATE_SPAN_S
        return self._open / self._allowed_per_s if at_first and self._allowed_per_s else None

    def _waiting_for(self, now: float, create_per_s: float) -> str:
        if self._started is None:
            return "the input to be read"
        if self._allowed_per_s and self._allowed_per_s < self._started.rates[Action.CREATE]:
            return "the platform's throttle"
        if why := self._why_waiting(now):
            return why
        if self._allowed_per_s and create_per_s >= self._allowed_per_s * _AT_THE_LIMIT:
            return "the rate limit"
        return "the platform's replies" if self._lanes > 0 else "the ledger"

    def _why_waiting(self, now: float) -> str | None:
        is_new = self._retry and now - self._retry[0] <= _RETRY_SPAN_S
        return f"a retry after {self._retry[1]}" if self._retry and is_new else None


def _what_holds_back(started: RunStarted, state: SyncState) -> str:
    listed_per_s = started.rates.get(Action.LIST, 0.0) if state.phase is SyncPhase.LOOK else 0.0
    at_the_limit = listed_per_s and state.per_s >= listed_per_s * _AT_THE_LIMIT
    return "the rate limit" if at_the_limit else "the platform's replies"


def _longest(accounts: tuple[AccountState, ...]) -> float | None:
    """Return the longest time left of the accounts at work; ``None``: not known yet."""
    left = [account.left_s for account in accounts if not account.stopped]
    known = [left_s for left_s in left if left_s is not None]
    return max(known, default=0.0) if len(known) == len(left) else None
