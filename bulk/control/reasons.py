"""Say why a change needs approval, and why a module that left the file stays: one text for each reason."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.control.reconcile import Kept, Withheld

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WHY_KEPT", "WHY_WITHHELD", "kept_words", "withheld_words"]

WHY_KEPT: Mapping[Kept, str] = MappingProxyType(
    {
        Kept.NOT_ASKED: "the sync was not asked to delete: add --prune",
        Kept.CHANGED: "its alias or description is not what this ledger wrote: somebody else changed it",
        Kept.TEXTS_UNKNOWN: "this ledger does not know what it wrote",
        Kept.PACKAGE: "it holds an update package",
        Kept.PACKAGES_UNKNOWN: "its product's update packages could not be listed",
        Kept.PRODUCT_GONE: "no valid row names its product; to delete it all the same, use --prune-product KEY",
        Kept.CREATE_REFUSED: "the platform refuses the module that would get its slot: fix that row first",
        Kept.INVALID_ROW: "an invalid row of the input may mean it: fix the row first",
    }
)

WHY_WITHHELD: Mapping[Withheld, str] = MappingProxyType(
    {
        Withheld.MAX_UPDATES: "more updates than --max-updates allows",
        Withheld.MAX_DELETES: "more deletes than --max-deletes allows",
        Withheld.FEWER_ROWS: "the input has lost more than 5% of its rows",
        Withheld.FEWER_PRODUCTS: "the input has lost more than 5% of its products",
        Withheld.OTHER_KEYS: "the account's part of the input looks like that of another job",
        Withheld.EMPTIES_PRODUCT: "the product would be left without a module",
        Withheld.LOOKS_LIKE_RENAME: "a delete and a create with the same texts look like a rename",
        Withheld.NEEDS_DELETE: "it needs the slot of a delete that is withheld",
        Withheld.NO_PERMISSION: "the key lacks the right to do it",
        Withheld.OTHERS_CHANGED: "the first update changed more than it was asked to",
    }
)


def withheld_words(reason: str) -> str:
    """Return why a change waits, in words; a reason that is not known here is returned as it is stored."""
    return WHY_WITHHELD[Withheld(reason)] if reason in set(Withheld) else reason.replace("_", " ")


def kept_words(reason: str) -> str:
    """Return why a module stays, in words; other codes, such as the platform's, are returned as they are stored."""
    return WHY_KEPT[Kept(reason)] if reason in set(Kept) else reason.replace("_", " ")
