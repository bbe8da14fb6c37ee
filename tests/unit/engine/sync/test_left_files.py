"""The files that a sync leaves beside its ledger."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.sync.left_files import KEPT_FILES, LeftFiles, forget_old
from tests.nights import OTHER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeSynced = Callable[..., Awaitable[Any]]


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def text_of(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def made(folder: Path, names: list[str]) -> list[Path]:
    """Make files, each newer than the one before."""
    paths = [folder / name for name in names]
    for at, path in enumerate(paths, 1):
        path.touch()
        os.utime(path, (at, at))
    return paths


@pytest.mark.parametrize(("kind", "suffix"), [("plan", "jsonl"), ("undo", "csv")])
def test_the_newest_files_of_a_kind_stay_and_all_that_a_person_named(tmp_path: Path, kind: str, suffix: str) -> None:
    theirs = made(tmp_path, [f"l.db.{kind}-mine.{suffix}", f"x.db.{kind}-{0:012x}.{suffix}", f"l.db.{kind}.{suffix}"])
    other = "undo-000000000000.csv" if kind == "plan" else "plan-000000000000.jsonl"
    theirs += made(tmp_path, [f"l.db.{other}"])
    own = made(tmp_path, [f"l.db.{kind}-{number:012x}.{suffix}" for number in range(KEPT_FILES + 3)])

    forget_old(tmp_path / "l.db", kind)

    assert set(tmp_path.iterdir()) == {*theirs, *own[3:]}


def test_a_file_that_cannot_be_removed_stays(tmp_path: Path) -> None:
    """It is none: a folder of such a name."""
    for number in range(KEPT_FILES + 1):
        (tmp_path / f"l.db.plan-{number:012x}.jsonl").mkdir()

    forget_old(tmp_path / "l.db", "plan")

    assert len(list(tmp_path.iterdir())) == KEPT_FILES + 1


def test_a_new_plan_makes_room_for_itself(tmp_path: Path) -> None:
    old = made(tmp_path, [f"l.db.plan-{number:012x}.jsonl" for number in range(KEPT_FILES)])
    left = LeftFiles(tmp_path / "l.db", "f" * 32)
    plan = tmp_path / "l.db.plan-ffffffffffff.jsonl"

    assert left.leave_plan(plan, Path.touch) == str(plan)
    assert (set(tmp_path.iterdir()), left.notes) == ({*old[1:], plan}, [])


async def test_a_sync_that_changes_leaves_an_undo_file_named_by_its_run(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    quiet = await nights.sync()
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")

    changing = await nights.sync()

    assert quiet.undo is None
    assert changing.undo == f"{nights.ledger}.undo-{changing.run_id[:12]}.csv"
    assert text_of(changing.undo).splitlines()[1:] == [f"{OTHER},m0,hand,desc 1"]


async def test_what_an_undo_file_cannot_restore_is_named_when_it_is_written(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.box.console().update(OTHER, "m2", alias_name="alias2", desc=None)

    summary = await nights.sync()

    assert [f"1, the first {OTHER} m2 Desc; the undo file can't empty" in note for note in summary.notes] == [True]


async def test_files_that_cannot_be_written_cost_no_summary(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = await make_synced()
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="")
    nights.replace((OTHER, "m1"))
    monkeypatch.setattr("bulk.engine.sync.left_files.write_undo_file", no_space)
    monkeypatch.setattr("bulk.engine.sync.run.write_plan", no_space)

    summary = await nights.sync(prune=True, max_deletes=Limit(0))

    assert (summary.exit_code, summary.plan, summary.undo) == (5, None, None)
    said = [note.partition(": the ")[2] for note in summary.notes if "can't be written" in note]
    assert [note.partition(" (")[0] for note in said] == ["plan file can't be written", "undo file can't be written"]
    assert all("the disk is full" in note for note in said)
    assert [note.partition("); ")[2] for note in said] == [
        "run the sync again for a new one",
        f"the ledger has it: bulk results {nights.ledger} --undo-file FILE --run {summary.run_id}",
    ]
    assert "m1" in nights.box.texts(OTHER)
