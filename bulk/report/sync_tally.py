"""Count how far a sync is: first the products it looked at, then the changes it made. Pure: no I/O.

Rows are not counted: the look settles some, and the work settles them again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bulk.events import SyncPhase
from bulk.model import OPEN_OUTCOMES, Outcome
from bulk.report.account_tally import AccountState
from bulk.report.speed import Speed

if TYPE_CHECKING:
    from bulk.events import PhaseStarted
    from bulk.model import Settlement

__all__ = ["SyncState", "SyncTally"]

_SPAN_S = 30.0
"""Span over which a speed is measured."""


class SyncState(NamedTuple):
    """How far a sync is at one moment."""

    phase: SyncPhase
    """``LOOK`` until the look at every account has ended."""

    total: int
    """Products or changes, by the phase."""

    done: int
    counts: dict[str, int]
    """Outcome → changes so far."""

    per_s: float
    left_s: float | None
    """Time left in this phase; ``None``: not known."""


class SyncTally:
    """A sync's phases, account by account."""

    def __init__(self, now: float) -> None:
        """Start before the first phase.

        Args:
            now: Time of the tally's clock, as in every method.
        """
        self._accounts: dict[str, _Account] = {}
        # All outcomes exist from the start: another thread reads this dictionary, which must not grow meanwhile.
        self._counts: Counter[str] = Counter(dict.fromkeys(Outcome, 0))
        self._speeds = {phase: Speed(_SPAN_S, since=now) for phase in SyncPhase}

    def begin(self, event: PhaseStarted, now: float) -> None:
        """Take note of an account's next phase."""
        # Assigned only when complete, for the same reason.
        known = self._accounts | {event.account: _Account(event, self._accounts.get(event.account), now)}
        self._accounts = known

    def close_lane(self, account: str) -> None:
        """Count a product that the sync has looked at, or is done with."""
        if (known := self._accounts.get(account)) and known.phase is SyncPhase.LOOK:
            known.done += 1

    def settle(self, settlement: Settlement) -> None:
        """Count a finished change; what a look settles is no change."""
        known = self._accounts.get(settlement.account)
        if known is None or known.phase is SyncPhase.LOOK or settlement.outcome in OPEN_OUTCOMES:
            return
        known.done += 1
        self._counts[settlement.outcome] += 1

    def look(self, now: float) -> SyncState:
        """Return how far it is over all accounts."""
        accounts = self._accounts.values()
        looking = not accounts or any(account.phase is SyncPhase.LOOK for account in accounts)
        phase = SyncPhase.LOOK if looking else SyncPhase.WORK
        total = sum(account.totals[phase] for account in accounts)
        done = sum(account.done_in(phase) for account in accounts)
        per_s = self._speeds[phase].look(now, done)
        left_s = (total - done) / per_s if per_s > 0 else None
        return SyncState(phase, total, done, dict(+self._counts), per_s, 0.0 if accounts and done >= total else left_s)

    def accounts(self, names: dict[str, str | None], now: float) -> tuple[AccountState, ...]:
        """Return how far each account is.

        Args:
            names: Account → why it stopped; ``None``: it did not.
            now: Time of the tally's clock.
        """
        return tuple(
            known.look(name, stopped, now)
            if (known := self._accounts.get(name))
            else AccountState(name=name, rows=0, settled=0, left_s=None, stopped=stopped)
            for name, stopped in names.items()
        )


class _Account:
    def __init__(self, event: PhaseStarted, before: _Account | None, now: float) -> None:
        self.phase = event.phase
        self.totals: dict[SyncPhase, int] = {
            SyncPhase.LOOK: before.totals[SyncPhase.LOOK] if before else event.products,
            SyncPhase.WORK: event.changes,
        }
        self.done = 0
        self._speed = Speed(_SPAN_S, since=now)

    def done_in(self, phase: SyncPhase) -> int:
        if phase is self.phase:
            return min(self.done, self.totals[phase])
        return self.totals[phase] if phase is SyncPhase.LOOK else 0

    def look(self, name: str, stopped: str | None, now: float) -> AccountState:
        total, done = self.totals[self.phase], self.done_in(self.phase)
        per_s = self._speed.look(now, done)
        left_s = 0.0 if done >= total else (total - done) / per_s if per_s > 0 else None
        return AccountState(
            name=name, rows=total, settled=done, left_s=None if stopped else left_s, stopped=stopped, phase=self.phase
        )
