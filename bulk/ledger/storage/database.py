"""Open a ledger's SQLite file in the layout that this version knows, and put SQLite's errors into words.

An old ledger is upgraded when a run opens it for writing; a reader gets an upgraded copy.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error, no_temporary_folder, why_not_writable
from bulk.errors import LedgerError, LedgerLayoutError
from bulk.ledger.sql import SCHEMA_VERSION, query, schema
from bulk.ledger.storage.files import log_of
from bulk.ledger.storage.upgrade import Upgrade, layout_in_header, upgrade, upgraded_copy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "NotBegunError",
    "Upgrade",
    "bring_up_to_date",
    "closed_on_failure",
    "is_there",
    "open_as_it_is",
    "open_beside_writer",
    "open_for_reading",
    "open_for_writing",
    "translated",
]

_WRITING_CACHE_KIB = 8_192
_READING_CACHE_KIB = 2_048
"""How much of the file a connection may cache, and how much it may sort in memory. Measured from 10,000 to a million
rows: 16 MiB for each are no faster, and a run has up to three connections."""

_TEMPORARY_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - SQLite's own list
"""Where SQLite looks for a folder after the environment's."""

_BUSY_TIMEOUT_S = 5.0


class NotBegunError(LedgerError):
    """The process that made the ledger died before it noted a target: this counts as no ledger."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: no run has used this ledger yet; start one with `bulk run`")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the ledger and check that it is whole. A new file gets its layout; an old layout stays as it is.

    The connection may move between threads, but only one may use it at a time. WAL with ``synchronous=FULL``:
    a commit that returned is on disk.

    Raises:
        LedgerLayoutError: A newer version wrote it.
        LedgerError: The folder or file can't be written, is no ledger, or is damaged.
    """
    with translated(path):
        connection = _connect(f"{path.absolute().as_uri()}?mode=rwc", cache_kib=_WRITING_CACHE_KIB)
        with closed_on_failure(connection):
            layout = _layout(connection, path)  # WAL changes the file for good: first make sure that it is a ledger
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # Without this, a sync on macOS reaches only the disk's cache; elsewhere it changes nothing.
            connection.execute("PRAGMA fullfsync = ON")
            if not layout:
                _lay_out(connection)
            _check_size(connection, path)
            _check_if_a_run_died(connection)
    return connection


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> Upgrade | None:
    """Upgrade a ledger that this process holds, if it has an earlier layout; a copy of it stays beside it.

    Raises:
        LedgerError: There is no room, or no right to write, for the copy or the upgrade; the ledger is as it was.
    """
    with translated(path, advice=_UPGRADE_ADVICE):
        layout = _layout(connection, path)
        if layout == SCHEMA_VERSION:
            return None
        try:
            return upgrade(connection, path, layout)
        except OSError as exc:
            what_to_do = _UPGRADE_ADVICE["full" if exc.errno == errno.ENOSPC else "unable to open"]
            raise LedgerError(f"{path}: {what_to_do} ({explain_os_error(exc)})") from exc


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing ledger for reading, also while a run is at work, and also if this user may only read.

    A ledger of an earlier layout is copied first, and its own files stay as they are.

    Raises:
        LedgerLayoutError: A newer version wrote it.
        LedgerError: There is no such file, it can't be read, or it is no ledger.
        NotBegunError: There is nothing in it yet.
    """
    connection = open_as_it_is(path)
    with closed_on_failure(connection), translated(path, advice=_COPYING_ADVICE):
        layout = _layout(connection, path)
        if layout == SCHEMA_VERSION:
            return connection
        try:
            copy = upgraded_copy(connection, layout)
        except OSError as exc:
            raise LedgerError(f"{path}: {_COPYING} ({no_temporary_folder(exc)})") from exc
        with closed_on_failure(copy):
            copy.execute("PRAGMA query_only = ON")
    connection.close()
    return copy


def open_beside_writer(path: Path) -> sqlite3.Connection:
    """Open a ledger that this process holds, to read it while it is written.

    It reads the file only through SQLite. By a rule of POSIX, a process that opens and closes the file by other means
    loses all its locks on it. The next program that opens the ledger and closes it would then look like its last user,
    and SQLite would remove the log of a run at work.

    Raises:
        LedgerError: It can't be opened.
    """
    with translated(path):
        connection = _connect(f"{path.absolute().as_uri()}?mode=rw", cache_kib=_READING_CACHE_KIB)
        with closed_on_failure(connection):
            connection.execute("PRAGMA query_only = ON")
    return connection


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open as `open_for_reading`, but only for the table `runs`, which is the same in all layouts: no copy."""
    if not is_there(path):
        raise LedgerError(f"{path}: there is no such ledger; {_WHERE_LEDGERS_ARE}")
    with translated(path, advice=_READING_ADVICE):
        connection = _connect(f"{path.absolute().as_uri()}?{_way_to_read(path)}", cache_kib=_READING_CACHE_KIB)
        with closed_on_failure(connection):
            connection.execute("PRAGMA query_only = ON")
            if not _layout(connection, path):
                raise NotBegunError(path)
    return connection


def is_there(path: Path) -> bool:
    """Say whether there is a file of this name.

    Raises:
        LedgerError: This user may not look.
    """
    try:
        return path.is_file()
    except OSError as exc:
        raise LedgerError(
            f"{path}: the ledger can't be looked for ({exc.strerror}): check the permissions of its folder, "
            "or name another ledger"
        ) from exc


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection if preparing it fails; else leave it open for its user."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def translated(path: Path, *, advice: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn SQLite's errors into `LedgerError`, with what to do about them.

    Args:
        path: The ledger, for messages.
        advice: A word of SQLite's message → what to do; ``None``: the advice for a writer.

    Raises:
        LedgerError: SQLite raised; what had been committed before is still there.
    """
    try:
        yield
    except sqlite3.Error as exc:
        raise LedgerError(f"{path}: {_explain(exc, advice or _ADVICE, path)}") from exc


def _connect(uri: str, *, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    with closed_on_failure(connection):
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute(f"PRAGMA temp_store = {_temporary_store()}")
    return connection


def _temporary_store() -> str:
    """Return where SQLite sorts what is too large for its cache: in memory only if no folder is usable.

    This happens in a container whose file system is read-only, except for the ledger's folder.
    """
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    folders = (*filter(None, named), *_TEMPORARY_FOLDERS)
    return "FILE" if any(os.access(folder, os.W_OK | os.X_OK) for folder in folders) else "MEMORY"


def _way_to_read(path: Path) -> str:
    """Return the flags to open the file with.

    SQLite writes files beside a ledger even to read it, unless a run has its files there already. If this user may not
    write there, and there is no log, the ledger is complete in its one file and can be read alone. A run that begins
    meanwhile does not know of such a reader. At worst the reader gets an error that the ledger is damaged, and tries
    again. A user who may write would empty the log if no one else has the ledger open; an old ledger must not be
    changed so.
    """
    log = log_of(path)
    if os.access(path, os.W_OK) and os.access(log.parent, os.W_OK) and not _has_log_of_old_layout(path, log):
        return "mode=rw"
    return "mode=ro" if log.exists() else "mode=ro&immutable=1"


def _has_log_of_old_layout(path: Path, log: Path) -> bool:
    try:
        return log.stat().st_size > 0 and layout_in_header(path) != SCHEMA_VERSION
    except OSError:
        return False  # no log, or an error that SQLite itself reports better


def _layout(connection: sqlite3.Connection, path: Path) -> int:
    """Return the number of the file's ledger layout; 0: it is still empty.

    Raises:
        LedgerLayoutError: A newer version wrote it.
        LedgerError: It is another program's.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    things, ours = connection.execute(query("count_tables")).fetchone()
    if not (version or application or things):
        return 0
    if version <= 0 or application or not ours:
        raise LedgerError(f"{path}: this file is not a ledger of bulk; name another with --ledger")
    if version > SCHEMA_VERSION:
        raise LedgerLayoutError(
            f"{path}: a newer version of bulk wrote this ledger: its layout is version {version}, and this bulk "
            f"knows versions up to {SCHEMA_VERSION}; use the newer bulk, or start a new ledger with --ledger"
        )
    return int(version)


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN IMMEDIATE; {schema()} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _check_size(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose last page was cut off: SQLite would silently read zeros in its place."""
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    log = log_of(path)
    # While there is a log, the last page may be in it, and be written to the file later.
    if path.stat().st_size % page_bytes and not (log.exists() and log.stat().st_size):
        raise sqlite3.DatabaseError("malformed: the file ends within a page")


def _check_if_a_run_died(connection: sqlite3.Connection) -> None:
    """Read every page once if the last run did not record its end: a crash of the machine can damage a file."""
    if not connection.execute(query("holder")).fetchone():
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")


def _explain(exc: sqlite3.Error, advice: Mapping[str, str], path: Path) -> str:
    text = str(exc)
    if getattr(exc, "sqlite_errorname", "") == "SQLITE_IOERR_GETTEMPPATH":
        return f"{no_temporary_folder()} (SQLite: {text})"
    if any(sign in text for sign in _HIDING) and (why := why_not_writable(path)):
        return f"{why} (SQLite: {text})"
    for sign, what_to_do in advice.items():
        if sign in text:
            return f"{what_to_do} (SQLite: {text})"
    return f"the ledger can't be used (SQLite: {text})"


_HIDING = ("unable to open", "disk I/O")
"""Messages of SQLite that leave out the system's own error."""

_ADVICE = {
    "full": "the disk is full: make room and run the same command again; nothing that was recorded is lost",
    "readonly": "the ledger can't be written: check the permissions of the file and its folder, "
    "or name another with --ledger",
    "unable to open": "the ledger can't be opened: check that its folder exists and may be written, "
    "or name another with --ledger",
    "malformed": "the ledger is damaged: keep the file, save what can be read with `sqlite3 LEDGER .recover`, "
    "and run with a new --ledger; the platform's listings will tell what exists",
    "not a database": "this file is not a ledger of bulk; name another with --ledger",
    "locked": "another program is writing to the ledger: close it and run the same command again",
    "disk I/O": "the disk failed while the ledger was read or written: check the disk, then run the same command again",
}
"""A word of SQLite's message → what the operator can do."""

_WHERE_LEDGERS_ARE = "a run writes it beside its input, as INPUT.ledger.db (with --sandbox: INPUT.sandbox.db)"

_READING_ADVICE = {
    **_ADVICE,
    "not a database": f"this file is not a ledger of bulk; {_WHERE_LEDGERS_ARE}",
    **dict.fromkeys(
        ("readonly", "unable to open"),
        "this user may not read the ledger, or not its log (-wal, -shm) beside it: "
        "ask for the right to read all three, or for a copy",
    ),
}
"""The same, for a reader."""

_UPGRADE_ADVICE = {
    **_ADVICE,
    "full": "the ledger must be upgraded to the layout of this version, and the disk is full: make room for three "
    "times the ledger's size and run the same command again; the ledger is as it was",
    **dict.fromkeys(
        ("readonly", "unable to open"),
        "the ledger must be upgraded to the layout of this version, and the copy that is kept beside it can't be "
        "written: check the permissions of the folder and run the same command again; the ledger is as it was",
    ),
}
"""The same, for a run that meets an old ledger."""

_COPYING = "an earlier version wrote this ledger, and it is shown from a temporary copy, which can't be written"

_COPYING_ADVICE = {
    **_READING_ADVICE,
    "full": f"{_COPYING}: make room in the folder for temporary files, or set TMPDIR to another folder",
}
"""The same, for a reader of an old ledger."""
