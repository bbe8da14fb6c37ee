"""What SQLite and the system say about a ledger becomes words for the operator."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.storage import database

if TYPE_CHECKING:
    from pathlib import Path


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
