"""Test whether a folder can hold a ledger, with a real ledger that is removed again."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.errors import LedgerError
from bulk.ledger.storage.database import open_for_reading, open_for_writing, translated

if TYPE_CHECKING:
    import sqlite3

__all__ = ["FolderTrial", "try_folder"]

_COMMITS = 5
_NETWORK_FILE_SYSTEMS = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|ceph|glusterfs|lustre|afs|beegfs|fuse\.(sshfs|glusterfs|s3fs)"
)
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class FolderTrial:
    """How well a folder can hold a ledger."""

    commit_s: float
    """How long one commit to disk took: the slowest of a few."""

    free_bytes: int
    network_file_system: str | None
    """The file system's type, if this system says that it is remote: SQLite's log needs a local one."""


def try_folder(folder: Path) -> FolderTrial:
    """Write a test ledger, read it beside the writer, and remove it. Blocks.

    Raises:
        LedgerError: The folder can't be written, or SQLite can't keep its write-ahead log there.
    """
    try:
        if not folder.is_dir():
            raise LedgerError(f"{folder}: there is no such folder")
        with tempfile.TemporaryDirectory(prefix=".bulk-doctor-", dir=folder) as scratch:
            commit_s = _try_ledger(Path(scratch) / "trial.db", folder)
        free_bytes = shutil.disk_usage(folder).free
    except OSError as exc:
        raise LedgerError(f"{folder}: it can't be written ({explain_os_error(exc)})") from exc
    return FolderTrial(commit_s, free_bytes, _network_file_system(folder.resolve()))


def _try_ledger(path: Path, folder: Path) -> float:
    with translated(folder), closing(open_for_writing(path)) as writing, closing(open_for_reading(path)) as reading:
        (mode,) = writing.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            raise LedgerError(f"{folder}: SQLite can't keep a write-ahead log there (it offers {mode!r})")
        writing.execute("CREATE TABLE trial (commits)")
        slowest_s = max(_timed_commit(writing) for _ in range(_COMMITS))
        (seen,) = reading.execute("SELECT count(*) FROM trial").fetchone()
    if seen != _COMMITS:
        raise LedgerError(f"{folder}: what one connection commits another does not see")
    return slowest_s


def _timed_commit(connection: sqlite3.Connection) -> float:
    started = time.perf_counter()
    connection.execute("INSERT INTO trial VALUES (1)")
    return time.perf_counter() - started


def _network_file_system(folder: Path) -> str | None:
    """Return the type of the folder's file system, if it belongs to another machine."""
    if not _MOUNTS.is_file():
        return None
    mounted = (line.split(" ") for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines())
    types = {Path(fields[4]): fields[fields.index("-") + 1] for fields in mounted}
    kind = next((types[place] for place in (folder, *folder.parents) if place in types), "")
    return kind if _NETWORK_FILE_SYSTEMS.fullmatch(kind) else None
