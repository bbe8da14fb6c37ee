"""Remove old attempts, undo data and plans, so that a ledger that is used every night does not grow for ever.

The file keeps its size: SQLite uses the room again. The outcome of each module and the records of runs stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["KEEP_DAYS", "forget_old"]

KEEP_DAYS = 90
"""How long attempts and undo data are kept."""

_DAY_S = 86_400
_TOGETHER = 10_000
"""Records in one transaction at most: it takes some milliseconds, and the log stays small."""

_KINDS = ("attempts", "claims")


def forget_old(
    connection: sqlite3.Connection,
    path: Path,
    *,
    at: float,
    keep_days: float = KEEP_DAYS,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Remove what is older than so many days, except for keys in doubt; return how many attempts and claims.

    Args:
        connection: A connection for writing, used by nobody else meanwhile.
        path: The ledger, for messages.
        at: Now, in seconds since the epoch.
        keep_days: How long records are kept.
        stopped: Called between two portions; if it returns true, the rest is left for the next time.

    Raises:
        LedgerError: The ledger could not be written; what was removed before stays removed.
    """
    before = iso_utc(at - keep_days * _DAY_S)
    with translated(path):
        removed = sum(_forget(connection, kind, before, stopped) for kind in _KINDS)
        if connection.execute(query("forget_old_plans"), (before,)).rowcount:
            connection.execute(query("forget_planned_of_no_plan"), (before,))
        return removed


def _forget(connection: sqlite3.Connection, kind: str, before: str, stopped: Callable[[], bool]) -> int:
    """Walk the records in the order of writing, which is by time, up to the first portion without an old one."""
    removed, last = 0, 0
    while not stopped():
        portion = {"after": last, "most": _TOGETHER, "before": before}
        old, last = connection.execute(query(f"oldest_{kind}"), portion).fetchone()
        if not old:
            break
        removed += connection.execute(query(f"forget_{kind}"), portion | {"last": last}).rowcount
    return removed
