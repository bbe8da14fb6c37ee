"""Read a ledger as it was at one moment, while a run goes on writing to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from bulk.ledger.storage.database import closed_on_failure, open_beside_writer, translated
from bulk.ledger.views.accounts import count_by_account
from bulk.ledger.views.status import count_outcomes

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.ledger.views.accounts import Counted

__all__ = ["Snapshot"]


class Snapshot:
    """A ledger as it was when this was made. Ask it once; its methods block.

    While it is held, the writer's log can't be emptied and grows. So the first answer releases it.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger beside its writer.

        Raises:
            LedgerError: It can't be read.
        """
        self._path = path
        self._connection = open_beside_writer(path)
        with closed_on_failure(self._connection), translated(path):
            self._connection.execute("BEGIN")
            self._connection.execute(
                "SELECT 1 FROM target"
            ).fetchone()  # the first read fixes what this connection sees

    def outcomes(self) -> dict[str, int]:
        """Return how many rows of the input had each outcome, zeros included, and release the ledger.

        Raises:
            LedgerError: The ledger can't be read, or it was released, or the counting was interrupted.
        """
        with closing(self._connection), translated(self._path):
            return count_outcomes(self._connection)

    def counted(self) -> Counted:
        """Do the same as `outcomes`, and for each account that has rows, in the same pass.

        Raises:
            LedgerError: As of `outcomes`.
        """
        with closing(self._connection), translated(self._path):
            return count_by_account(self._connection)

    def outcomes_by_account(self) -> dict[str, dict[str, int]]:
        """Return the accounts' part of `counted`; a row whose account is not known is in none."""
        return self.counted().by_account

    def interrupt(self) -> None:
        """Interrupt the counting on another thread; does nothing if it has ended."""
        with suppress(sqlite3.ProgrammingError):  # it was released
            self._connection.interrupt()

    def close(self) -> None:
        """Release the ledger; safe to call twice, but not while it is counting."""
        self._connection.close()
