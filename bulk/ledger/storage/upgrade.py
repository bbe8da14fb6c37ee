"""Upgrade a ledger of an earlier layout to this version's. Errors of SQLite and the system are passed on.

If an upgrade dies at any moment, the ledger is whole. The copy beside it gets its name only when it is on disk; after
that, one transaction changes the ledger. The next run finds the old layout and starts again, or it finds the new one.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bulk.ledger.sql import SCHEMA_VERSION, migrations
from bulk.ledger.storage.files import backup_of, unfinished_backup_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Upgrade", "layout_in_header", "upgrade", "upgraded_copy"]

_HEADER_BYTES = 100
_USER_VERSION = slice(60, 64)
"""Where SQLite's file format keeps the layout's number, most significant byte first."""


class Upgrade(NamedTuple):
    """An upgrade of a ledger to the present layout."""

    layout: int
    """The layout that it had."""

    copy: Path
    """The copy that is kept in that layout: an earlier version of `bulk` can continue with it."""


def layout_in_header(path: Path) -> int:
    """Return the layout's number in the file, without its log, which may have a later one; 0: none.

    This does not use SQLite, so that the file is not touched: the last connection that closes a file empties its log.
    Not for a process that holds the ledger: see `bulk.ledger.storage.database.open_beside_writer`.
    """
    with path.open("rb") as file:
        return int.from_bytes(file.read(_HEADER_BYTES)[_USER_VERSION], "big")


def upgrade(connection: sqlite3.Connection, path: Path, layout: int) -> Upgrade:
    """Keep a copy of the ledger beside it, then change its layout in one transaction.

    Args:
        connection: A connection for writing, of the process that holds the ledger.
        path: The ledger.
        layout: The layout that it has now.
    """
    copy = backup_of(path, layout)
    with _replaced(copy, unfinished_backup_of(path, layout), like=path) as unfinished:
        _copy(connection, unfinished)
    _migrate(connection, layout)
    with suppress(sqlite3.Error):  # the log now has all modules twice; if there is no room, a run will report it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Upgrade(layout, copy)


def upgraded_copy(source: sqlite3.Connection, layout: int) -> sqlite3.Connection:
    """Return a connection to a copy in the present layout; closing the connection removes the copy."""
    with tempfile.TemporaryDirectory(prefix="bulk-ledger-") as folder:
        copy = sqlite3.connect(Path(folder) / "copy.db", isolation_level=None, check_same_thread=False)
        try:
            source.backup(copy)
            # Neither log nor journal: the file has no name any more when it is read.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            _migrate(copy, layout)
        except BaseException:
            copy.close()
            raise
    return copy


def _migrate(connection: sqlite3.Connection, layout: int) -> None:
    steps = "".join(migrations()[number] for number in range(layout + 1, SCHEMA_VERSION + 1))
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _copy(source: sqlite3.Connection, path: Path) -> None:
    """Copy what the source sees, its log included, into an empty file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")  # a journal would outlive a crash, and spoil the next copy
        source.backup(copy)


@contextmanager
def _replaced(path: Path, unfinished: Path, *, like: Path) -> Iterator[Path]:
    """Yield an empty file with the permissions of another; when the block ends it is on disk and has its name."""
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(descriptor, like.stat().st_mode & 0o777)
        yield unfinished
        os.fsync(descriptor)
        unfinished.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # this file may be what fills the disk
        raise
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Put the names of its files on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
