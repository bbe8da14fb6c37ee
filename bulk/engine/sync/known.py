"""What is known of a product while its lane changes it, from its listings and from the lane's own changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.engine.lanes.ownership import Ours
from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME

if TYPE_CHECKING:
    from bulk.engine.sessions.session import Session
    from bulk.ledger.planning import ProductWork
    from bulk.model import Listing, OtaModule

__all__ = ["Known"]

_FRESH_S = 2.0
"""How old a listing may be before a delete: a lane may wait long for its turn, while others write."""


class Known:
    """The modules of a product, and its remaining slots."""

    def __init__(self, lane: ProductWork, listing: Listing, session: Session) -> None:
        self._clock = session.clock.monotonic
        self._ours = Ours(lane.product_key, lane.ours, session.recorder)
        self._made: dict[tuple[str, str], OtaModule] = {}
        self.modules: dict[tuple[str, str], OtaModule] = {}
        self.held = 0
        """Slots of creates that failed and that may still be carried out."""

        self.look_at(listing)

    @property
    def is_fresh(self) -> bool:
        """Whether the last listing is recent enough for a delete."""
        return self._clock() - self._listed_at <= _FRESH_S

    @property
    def customs(self) -> list[str]:
        """Names of the modules that take a slot."""
        return [module.module_name for key, module in self.modules.items() if key[1] != RESERVED_MODULE_NAME]

    @property
    def free(self) -> int:
        """Remaining slots; below 0 if somebody else has created more than ten modules."""
        return MAX_CUSTOM_MODULES - len(self.customs) - self.held

    def look_at(self, listing: Listing) -> None:
        """Note a listing; it may not show yet what the lane has just created."""
        self._listed_at = self._clock()
        self.modules = self._made | {module.key: module for module in listing.modules}
        self._ours.seen_in(listing.modules)

    def note_made(self, module: OtaModule) -> None:
        """Note that the lane has created a module."""
        self._made[module.key] = self.modules[module.key] = module

    def note_updated(self, module: OtaModule) -> None:
        """Note that the lane has given a module other texts."""
        self.modules[module.key] = module

    def note_deleted(self, module: OtaModule) -> None:
        """Note that the lane has deleted a module."""
        self._made.pop(module.key, None)
        self.modules.pop(module.key, None)
