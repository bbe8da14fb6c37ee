"""Which products a run tries: all that have open rows, or those of them that ``--only`` and ``--limit`` leave."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.ledger.store import Ledger
    from bulk.settings import Settings

__all__ = ["EVERYTHING", "Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The products that are tried; the open rows of the others stay as they are."""

    products: frozenset[str] | None = None
    """``None``: every product with open rows."""

    outside: int = 0
    """Open rows that are left for another run."""


EVERYTHING = Selection()


def select(ledger: Ledger, settings: Settings) -> Selection:
    """Choose once, before the first request: which products are the first ones must not change while rows settle.

    Raises:
        LedgerError: The ledger can't be read.
    """
    if settings.limit is None and not settings.only:
        return EVERYTHING
    open_rows = ledger.open_products()
    matching = (key for key in open_rows if _wanted(key, settings.only))
    products = frozenset(islice(matching, settings.limit))
    return Selection(products, sum(rows for key, rows in open_rows.items() if key not in products))


def _wanted(product_key: str, only: tuple[str, ...]) -> bool:
    # ProductKeys differ in letter case: a file system's rules for names must not blur that.
    return not only or any(fnmatchcase(product_key, pattern) for pattern in only)
