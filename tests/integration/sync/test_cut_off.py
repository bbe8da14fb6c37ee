"""What waits for approval is offered by `bulk status`, also after a sync or an apply that was cut off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.events import Event, PhaseStarted, SyncPhase
from bulk.ledger.views.status import read_status
from bulk.report.status import status_lines

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Nights

PRODUCT = "a1Prod00001"


async def test_status_offers_the_command_that_goes_on(synced: Nights) -> None:
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    night = await synced.sync(prune=True, max_deletes=Limit(1))
    stop = StopSignal()

    def interrupt(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase is SyncPhase.WORK:
            stop.request("interrupted by Ctrl-C", exit_code=130)

    cut_off = await synced.apply(Path(night.plan or ""), stop=stop, listener=interrupt)
    shown = status_lines(await asyncio.to_thread(read_status, synced.ledger))
    finished = await synced.apply(Path(night.plan or ""))
    afterwards = status_lines(await asyncio.to_thread(read_status, synced.ledger))

    assert (cut_off.exit_code, finished.exit_code) == (130, 0)
    assert shown[:3] == [
        "The last apply was cut off: 2 changes left.",
        "  To go on, with the same settings:",
        f"  bulk apply {night.plan}",
    ]
    assert "cut off" not in "\n".join(afterwards)


async def test_a_sync_that_is_cut_off_in_its_look_leaves_what_waits_for_approval(synced: Nights) -> None:
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    night = await synced.sync(prune=True, max_deletes=Limit(1))
    waiting = await asyncio.to_thread(read_status, synced.ledger)
    stop = StopSignal()

    def interrupt(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase is SyncPhase.LOOK:
            stop.request("interrupted by Ctrl-C", exit_code=130)

    cut_off = await synced.sync(prune=True, max_deletes=Limit(1), stop=stop, listener=interrupt)
    after = await asyncio.to_thread(read_status, synced.ledger)
    applied = await synced.apply(Path(night.plan or ""))

    assert (night.exit_code, cut_off.exit_code, applied.exit_code) == (5, 130, 0)
    assert waiting.approvals
    assert after.approvals == waiting.approvals


async def test_a_sync_replaces_what_waited_for_approval_once_it_has_looked(synced: Nights) -> None:
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    await synced.sync(prune=True, max_deletes=Limit(1))
    later = await synced.sync(prune=True, max_deletes=Limit(1))
    (waiting,) = (await asyncio.to_thread(read_status, synced.ledger)).approvals

    assert waiting.plan == later.plan
    assert dict(waiting.changes) == {"delete": 2}
