"""Stop a run whose ledger is removed: its further work would not be recorded."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulk.engine.threads import in_thread, until_ended
from bulk.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulk.engine.stop import StopSignal
    from bulk.ledger.store import Ledger

__all__ = ["vigil"]

_EVERY_S = 1.0


@asynccontextmanager
async def vigil(ledger: Ledger, stop: StopSignal) -> AsyncIterator[None]:
    """Check every second, until the block ends, whether the ledger is still in its place; if not, stop the run.

    Raises:
        LedgerError: The ledger was gone when the block ended: no summary may name it.
    """
    watching = asyncio.ensure_future(_watch(ledger, stop))
    try:
        yield
    finally:
        watching.cancel()
        await until_ended(watching)
    await in_thread(ledger.check_place)


async def _watch(ledger: Ledger, stop: StopSignal) -> None:
    while not await stop.sleep(_EVERY_S):
        try:
            await in_thread(ledger.check_place)
        except LedgerError as exc:
            stop.request(str(exc), exit_code=exc.exit_code)
