"""What the last input that went through asked for: a sync compares the next one with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["KeyCounts", "compare_keys", "note_first_good_input", "note_good_input"]


def note_first_good_input(connection: sqlite3.Connection, *, run_id: str, at: float) -> None:
    """Count the input that was last read as good, if no sync was good yet and the input's run finished.

    Args:
        connection: Within the intake's transaction, while the rows are still that input's.
        run_id: The present run's.
        at: Now, in seconds since the epoch.
    """
    if connection.execute("SELECT 1 FROM good_syncs").fetchone():
        return
    finished = connection.execute(query("last_input_finished")).fetchone()
    if finished and finished[0]:
        connection.execute(query("note_first_good_syncs"), (run_id, iso_utc(at)))
        connection.execute(query("note_first_good_keys"))


class KeyCounts(NamedTuple):
    """How many modules an account's part of an input asks for."""

    keys: int = 0
    good: int = 0
    """Of the last good input; 0: there was none."""

    common: int = 0
    """In both."""


def compare_keys(connection: sqlite3.Connection) -> dict[str, KeyCounts]:
    """Return, by account, how many modules the input, the last good one, and both ask for."""
    return {account: KeyCounts(*counts) for account, *counts in connection.execute(query("compare_keys"))}


def note_good_input(
    connection: sqlite3.Connection,
    path: Path,
    *,
    account: str,
    run_id: str,
    at: float,
    also_shorter: bool,
    also_others: bool,
) -> None:
    """Note that an account's part of the input went through; keys that stay are not written again.

    Args:
        connection: A connection for writing, used by nobody else meanwhile.
        path: The ledger, for messages.
        account: The account.
        run_id: The run in which it went through.
        at: Now, in seconds since the epoch.
        also_shorter: Compare the length of the next input with this one too, not with the last one.
        also_others: Compare its keys with this one too.

    Raises:
        LedgerError: The ledger can't be written.
    """
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            noted = {"account": account, "run_id": run_id, "at": iso_utc(at), "also_shorter": also_shorter}
            connection.execute(query("note_good_sync"), noted)
            if also_others:
                connection.execute(query("forget_good_keys"), (account,))
                connection.execute(query("note_good_keys"), (account,))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
