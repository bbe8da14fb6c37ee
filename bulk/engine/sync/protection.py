"""Which products an invalid row protects: a module is not deleted if a row that can't be read may ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.rows import InputShape
from bulk.rows.products.written_place import written_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.ledger.store import Ledger
    from bulk.rows.products.product_map import ProductMap

__all__ = ["Protection", "protection_of"]

Protection = tuple[frozenset[str], bool]
"""Products in which nothing may be deleted, and whether that applies to the whole account."""


def protection_of(ledger: Ledger, account: str, product_map: ProductMap | None = None) -> Protection:
    """Say what the invalid rows of an account protect; a row with an unknown account protects all accounts.

    Args:
        ledger: The ledger that has the input.
        account: The account whose modules may be deleted.
        product_map: The input's map of products: its invalid rows have the keys of the source.

    Raises:
        LedgerError: The ledger can't be read.
    """
    products: set[str] = set()
    with translated(ledger.path):
        for product_key in _products(ledger, account, product_map):
            if product_key in products:
                continue
            if product_key is None or not _is_known(ledger, account, product_key):
                return frozenset(), True
            products.add(product_key)
    return frozenset(products), False


def _products(ledger: Ledger, account: str, product_map: ProductMap | None) -> Iterator[str | None]:
    """Yield the product of each invalid row; ``None``: unknown."""
    shape = InputShape.from_json(ledger.connection.execute("SELECT shape FROM input").fetchone()[0])
    for _, product_key, record in ledger.connection.execute(query("invalid_records"), {"account": account}):
        if product_key:
            yield product_key
            continue
        place = written_place(shape, record, product_map)
        if place is None:
            yield None
        elif product_map is None or place.account == account:
            yield place.product_key


def _is_known(ledger: Ledger, account: str, product_key: str) -> bool:
    """Say whether it is a product of this account. Any other text may be a mistyped key of any product."""
    asked = {"account": account, "product_key": product_key}
    return bool(ledger.connection.execute(query("is_known_product"), asked).fetchone()[0])
