"""Which products a run tries: all that have open rows, or those of them that ``--only`` and ``--limit`` leave."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

from bulk.engine.threads import held
from bulk.ledger.lanes import LaneReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from bulk.ledger.store import Ledger
    from bulk.settings import Settings

__all__ = ["EVERYTHING", "Selection", "select", "selected_lanes"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The products that are tried; the open rows of the others stay as they are."""

    products: Mapping[str, int] | None = None
    """Each with its open rows, in the order of their first lines; ``None``: every product that has any."""

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
    matching = ((key, rows) for key, rows in open_rows.items() if _wanted(key, settings.only))
    products = dict(islice(matching, settings.limit))
    return Selection(products, sum(open_rows.values()) - sum(products.values()))


def selected_lanes(ledger: Ledger, selection: Selection) -> AbstractAsyncContextManager[LaneReader]:
    """Find the selected products, and let their lanes be read until the block ends.

    Raises:
        LedgerError: The ledger can't be read.
    """
    return held(LaneReader, ledger.path, selection.products)


def _wanted(product_key: str, only: tuple[str, ...]) -> bool:
    # ProductKeys differ in letter case: a file system's rules for names must not blur that.
    return not only or any(fnmatchcase(product_key, pattern) for pattern in only)
