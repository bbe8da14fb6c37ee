"""Read the input into the ledger: stream it once, in a worker thread, without the network."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.engine.threads import interruptible
from bulk.events import IngestProgressed, InputRead
from bulk.rows.products.mapped import open_rows
from bulk.rows.text.source import reading

if TYPE_CHECKING:
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.ledger.store import Ledger
    from bulk.model import AccountNames, InputFound
    from bulk.rows.products.product_map import ProductMap
    from bulk.settings import ReadSettings

__all__ = ["IngestStoppedError", "ingest"]

_BATCH_ROWS = 1_000
_ANNOUNCED_EVERY_ROWS = 50_000


class IngestStoppedError(Exception):
    """The run was stopped while it read; the ledger is unchanged. Never leaves the engine."""


async def ingest(
    input_name: str,
    settings: ReadSettings,
    ledger: Ledger,
    *,
    accounts: AccountNames | None = None,
    product_map: ProductMap | None = None,
    stop: StopSignal,
    listener: Listener,
) -> InputFound:
    """Replace the ledger's rows by those of the input, or leave the ledger unchanged; return what was read.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: How to read it.
        ledger: Where the rows go.
        accounts: Accounts that rows may name; ``None``: the settings name none.
        product_map: Maps each row to a product of the target; ``None``: the row itself has that product.
        stop: Ends it early when it is requested.
        listener: Receives the progress.

    Raises:
        InputError: The input can't be read.
        LedgerError: The ledger can't be written.
        IngestStoppedError: A stop was requested meanwhile.
    """
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def announce(before: int, rows: int) -> None:
        if before // _ANNOUNCED_EVERY_ROWS < rows // _ANNOUNCED_EVERY_ROWS:
            loop.call_soon_threadsafe(listener, IngestProgressed(rows))

    def obey() -> None:
        if stop.requested or cancelled.is_set():
            raise IngestStoppedError

    def work() -> InputFound:
        with (
            open_rows(input_name, settings, accounts=accounts, product_map=product_map, while_waiting=obey) as reader,
            ledger.intake(name=input_name, shape=reader.shape.to_json(), at=time.time()) as intake,
        ):
            for batch in reader.batches(_BATCH_ROWS):
                intake.add(batch)
                announce(intake.rows - len(batch), intake.rows)
                obey()
            with reading(input_name):
                return replace(reader.found, sha256=reader.sha256())

    found = await interruptible(work, interrupt=cancelled.set)
    listener(InputRead(found))
    return found
