"""What a sync replaced can be restored, and is named where it can't."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.run import sync
from bulk.errors import SettingsError
from bulk.report.results import write_results
from bulk.report.undo import write_undo_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sync.conftest import Nights

FULL, OTHER, THIRD = "a1Prod00000", "a1Prod00001", "a1Prod00002"
EVERYTHING_GOES: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}


async def test_an_undo_file_restores_what_updates_and_deletes_replaced(synced: Nights, tmp_path: Path) -> None:
    console = synced.box.console()
    console.update(OTHER, "m1", alias_name="hand", desc="made by hand")
    console.update(OTHER, "m2", alias_name="hand", desc=None)
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])
    before = {name: texts for name, texts in synced.modules(OTHER).items() if name != "m2"}
    await synced.sync(prune=True, **EVERYTHING_GOES)
    undo_file = tmp_path / "undo.csv"

    undo = await asyncio.to_thread(write_undo_file, synced.ledger, undo_file)
    summary = await sync(
        str(undo_file),
        synced.settings(ledger=str(tmp_path / "undo.db")),
        SyncOptions(**EVERYTHING_GOES),
        credentials=synced.keys(),
    )

    assert summary.exit_code == 0
    assert {name: texts for name, texts in synced.modules(OTHER).items() if name != "m2"} == before
    assert undo.not_restored == (f"{OTHER} m2 Desc",)
    assert mode_of(undo_file) == 0o600


async def test_there_is_nothing_to_undo_where_nothing_was_changed(synced: Nights, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is nothing to undo"):
        await asyncio.to_thread(write_undo_file, synced.ledger, tmp_path / "undo.csv")


async def test_modules_without_a_row_come_after_the_rows(synced: Nights) -> None:
    synced.box.console().add_package(OTHER, "m1")
    synced.write([*synced.without((OTHER, "m0"), (OTHER, "m1")), (THIRD, "n", "n", ""), (THIRD, "o", "o", "")])
    await synced.sync(prune=True, **EVERYTHING_GOES)
    out = io.BytesIO()

    await asyncio.to_thread(write_results, synced.ledger, out, format="csv")

    *rows, deleted, surplus = out.getvalue().decode().splitlines()
    assert len(rows) == 1 + 18
    assert deleted.startswith(f",{OTHER},m0,")
    assert ",deleted," in deleted
    assert surplus.startswith(f",{OTHER},m1,alias1,desc 1,surplus,package,it holds an update package")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777
