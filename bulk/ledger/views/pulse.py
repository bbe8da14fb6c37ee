"""Read what a run has sent in the last seconds: how fast it is now, seen from another terminal."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_for_reading, translated
from bulk.ledger.times import iso_utc
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Pulse", "read_pulse"]

_MOST_ATTEMPTS = 100_000
"""Most attempts to read, from the last one back: a watcher must not slow a run down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What was sent over some seconds up to now."""

    span_s: float
    per_s: Mapping[Action, float]
    """Requests a second by action; listings and creates are there also where none was sent."""

    failures: Mapping[str, int] = field(default_factory=dict)
    """Error code → attempts that ended with it, most frequent first."""

    by_account: Mapping[str, Mapping[Action, float]] = field(default_factory=dict)
    """Named accounts that sent anything → requests a second by action. Not a key of ``now``."""

    def keys(self) -> dict[str, object]:
        """Return it as the keys of ``now`` in `bulk status --json`."""
        rates = {f"{action.figure}s_per_s": per_s for action, per_s in self.per_s.items()}
        return {"span_s": self.span_s, **rates, "failures": dict(self.failures)}


def read_pulse(path: Path, *, now: float, span_s: float) -> Pulse:
    """Count what was sent since ``now - span_s``.

    Args:
        path: The ledger.
        now: In seconds since the epoch.
        span_s: How far back; more than 0.

    Raises:
        LedgerError: The ledger can't be read.
    """
    wanted = {"most": _MOST_ATTEMPTS, "since": iso_utc(now - span_s)}
    with closing(open_for_reading(path)) as connection, translated(path):
        counted = connection.execute(query("pulse"), wanted).fetchall()
    sent: Counter[Action] = Counter({Action.CREATE: 0, Action.LIST: 0})
    failures: Counter[str] = Counter()
    accounts: dict[str, Counter[Action]] = {}
    for name, code, account, attempts in counted:
        sent[Action(name)] += attempts
        accounts.setdefault(account, Counter())[Action(name)] += attempts
        if code is not None:
            failures[code] += attempts
    return Pulse(
        span_s=span_s,
        per_s=_rates(sent, span_s),
        failures=dict(failures.most_common()),
        by_account={account: _rates(sent, span_s) for account, sent in sorted(accounts.items()) if account},
    )


def _rates(sent: Mapping[Action, int], span_s: float) -> dict[Action, float]:
    return {action: attempts / span_s for action, attempts in sent.items()}
