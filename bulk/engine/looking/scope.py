"""Say which products are compared: all, or those that ``--account``, ``--only`` and ``--limit`` select."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.settings.values import is_wanted

if TYPE_CHECKING:
    from bulk.settings import Settings

__all__ = ["Scope"]


class Scope:
    """The products that are compared. A trial takes the first products that the rows of the file name."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings that narrow it."""
        self._only = settings.only
        self._limit = settings.limit
        self._accounts = frozenset(settings.only_accounts)
        self._first: dict[str, set[str]] = {}
        self._noted = 0
        self.is_narrowed = bool(self._only or self._limit is not None)
        """True: products are left out, and not only accounts."""

        self.leaves_out = self.is_narrowed or bool(self._accounts)

    def takes(self, account: str, product_key: str) -> bool:
        """Say whether a row of the wanted file is compared; the first products are noted."""
        if not self._matches(account, product_key):
            return False
        owners = self._first.get(product_key, set())
        if self._limit is None or account in owners:
            return True
        if self._noted >= self._limit:
            return False
        self._first.setdefault(product_key, set()).add(account)
        self._noted += 1
        return True

    def has(self, account: str, product_key: str) -> bool:
        """Say whether a product is compared. Call this after the wanted file was read."""
        if not self._matches(account, product_key):
            return False
        owners = self._first.get(product_key, set())
        # A file without a column Account may mean any of them.
        return self._limit is None or account in owners or bool(owners and (not account or "" in owners))

    def _matches(self, account: str, product_key: str) -> bool:
        is_tried = not self._accounts or not account or account in self._accounts
        return is_tried and is_wanted(product_key, self._only)
