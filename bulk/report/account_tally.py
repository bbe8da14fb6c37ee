"""Count what a run announces of each account. Pure: no I/O; the clock is given by the tally that owns this."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.events import SyncPhase
from bulk.model import Action
from bulk.report.speed import Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.events import AccountStart

__all__ = ["AccountState", "AccountTallies"]

_SPAN_S = 30.0
"""Span over which an account's speed is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """State of an account at one moment."""

    name: str
    rows: int
    settled: int
    """Rows that this run need not try any more."""

    left_s: float | None
    """Time left at its present speed; ``None``: not known, or it stopped."""

    stopped: str | None
    """Why nothing more is sent for it; ``None``: it is at work, or done."""

    phase: SyncPhase | None = None
    """In a sync, ``rows`` counts the products that it looks at, or its changes; ``None``: it counts rows."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.settled >= self.rows and self.phase is not SyncPhase.LOOK


class AccountTallies:
    """Counts for each account, once a run announces accounts."""

    def __init__(self) -> None:
        """Start without accounts."""
        self._accounts: Mapping[str, _Account] = {}
        self._early: Counter[str] = Counter()
        """Account → rows that were settled before the run said how many it has."""

        self._stopped: dict[str, str] = {}

    def start(
        self, accounts: Mapping[str, AccountStart], count_open: Callable[[AccountStart], int], now: float
    ) -> None:
        """Start to count; include rows that were settled meanwhile.

        Args:
            accounts: As the run announced them.
            count_open: Rows that the run tries.
            now: Time of the tally's clock.
        """
        # Assigned only when complete: another thread reads this dictionary, which must not grow meanwhile.
        self._accounts = {
            name: _Account(start, count_open(start) - self._early[name], now) for name, start in accounts.items()
        }

    def settle(self, account: str) -> None:
        """Count a row that this run need not try any more."""
        if known := self._accounts.get(account):
            known.open -= 1
        else:
            self._early[account] += 1

    def stop(self, account: str, reason: str) -> None:
        """Note that nothing more is sent for an account."""
        self._stopped[account] = reason

    def stopped_by_name(self) -> dict[str, str | None]:
        """Return all known accounts, each with the reason why it stopped, if it did."""
        return dict.fromkeys(self._accounts) | self._stopped.copy()

    def look(self, now: float) -> tuple[AccountState, ...]:
        """Return the state of each account in the settings' order, even if it stopped before the start."""
        stopped = self._stopped.copy()
        states = [account.look(name, now, stopped.pop(name, None)) for name, account in self._accounts.items()]
        early = (AccountState(name=name, rows=0, settled=0, left_s=None, stopped=why) for name, why in stopped.items())
        return (*states, *early)


class _Account:
    def __init__(self, start: AccountStart, open_rows: int, now: float) -> None:
        self._rows = start.rows - start.outside
        self._per_s = start.rates[Action.CREATE]
        self._since = now
        self._speed = Speed(_SPAN_S, since=now, count=self._rows - open_rows)
        self.open = open_rows

    def look(self, name: str, now: float, stopped: str | None) -> AccountState:
        settled = self._rows - self.open
        per_s = self._speed.look(now, settled)
        return AccountState(
            name=name,
            rows=self._rows,
            settled=settled,
            left_s=None if stopped else self._left_s(now, per_s),
            stopped=stopped,
        )

    def _left_s(self, now: float, per_s: float) -> float | None:
        if self.open <= 0:
            return 0.0
        if per_s > 0:
            return self.open / per_s
        # A guess at first. Later, if nothing is settled, the time left is unknown.
        return self.open / self._per_s if self._per_s and now - self._since < _SPAN_S else None
