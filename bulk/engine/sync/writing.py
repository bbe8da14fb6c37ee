"""What a sync needs from the ledger's writer, in addition to what a run needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bulk.engine.sessions.recorder import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.model import Settlement

__all__ = ["PlanWriter"]


class PlanWriter(Writer, Protocol):
    """`bulk.ledger.writer.LedgerWriter` is one."""

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Return when these records, and all earlier ones, are on disk."""
        ...
