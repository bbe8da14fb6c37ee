"""Options of a sync, in addition to those of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.control.guard import MAX_DELETES, MAX_UPDATES, Limit
from bulk.errors import SettingsError
from bulk.settings.values import is_wanted
from bulk.shell import shell_quote

if TYPE_CHECKING:
    from bulk.settings import Settings

__all__ = ["SyncOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What a sync may do. By default it deletes nothing and adopts nothing."""

    prune: bool = False
    """Also delete our modules that left the file."""

    adopt: bool = False
    """Take over modules that are as their rows want them, so that a later sync may delete them."""

    max_updates: Limit = field(default=MAX_UPDATES)
    max_deletes: Limit = field(default=MAX_DELETES)
    prune_products: tuple[str, ...] = ()
    """Products that may have left the file completely: their modules may still be deleted."""

    def check(self, settings: Settings) -> None:
        """Refuse contradictions.

        Raises:
            SettingsError: ``prune_products`` without ``prune``, beside ``limit``, or outside ``only``.
        """
        if self.prune_products and not self.prune:
            raise SettingsError("{0} deletes only together with {1}: add it", "prune_products", "prune")
        if self.prune_products and settings.limit is not None:
            raise SettingsError(
                "{0} is a trial on the file's first products, and {1} names others: use {2}",
                "limit",
                "prune_products",
                "only",
            )
        outside = [key for key in self.prune_products if not is_wanted(key, settings.only)]
        if outside:
            raise SettingsError(
                f"{{0}} {outside[0]} is outside {{1}}: also give {{1}} {shell_quote(outside[0])}, or leave {{0}} out",
                "prune_products",
                "only",
            )
