"""Which products a run tries: all with open rows, or those that ``--account``, ``--only`` and ``--limit`` select."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bulk.engine.threads import held
from bulk.ledger.lanes import LaneReader
from bulk.settings.values import is_wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from bulk.ledger.store import Ledger
    from bulk.settings import Settings

__all__ = ["EVERYTHING", "Selection", "select", "selected_lanes"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The products that are tried; the open rows of the others stay as they are."""

    products: Mapping[str, Mapping[str, int]] | None = None
    """Account → its products, each with its open rows, in the order of their first lines; ``None``: all."""

    outside: int = 0
    """Open rows that are left for another run."""

    def of(self, account: str) -> Mapping[str, int] | None:
        """Return what is tried of an account; ``None``: every product that has open rows."""
        return None if self.products is None else self.products.get(account, {})


EVERYTHING = Selection()


def select(ledger: Ledger, settings: Settings, accounts: Collection[str]) -> Selection:
    """Choose once, before the first request: the first products must stay the same while rows settle.

    ``--limit`` counts the products of all accounts together, in the input's order: a trial is the start of the file.

    Args:
        ledger: Contains the input.
        settings: Define what is left out.
        accounts: Names of the accounts that are tried.

    Raises:
        LedgerError: The ledger can't be read.
    """
    left_out = _open_rows_of_others(ledger, accounts) if settings.only_accounts else 0
    if settings.limit is None and not settings.only:
        return Selection(outside=left_out) if left_out else EVERYTHING
    found = ledger.open_products(accounts)
    matching = (product for product in found if is_wanted(product[1], settings.only))
    products: dict[str, dict[str, int]] = {}
    for account, product_key, rows in islice(matching, settings.limit):
        products.setdefault(account, {})[product_key] = rows
    tried = sum(sum(of_account.values()) for of_account in products.values())
    return Selection(products, left_out + sum(rows for *_, rows in found) - tried)


def selected_lanes(ledger: Ledger, selection: Selection, account: str) -> AbstractAsyncContextManager[LaneReader]:
    """Find the selected products of an account; their lanes can be read until the block ends.

    Raises:
        LedgerError: The ledger can't be read.
    """
    return held(LaneReader, ledger.path, selection.of(account), account=account)


def _open_rows_of_others(ledger: Ledger, accounts: Collection[str]) -> int:
    others = [account for account in ledger.accounts_with_rows() if account not in accounts]
    return sum(rows for *_, rows in ledger.open_products(others))
