"""What SQLite and the system say about a ledger becomes words for the operator."""

from __future__ import annotations

import errno
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.storage import database
from bulk.ledger.storage.files import log_of
from bulk.model import Action, ReadRows

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.ledger.store import Ledger


@pytest.mark.parametrize(("may_write", "store"), [(True, "FILE"), (False, "MEMORY")])
def test_sorting_needs_no_folder_for_temporary_files(
    may_write: bool, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: may_write)

    assert database._temporary_store() == store


@pytest.mark.parametrize(
    ("text", "why", "said"),
    [
        ("unable to open database file", None, "check that its folder exists"),
        ("unable to open database file", "Too many open files: raise", "Too many open files: raise (SQLite: unable"),
        ("disk I/O error", "Disk quota exceeded: make room", "Disk quota exceeded: make room (SQLite: disk I/O"),
        ("database is locked", "never asked", "another program is writing"),
    ],
)
def test_what_sqlite_leaves_out_is_asked_of_the_system(
    text: str, why: str | None, said: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "why_not_writable", lambda _: why)

    with pytest.raises(LedgerError, match=re.escape(said)), database.translated(path):
        raise sqlite3.OperationalError(text)


def test_error_of_sqlite_without_advice_is_passed_on_in_its_words(path: Path) -> None:
    said = r"the ledger can't be used \(SQLite: no such table: nonsense\)"

    with pytest.raises(LedgerError, match=said), database.translated(path):
        raise sqlite3.OperationalError("no such table: nonsense")


def test_missing_folder_for_temporary_files_is_not_called_a_failing_disk(path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_GETTEMPPATH"  # as SQLite says it

    with pytest.raises(LedgerError, match=r"folder.*\(SQLite: disk I/O error\)") as caught, database.translated(path):
        raise error

    assert "the disk failed" not in str(caught.value)


def test_ledger_that_this_user_may_not_look_for_is_not_taken_for_a_missing_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_file", refuse)

    with pytest.raises(LedgerError, match=r"can't be looked for .Permission denied.: check the permissions"):
        database.is_there(path)


@pytest.mark.parametrize("ended", [True, False])
def test_ledger_of_a_run_that_died_is_read_whole_once_and_refused_where_a_page_is_damaged(
    ended: bool, path: Path, ledger: Ledger
) -> None:
    rates = {Action.CREATE: 10.0, Action.LIST: 10.0}
    ledger.begin_run("r", at=0.0, version="1", input_name="x", rates=rates)
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(line, "p1", f"m{line}", "", "", "[]") for line in range(2, 2_000)]))
    if ended:
        ledger.end_run("r", at=1.0, exit_code=0, stopped=None, summary=None)
    (root,) = ledger.connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'rows_by_key'").fetchone()
    (page,) = ledger.connection.execute("PRAGMA page_size").fetchone()
    ledger.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)

    if ended:
        with closing(database.open_for_writing(path)):
            pass  # a page that nobody needs yet
    else:
        with pytest.raises(LedgerError, match="the ledger is damaged: keep the file"):
            database.open_for_writing(path)


def test_file_that_ends_within_a_page_is_damaged_unless_its_log_has_the_rest(path: Path, ledger: Ledger) -> None:
    ledger.connection.execute("UPDATE target SET endpoint = endpoint")
    log = log_of(path).read_bytes()
    ledger.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)

    with pytest.raises(LedgerError, match="the file ends within a page"):
        database.open_for_writing(path)
    log_of(path).write_bytes(log)
    with closing(database.open_for_writing(path)):
        pass
