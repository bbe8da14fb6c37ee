"""What the ledger says about the changes that one sync decided on, and about our modules that stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.ledger.planning import read_plan
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.model import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bulk.ledger.planning import PlannedEntry
    from bulk.ledger.store import Ledger

__all__ = ["Decided"]


@dataclass(frozen=True, slots=True)
class Decided:
    """Reads one sync's decisions. All methods block, and raise `LedgerError` if the ledger can't be read."""

    ledger: Ledger
    run_id: str

    def entries(self, *, kind: str | None = None, only_withheld: bool = False) -> Iterator[PlannedEntry]:
        """Yield all changes, or those of one kind."""
        connection, path = self.ledger.connection, self.ledger.path
        return read_plan(connection, path, run_id=self.run_id, kind=kind, only_withheld=only_withheld)

    def counted(self) -> list[tuple[str, str | None, int]]:
        """Return how many changes of each kind there are, by their reason to wait; ``None``: they may be sent."""
        with translated(self.ledger.path):
            return self.ledger.connection.execute(query("count_planned"), (self.run_id,)).fetchall()

    def withheld(self, account: str) -> dict[str, int]:
        """Return how many changes of each kind wait for a person; one that waits to be adopted counts as an update."""
        counts = {f"{kind}s": 0 for kind in ChangeKind}
        with translated(self.ledger.path):
            for kind, *_, count in self.ledger.connection.execute(query("count_withheld"), (account, self.run_id)):
                counts[f"{kind}s"] += count
        return counts

    def rows_to_change(self) -> int:
        """Return how many rows have a change that may be sent."""
        with translated(self.ledger.path):
            found = self.ledger.connection.execute(query("count_planned_rows"), (self.run_id,)).fetchone()
        return int(found[0])

    def unknown(self, products: Collection[str]) -> list[str]:
        """Return the given products that this ledger has never seen."""
        with translated(self.ledger.path):
            asked = ((key, self.ledger.connection.execute(query("is_unknown_product"), (key,))) for key in products)
            return [key for key, found in asked if found.fetchone()[0]]
