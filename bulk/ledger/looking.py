"""Read what a sync compares with the platform: each product's rows, and what this ledger owns there."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from bulk.ledger.lanes import row_in_doubt
from bulk.ledger.planning import OpenSwap, PlannedEntry, open_swaps
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.walking import ProductWalk
from bulk.model import ChangeKind, Lane, OtaModule, Outcome, Row
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["LookReader", "OwnedRecord", "ProductState", "RowRecord"]


class RowRecord(NamedTuple):
    """A row, with what the ledger says of it now."""

    row: Row
    outcome: Outcome
    message: str | None
    undone: int
    """Nights in a row on which this ledger's update was found undone; 0 if the row's content has changed since."""

    undone_at: float | None
    """When that was last counted."""

    replaced: OtaModule | None
    """For a row whose update is in doubt: the module as it was found before."""

    failed: str | None = None
    """Code with which the last change for the row failed, while it asks for the same; ``None``: none failed."""


class OwnedRecord(NamedTuple):
    """A module that this ledger owns, with what it says of the module now."""

    module_name: str
    written_alias: str | None
    written_desc: str | None
    outcome: Outcome
    code: str | None
    in_doubt: bool
    """A delete by this ledger may have been carried out unseen."""

    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductState(Lane):
    """A product as the ledger knows it."""

    records: tuple[RowRecord, ...] = ()
    owned: tuple[OwnedRecord, ...] = ()
    swaps: tuple[OpenSwap, ...] = ()
    approved: Mapping[str, PlannedEntry] | None = None
    """For an apply: casefolded ModuleName → the approved change; ``None``: it is not an apply."""


class LookReader(ProductWalk):
    """Walks the products in scope, in the order of their first lines, then additional ones.

    Its methods block, and may be called on any thread, one at a time.
    """

    def __init__(
        self,
        path: Path,
        *,
        account: str,
        wanted: Callable[[str], bool],
        besides: Iterable[str] = (),
        approved: Iterable[tuple[object, ...]] | None = None,
    ) -> None:
        """Open the ledger beside its writer and find the products.

        Args:
            path: The ledger.
            account: The products' account; empty where no accounts are named.
            wanted: Returns whether a ProductKey is in scope.
            besides: Products to look at although no row names them.
            approved: Changes of the plan to apply, as `PlannedEntry`; ``None``: it is not an apply.

        Raises:
            LedgerError: It can't be read.
        """
        super().__init__(path)
        self._account = account
        self._applies = approved is not None
        with self._listing() as connection:
            self._list_products(wanted, besides)
            if approved is not None:  # as long as the list of products, perhaps
                connection.execute(query("approved_table"))
                connection.executemany(query("add_approved"), approved)
            self.products = int(connection.execute("SELECT count(*) FROM products").fetchone()[0])
            """How many products it walks through."""

    def next_lanes(self, products: int = 64) -> list[ProductState]:
        """Return the next products; an empty list: that was all.

        Raises:
            LedgerError: The ledger can't be read.
        """
        with translated(self._path):
            keys = self._next_keys(products)
            return self._states(keys) if keys else []

    def _list_products(self, wanted: Callable[[str], bool], besides: Iterable[str]) -> None:
        self._connection.create_function("in_scope", 1, lambda key: int(wanted(key)), deterministic=True)
        products = query("scope_products")
        self._connection.execute(f"CREATE TEMP TABLE products AS {products}", {"account": self._account})
        for key in besides:
            if wanted(key):
                self._connection.execute(query("add_product_besides"), {"account": self._account, "product_key": key})

    def _states(self, product_keys: list[str]) -> list[ProductState]:
        asked = {"account": self._account, "product_keys": orjson.dumps(product_keys).decode()}
        records: dict[str, list[RowRecord]] = {}
        for record in self._connection.execute(query("look_rows"), asked):
            records.setdefault(record[0], []).append(_row_record(record))
        owned: dict[str, list[OwnedRecord]] = {}
        for key, name, alias, desc, outcome, code, in_doubt, attempts in self._connection.execute(
            query("owned_modules"), asked
        ):
            owned.setdefault(key, []).append(
                OwnedRecord(name, alias, desc, _OUTCOMES[outcome], code, bool(in_doubt), attempts)
            )
        swaps: dict[str, list[OpenSwap]] = {}
        for swap in open_swaps(self._connection, asked):
            swaps.setdefault(swap.module.product_key, []).append(swap)
        return [
            ProductState(
                product_key=key,
                rows=tuple([record.row for record in records.get(key, ())]),
                records=tuple(records.get(key, ())),
                owned=tuple(owned.get(key, ())),
                swaps=tuple(swaps.get(key, ())),
                approved=_approved(self._connection, key) if self._applies else None,
            )
            for key in product_keys
        ]


def _approved(connection: sqlite3.Connection, product_key: str) -> dict[str, PlannedEntry]:
    entries = (PlannedEntry(*record) for record in connection.execute(query("approved_of"), (product_key,)))
    return {entry.module_name.casefold(): entry for entry in entries}


_OUTCOMES: Mapping[str, Outcome] = MappingProxyType({outcome.value: outcome for outcome in Outcome})
"""Looking each value up in the class takes three times as long for a million rows."""


def _row_record(record: tuple[Any, ...]) -> RowRecord:
    """Read a row of its query. It is made for the usual case: not in doubt, and no update undone."""
    key, line, name, alias, desc, attempts, in_doubt, claimed, since, outcome, message, undone, undone_at = record[:13]
    failed = record[13]
    module = OtaModule(key, name, alias, desc)
    if not (in_doubt or undone_at):
        return RowRecord(Row(line, module, attempts), _OUTCOMES[outcome], message, undone, None, None, failed)
    row = row_in_doubt(line, module, attempts, claimed, since) if in_doubt else Row(line, module, attempts)
    replaced = OtaModule(key, name, *record[14:]) if in_doubt and row.doubted is ChangeKind.UPDATE else None
    counted_at = utc_seconds(undone_at) if undone_at else None
    return RowRecord(row, _OUTCOMES[outcome], message, undone, counted_at, replaced, failed)
