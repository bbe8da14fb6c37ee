"""Which run is at work on a ledger, as far as the ledger records it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import LedgerError
from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_as_it_is, translated
from bulk.legible import brief_run_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Holder", "read_holder"]


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that is at work on a ledger."""

    run_id: str
    started_at: str
    pid: int
    host: str

    def __str__(self) -> str:
        """Return its name in messages."""
        return f"run {brief_run_id(self.run_id)} (process {self.pid} on {self.host}, since {self.started_at})"


def read_holder(path: Path) -> Holder | None:
    """Return the last run without an end: if the lock is held, this run holds it; ``None``: not known."""
    try:
        with closing(open_as_it_is(path)) as connection, translated(path):
            record = connection.execute(query("holder")).fetchone()
            return Holder(*record) if record else None
    except LedgerError:
        return None
