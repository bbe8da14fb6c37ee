"""A folder is tried with a real ledger, of which nothing stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError
from bulk.ledger.storage import folder as room
from bulk.ledger.storage.database import open_for_reading, open_for_writing
from bulk.ledger.storage.folder import try_folder

if TYPE_CHECKING:
    import sqlite3

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:50 / {place} rw,relatime shared:1 - nfs4 server:/jobs rw
"""


def test_good_folder_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    trial = try_folder(tmp_path)

    assert trial.commit_s > 0
    assert trial.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no such folder"):
        try_folder(tmp_path / "missing")


def test_folder_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(LedgerError, match="it can't be written"):
        try_folder(Path("/proc"))


def test_folder_below_a_network_mount_says_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(place=tmp_path))
    monkeypatch.setattr(room, "_MOUNTS", mounts)
    (tmp_path / "nightly").mkdir()

    assert try_folder(tmp_path / "nightly").network_file_system == "nfs4"


def test_local_folder_beside_a_network_mount_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(place=tmp_path / "elsewhere"))
    monkeypatch.setattr(room, "_MOUNTS", mounts)

    assert try_folder(tmp_path).network_file_system is None


def test_system_that_tells_no_mounts_is_believed_to_be_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MOUNTS", tmp_path / "none")

    assert try_folder(tmp_path).network_file_system is None


class Bent:
    """A connection whose answer to one question is another."""

    def __init__(self, connection: sqlite3.Connection, question: str, answer: object) -> None:
        self._connection = connection
        self._question = question
        self._answer = answer

    def execute(self, statement: str) -> Any:
        if statement == self._question:
            return SimpleNamespace(fetchone=lambda: (self._answer,))
        return self._connection.execute(statement)

    def close(self) -> None:
        self._connection.close()


def test_folder_that_keeps_no_log_is_an_error_and_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent = lambda path: Bent(open_for_writing(path), "PRAGMA journal_mode", "delete")  # noqa: E731 - one line
    monkeypatch.setattr(room, "open_for_writing", bent)

    with pytest.raises(LedgerError, match=r"SQLite can't keep a write-ahead log there .it offers 'delete'"):
        try_folder(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_folder_whose_commits_are_not_seen_by_others_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent = lambda path: Bent(open_for_reading(path), "SELECT count(*) FROM trial", 4)  # noqa: E731 - one line
    monkeypatch.setattr(room, "open_for_reading", bent)

    with pytest.raises(LedgerError, match="what one connection commits another does not see"):
        try_folder(tmp_path)
