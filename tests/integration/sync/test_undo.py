"""What a sync replaced can be restored, and is named where it can't."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.control.guard import Limit
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.run import sync
from bulk.errors import SettingsError
from bulk.ledger.views.undo import write_undo_file
from bulk.report.results import write_results
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import OTHER, THIRD

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Nights


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


async def test_sync_that_changes_leaves_an_undo_file_named_by_its_run(synced: Nights) -> None:
    quiet = await synced.sync(prune=True)
    synced.box.console().update(OTHER, "m0", alias_name="drifted", desc="desc 1")

    changing = await synced.sync(prune=True)

    assert quiet.undo is None
    assert changing.undo == f"{synced.ledger}.undo-{changing.run_id[:12]}.csv"
    assert mode_of(Path(changing.undo)) == 0o600
    assert f"{OTHER},m0,drifted,desc 1" in await asyncio.to_thread(Path(changing.undo).read_text, "utf-8")


async def test_the_last_fourteen_files_stay_and_none_that_a_person_named(synced: Nights) -> None:
    folder = synced.ledger.parent
    old = [folder / f"{synced.ledger.name}.undo-{number:012x}.csv" for number in range(20)]
    mine = [folder / f"{synced.ledger.name}.undo-mine.csv", folder / "x.undo-000000000000.csv"]

    def make() -> None:
        for at, path in enumerate([*mine, *old], 1):
            path.touch()
            os.utime(path, (at, at))

    await asyncio.to_thread(make)
    synced.box.console().update(OTHER, "m0", alias_name="drifted", desc="desc 1")

    changing = await synced.sync(prune=True)

    left = await asyncio.to_thread(lambda: set(folder.glob("*.undo-*.csv")))
    assert left == {*mine, *old[7:], Path(changing.undo or "")}


async def test_undo_file_that_cannot_be_written_costs_no_summary(
    synced: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bulk.engine.sync.left_files.write_undo_file", full)
    monkeypatch.setattr("bulk.engine.sync.run.write_plan", full)
    synced.write(synced.without(*((OTHER, f"m{number}") for number in range(2))))
    synced.box.console().update(OTHER, "m3", alias_name="drifted", desc=None)

    night = await synced.sync(prune=True, max_deletes=Limit(1))

    assert (night.exit_code, night.plan, night.undo) == (5, None, None)
    said = [note for note in night.notes if "can't be written" in note]
    assert [note.partition("); ")[2] for note in said] == [
        "run the sync again for a new one",
        f"the ledger has it: bulk results {synced.ledger} --undo-file FILE --run {night.run_id}",
    ]
    assert all("the disk is full" in note for note in said)


async def test_what_an_undo_file_cannot_restore_is_named_when_it_is_written(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m2", alias_name="alias2", desc=None)

    night = await synced.sync()

    assert [note for note in night.notes if f"the first {OTHER} m2 Desc" in note]
