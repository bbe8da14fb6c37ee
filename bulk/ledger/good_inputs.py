"""What the last input that went through asked for: a sync holds the next one against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["compare_keys", "note_first_good_input", "note_good_input"]


def note_first_good_input(connection: sqlite3.Connection, *, run_id: str, at: float) -> None:
    """Take the input of the last finished run for good, where no sync was good yet; the rows are still that input's.

    Args:
        connection: Within the intake's transaction.
        run_id: Of the run that asks.
        at: Now, in seconds since the epoch.
    """
    if connection.execute("SELECT 1 FROM good_syncs").fetchone():
        return
    finished = connection.execute(query("last_run_finished"), (run_id,)).fetchone()
    if finished and finished[0]:
        connection.execute(query("note_first_good_syncs"), (run_id, iso_utc(at)))
        connection.execute(query("note_first_good_keys"))


def compare_keys(connection: sqlite3.Connection) -> tuple[int, int | None, int]:
    """Return the keys of the input, those of the last good one (``None``: there was none), and how many are in both."""
    keys, good, common = connection.execute(query("compare_keys")).fetchone()
    return keys, good or None, common


def note_good_input(connection: sqlite3.Connection, path: Path, *, account: str, run_id: str, at: float) -> None:
    """Note that an account's part of the input went through; keys that stay are not written again.

    Raises:
        LedgerError: The ledger can't be written.
    """
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(query("note_good_sync"), (account, run_id, iso_utc(at)))
            connection.execute(query("forget_good_keys"), (account,))
            connection.execute(query("note_good_keys"), (account,))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
