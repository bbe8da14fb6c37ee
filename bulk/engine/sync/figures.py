"""What a sync did for each account, and what it left: for metrics, which cover every account."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.ledger.planning import ADOPT
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.views.approvals import read_approvals
from bulk.model import ChangeKind, Outcome, SyncFigures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.engine.job import Part
    from bulk.engine.sync.night import Night
    from bulk.ledger.store import Ledger
    from bulk.ledger.views.approvals import Approval

__all__ = ["figures_by_account", "surplus_by_account"]

_DONE = {ChangeKind.CREATE: Outcome.CREATED, ChangeKind.UPDATE: Outcome.UPDATED, ChangeKind.DELETE: Outcome.DELETED}
_AS_THE_FILE_SAYS = frozenset({ExitCode.DONE, ExitCode.CHANGED})


def surplus_by_account(ledger: Ledger, accounts: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many of our modules left the file and stay on the platform: account → reason → modules.

    Raises:
        LedgerError: The ledger can't be read.
    """
    found: dict[str, dict[str, int]] = {account: {} for account in accounts}
    with translated(ledger.path):
        for account, code, count in ledger.connection.execute(query("count_surplus")):
            if account in found:
                found[account][code or "unknown"] = count
    return found


def figures_by_account(
    ledger: Ledger,
    parts: Iterable[Part],
    nights: Mapping[str, Night],
    exit_codes: Mapping[str, int | None],
    *,
    is_narrowed: bool,
) -> dict[str, SyncFigures]:
    """Return the figures of each account that was tried.

    Args:
        ledger: The ledger of the sync.
        parts: The accounts.
        nights: The work in each account; an account without a product in scope has none.
        exit_codes: Exit code of each account.
        is_narrowed: True: products of the file were left out.

    Raises:
        LedgerError: The ledger can't be read.
    """
    parts = list(parts)
    surplus = surplus_by_account(ledger, [part.name for part in parts])
    with translated(ledger.path):
        contested: dict[str, int] = dict(ledger.connection.execute(query("count_contested")).fetchall())
        # As in `bulk status`: includes what a sync of other products withheld.
        waiting = _count_waiting(read_approvals(ledger.connection, ledger.path))
    figures = {}
    for part in parts:
        night = nights.get(part.name)
        went_through = night.finished if night else not part.stop.requested
        figures[part.name] = SyncFigures(
            converged=went_through and not is_narrowed and exit_codes[part.name] in _AS_THE_FILE_SAYS,
            changes={kind.value: part.counters.changes.get(outcome, 0) for kind, outcome in _DONE.items()},
            withheld={kind.value: waiting[part.name, kind] for kind in ChangeKind},
            contested=contested.get(part.name, 0),
            surplus=surplus[part.name],
        )
    return figures


def _count_waiting(approvals: Iterable[Approval]) -> Counter[tuple[str, str]]:
    """Return how many changes wait, by account and kind; one that waits to be adopted counts as an update."""
    waiting: Counter[tuple[str, str]] = Counter()
    for approval in approvals:
        for kind, changes in approval.changes.items():
            waiting[approval.account, ChangeKind.UPDATE if kind == ADOPT else kind] += changes
    return waiting
