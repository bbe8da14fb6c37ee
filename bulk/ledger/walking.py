"""Walk through products of a ledger a few at a time, beside its writer and in flat memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.storage.database import closed_on_failure, open_beside_writer, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ProductWalk"]


class ProductWalk:
    """The walk itself; what is read of a product, and which products, is up to those who derive from it.

    Its methods block, and may be called on any thread, one at a time. Each step reads the present state. So it holds no
    snapshot, which would prevent the writer's log from being emptied.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger beside its writer.

        Raises:
            LedgerError: It can't be read.
        """
        self._path = path
        self._after = 0
        self._connection = open_beside_writer(path)

    @contextmanager
    def _listing(self) -> Iterator[sqlite3.Connection]:
        """Let the block make the table ``products``, which belongs to this connection alone.

        The list may be too long for memory. The ledger is closed if the block fails.

        Raises:
            LedgerError: It can't be read.
        """
        with closed_on_failure(self._connection), translated(self._path):
            self._connection.execute("PRAGMA query_only = OFF")
            yield self._connection
            self._connection.execute("PRAGMA query_only = ON")

    def _next_keys(self, products: int) -> list[str]:
        """Return the next ProductKeys; an empty list: that was all."""
        asked = {"after": self._after, "products": products}
        found = self._connection.execute(query("next_products"), asked).fetchall()
        if found:
            self._after = found[-1][0]
        return [key for _, key in found]

    def close(self) -> None:
        """Close the ledger."""
        self._connection.close()
