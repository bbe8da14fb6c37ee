"""A machine is lost with its disk: another begins with an empty ledger and what was shipped."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from bulk.engine.accounts import accounts_of
from bulk.engine.run import run
from bulk.engine.sessions.connect import sandbox_states
from bulk.engine.threads import closed_in_thread, held
from bulk.fleet.segments import ShippingWriter, replay, segments_of
from bulk.fleet.store_url import open_store
from bulk.ledger.store import Ledger
from bulk.ledger.writer import LedgerWriter
from bulk.model import OtaModule, Outcome, Settlement
from bulk.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.errors import LedgerError

ROWS = 5


def settings_of(ledger: Path) -> Settings:
    return Settings(sandbox=True, ledger=str(ledger))


def claims() -> list[Settlement]:
    return [
        Settlement(line=row + 2, module=OtaModule("pk", f"m{row}"), outcome=Outcome.SENDING, at=1.0, attempts=1)
        for row in range(ROWS)
    ]


def fail(error: LedgerError) -> None:
    raise error


@pytest.mark.parametrize("shipped", [True, False])
async def test_rows_that_a_lost_machine_claimed_and_made_come_back_as_created_and_recovered(
    tmp_path: Path, *, shipped: bool
) -> None:
    source, first, second = tmp_path / "in.csv", tmp_path / "first.db", tmp_path / "second.db"
    lines = "".join(f"pk,m{row}\n" for row in range(ROWS))
    await asyncio.to_thread(source.write_text, f"ProductKey,ModuleName\n{lines}")
    made = await run(str(source), settings_of(first))
    assert made.outcomes[Outcome.CREATED] == ROWS
    store = open_store(str(tmp_path / "store"), make=True)
    targets = {one.name: one.target for one in accounts_of(settings_of(second))}
    loop = asyncio.get_running_loop()
    async with held(Ledger.open, second, targets=targets) as ledger:
        writer = LedgerWriter(ledger.connection, ledger.path, run_id="lost", loop=loop, on_failure=fail)
        async with (
            closed_in_thread(writer),
            ShippingWriter(writer, store, shard=0, fence=1, every_s=0.01) as shipping,
        ):
            if shipped:
                await shipping.claim(claims())
    await asyncio.to_thread(second.unlink)  # with its disk
    async with held(Ledger.open, second, targets=targets) as ledger:
        writer = LedgerWriter(ledger.connection, ledger.path, run_id="next", loop=loop, on_failure=fail)
        async with closed_in_thread(writer):
            found = await segments_of(store, 0)
            assert isinstance(found, list)
            await replay(found, writer)
    worlds = [sandbox_states(path, [""])[""] for path in (first, second)]
    await asyncio.to_thread(lambda: shutil.copy(*worlds))

    summary = await run(str(source), settings_of(second))

    assert summary.outcomes[Outcome.CREATED if shipped else Outcome.EXISTS] == ROWS
    assert summary.recovered == (ROWS if shipped else 0)
