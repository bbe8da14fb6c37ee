"""What the ledger says of the changes that one sync decided on, and of what is ours and stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.engine.sync.figures import surplus_by_account
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
    """Its methods block. They raise `LedgerError` where the ledger can't be read."""

    ledger: Ledger
    run_id: str
    accounts: tuple[str, ...]
    """Those that are tried."""

    def entries(self, *, kind: str | None = None, only_withheld: bool = False) -> Iterator[PlannedEntry]:
        """Yield the changes, or those of a kind."""
        connection, path = self.ledger.connection, self.ledger.path
        return read_plan(connection, path, run_id=self.run_id, kind=kind, only_withheld=only_withheld)

    def counted(self) -> list[tuple[str, str | None, int]]:
        """Return how many changes there are of each kind, by why they wait; ``None``: they may go."""
        with translated(self.ledger.path):
            return self.ledger.connection.execute(query("count_planned"), (self.run_id,)).fetchall()

    def withheld(self, account: str) -> dict[str, int]:
        """Return the changes that wait for a person, by kind; what waits to be adopted counts as an update."""
        counts = {f"{kind}s": 0 for kind in ChangeKind}
        with translated(self.ledger.path):
            for kind, *_, count in self.ledger.connection.execute(query("count_withheld"), (account, self.run_id)):
                counts[f"{kind}s"] += count
        return counts

    def rows_to_change(self) -> int:
        """Return how many rows have a change that may go."""
        with translated(self.ledger.path):
            found = self.ledger.connection.execute(query("count_planned_rows"), (self.run_id,)).fetchone()
        return int(found[0])

    def surplus(self) -> dict[str, int]:
        """Return the modules of ours that left the file and stay, by reason."""
        found = surplus_by_account(self.ledger, self.accounts)
        return dict(sum(map(Counter, found.values()), Counter()))

    def unknown(self, products: Collection[str]) -> list[str]:
        """Return those of some products that this ledger has never met."""
        with translated(self.ledger.path):
            asked = ((key, self.ledger.connection.execute(query("is_unknown_product"), (key,))) for key in products)
            return [key for key, found in asked if found.fetchone()[0]]
