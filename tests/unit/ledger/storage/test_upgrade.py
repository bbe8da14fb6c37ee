"""An upgrade that fails leaves the ledger as it was, and says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulk.errors import LedgerError
from bulk.ledger.sql import SCHEMA_VERSION, migrations
from bulk.ledger.storage import upgrade as room
from bulk.ledger.storage.database import bring_up_to_date, open_for_reading, open_for_writing
from bulk.ledger.storage.files import backup_of, unfinished_backup_of

OLD = Path("tests/data/ledgers-0.1.0/finished/ledger.sqlite")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD, tmp_path / "it.db"))


def layout(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def bring(path: Path) -> object:
    with closing(open_for_writing(path)) as connection:
        return bring_up_to_date(connection, path)


def broken_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {**migrations(), SCHEMA_VERSION: "CREATE TABLE half (a); SELECT nonsense;"}
    monkeypatch.setattr(room, "migrations", lambda: steps)


def test_ledger_is_upgraded_once_and_its_copy_keeps_the_old_layout(path: Path) -> None:
    before = path.stat().st_mode

    first, second = bring(path), bring(path)

    assert first == (1, backup_of(path, 1))
    assert second is None
    assert (layout(path), layout(backup_of(path, 1))) == (SCHEMA_VERSION, 1)
    assert backup_of(path, 1).stat().st_mode & 0o777 == before & 0o777


def test_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_step(monkeypatch)

    with closing(open_for_writing(path)) as connection:
        with pytest.raises(LedgerError, match="no such column"):
            bring_up_to_date(connection, path)

        assert not connection.in_transaction
    assert layout(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)


def test_step_that_fails_in_a_readers_copy_leaves_no_copy_and_the_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    broken_step(monkeypatch)
    before, connect = path.read_bytes(), sqlite3.connect
    opened: list[sqlite3.Connection] = []

    def note(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr("sqlite3.connect", note)

    with pytest.raises(LedgerError, match="no such column"):
        open_for_reading(path)

    assert len(opened) == 2
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert [*temporary.iterdir()] == []
    assert path.read_bytes() == before


def test_reader_without_a_folder_for_a_copy_is_told_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    with pytest.raises(LedgerError, match="shown from a temporary copy, which can't be written"):
        open_for_reading(path)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full: make room for three times the ledger's size"),
        (errno.EACCES, "the copy that is kept beside it can't be written: check the permissions of the folder"),
    ],
)
def test_copy_that_can_not_be_kept_leaves_the_ledger_as_it_was(
    number: int, said: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)

    with pytest.raises(LedgerError, match=said):
        bring(path)

    assert layout(path) == 1
    assert not backup_of(path, 1).exists()
    assert not unfinished_backup_of(path, 1).exists()


def test_copy_that_a_killed_upgrade_left_half_is_made_anew(path: Path) -> None:
    unfinished_backup_of(path, 1).write_bytes(b"half of it")

    bring(path)

    assert layout(backup_of(path, 1)) == 1
    assert not unfinished_backup_of(path, 1).exists()
