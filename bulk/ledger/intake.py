"""Replace a ledger's rows by those of an input: one transaction, so a failed reading leaves the ledger as it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.ledger.binding import take_over
from bulk.ledger.sql import insert_many, query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from bulk.ledger.binding import Takeover
    from bulk.model import ReadRows

__all__ = ["Intake", "replaced_rows"]


_TOGETHER = 64
"""Rows in one statement: measured, fewer or many more cost more."""


class Intake:
    """Takes the rows of one input, in file order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.rows = 0
        self.takeovers: tuple[Takeover, ...] = ()
        """Records of products whose account the rows change, known when all rows are there."""

    def add(self, rows: ReadRows) -> None:
        """Write some rows."""
        if rows.accounts:
            of_accounts = [(account, *row) for account, row in zip(rows.accounts, rows.valid, strict=True)]
            insert_many(self._connection, "add_row_of_account", of_accounts, together=_TOGETHER)
        else:
            insert_many(self._connection, "add_row", rows.valid, together=_TOGETHER)
        insert_many(self._connection, "add_invalid_row", rows.invalid, together=_TOGETHER)
        self.rows += len(rows)

    def add_slice(self, valid: Sequence[Sequence[object]], invalid: Sequence[Sequence[object]]) -> None:
        """Write some rows, each with its account before it, as a fleet stores them.

        Args:
            valid: ``(account, *ValidRow)`` each.
            invalid: `InvalidRow` each.
        """
        insert_many(self._connection, "add_row_of_account", valid, together=_TOGETHER)
        insert_many(self._connection, "add_invalid_row", invalid, together=_TOGETHER)
        self.rows += len(valid) + len(invalid)


@contextmanager
def replaced_rows(
    connection: sqlite3.Connection,
    path: Path,
    *,
    name: str,
    shape: str,
    at: float,
    run_id: str | None,
    accounts: Collection[str],
    before: Callable[[sqlite3.Connection], None] | None = None,
    check: Callable[[sqlite3.Connection], None] | None = None,
) -> Iterator[Intake]:
    """Open an intake. When the block ends, the rows are in the ledger with repeats marked, or nothing has changed.

    The index is built when all rows are there: one sort costs a fraction of a million random insertions.

    Args:
        connection: A connection for writing, used by nobody else meanwhile.
        path: The ledger, for messages.
        name: The input's name, as the user gave it.
        shape: JSON that says how its records are laid out.
        at: Now, in seconds since the epoch.
        run_id: The run that reads it.
        accounts: All that the settings name.
        before: Called while the rows are still those of the previous input.
        check: Called when all rows are judged; if it raises, the ledger stays as it was.

    Raises:
        LedgerError: The ledger could not be written.
    """
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            (index,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'rows_by_key'").fetchone()
            if before is not None:
                before(connection)
            connection.execute("DELETE FROM rows")
            connection.execute("DROP INDEX rows_by_key")
            intake = Intake(connection)
            yield intake
            connection.execute(index)
            _judge_together(connection)
            intake.takeovers = take_over(connection, accounts)
            connection.execute("DELETE FROM input")
            connection.execute(query("add_input"), (name, shape, intake.rows, iso_utc(at), run_id))
            if check is not None:
                check(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _judge_together(connection: sqlite3.Connection) -> None:
    """Mark the rows that contradict other rows."""
    if connection.execute(query("accounts_of_one_target")).fetchone()[0]:
        connection.execute(query("mark_shared_products"))
    connection.execute(query("mark_repeats"))
