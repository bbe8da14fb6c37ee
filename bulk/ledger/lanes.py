"""Read the lanes that a run must process, some products at a time, while the run writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.walking import ProductWalk
from bulk.model import ChangeKind, Lane, OtaModule, Row
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["LaneReader", "names_of_ours", "read_lanes", "row_in_doubt"]


_CACHE_KIB = -256
"""SQLite reads a negative number as KiB."""


class LaneReader(ProductWalk):
    """Walks the products with open rows, or given ones, in the order of their first lines.

    Products of which all open rows have failed before come last.
    """

    def __init__(self, path: Path, product_keys: Iterable[str] | None = None, *, account: str = "") -> None:
        """Open the ledger beside its writer and find the products.

        Args:
            path: The ledger.
            product_keys: The products to walk through; ``None``: all that have open rows now.
            account: The products' account; empty where no accounts are named.

        Raises:
            LedgerError: It can't be read.
        """
        super().__init__(path)
        self._account = account
        with self._listing() as connection:
            # Each commit by the writer empties this reader's cache: a large one would only hold memory.
            connection.execute(f"PRAGMA cache_size = {_CACHE_KIB}")
            self.products = _list_products(connection, product_keys, account)
            """How many products it walks through."""

    def next_lanes(self, products: int = 64) -> list[Lane]:
        """Return the next lanes with open rows; an empty list: that was all.

        Args:
            products: How many products to look at together.

        Raises:
            LedgerError: The ledger can't be read.
        """
        with translated(self._path):
            while keys := self._next_keys(products):
                lanes = read_lanes(self._connection, keys, account=self._account)
                if lanes:
                    return lanes
        return []


def _list_products(connection: sqlite3.Connection, product_keys: Iterable[str] | None, account: str) -> int:
    if product_keys is None:
        connection.execute(f"CREATE TEMP TABLE products AS {query('open_products')}", {"account": account})
    else:
        connection.execute("CREATE TEMP TABLE products (product_key TEXT NOT NULL)")
        connection.executemany("INSERT INTO temp.products VALUES (?)", ((key,) for key in product_keys))
    return int(connection.execute("SELECT count(*) FROM products").fetchone()[0])


def read_lanes(connection: sqlite3.Connection, product_keys: list[str], *, account: str) -> list[Lane]:
    """Return the lanes of these products of an account, without those that have no open row."""
    rows: dict[str, list[Row]] = {}
    wanted = {"account": account, "product_keys": orjson.dumps(product_keys).decode()}
    for key, line, name, alias, desc, attempts, in_doubt, claimed, since in connection.execute(
        query("open_rows"), wanted
    ):
        module = OtaModule(key, name, alias, desc)
        row = row_in_doubt(line, module, attempts, claimed, since) if in_doubt else Row(line, module, attempts)
        rows.setdefault(key, []).append(row)
    ours = names_of_ours(connection, wanted)
    return [Lane(key, tuple(of_product), ours.get(key, ())) for key, of_product in rows.items()]


def names_of_ours(connection: sqlite3.Connection, wanted: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the modules that this ledger owns in some products of an account: ProductKey → their names."""
    ours: dict[str, list[str]] = {}
    for key, name in connection.execute(query("names_of_ours"), wanted):
        ours.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in ours.items()}


def row_in_doubt(line: int, module: OtaModule, attempts: int, claimed: str | None, since: str | None) -> Row:
    """Return a row of which a change may have been carried out unseen.

    Args:
        line: Line of the input.
        module: As the row asks for it.
        attempts: Changes sent for it.
        claimed: Kind of the change; ``None``: a version that knew only creates recorded it.
        since: When its module was last claimed or settled.
    """
    return Row(line, module, attempts, True, ChangeKind(claimed or ChangeKind.CREATE), utc_seconds(since))  # noqa: FBT003 - a named tuple is made in half the time so
