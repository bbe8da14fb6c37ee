"""One file through which the processes of one user on this machine hear of each other's requests.

It is a ring of notes behind a head that counts them, used under a lock that the system releases when a process ends.
Nothing here waits: where another process has the lock, the caller tries again. A note is written before the head that
counts it, so a process that dies in between has said nothing.

The folder is private. A link, another owner, or access for others is refused: who could write there could slow down or
hurry a run. A file that was removed, replaced or spoiled is begun anew with another number, so that the processes that
used the old one know that notes are missing.

The folder lies in memory, where the system has such a place. It is the same whatever the environment of a job says,
unlike ``$TMPDIR`` and ``$XDG_RUNTIME_DIR``, which cron and a login shell set differently.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.control.sharing import ExchangeLostError, News

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.control.notes import Note

__all__ = ["SharedWindow", "shared_folder", "window_name"]

_HEAD = struct.Struct("<8sQQQ")
"""Magic, the file's number, capacity in notes, notes ever written."""

_MAGIC = b"bulkwin1"
_NOTE = struct.Struct("<qd")

_TRIES = 50
"""Looks at the lock before giving up: together some ten microseconds, as long as another's turn takes."""

_NOTES_A_PLACE = 8
"""Notes for each request of a window that the ring has room for. One that is sent and answered makes three."""

_LEAST_NOTES = 64
_MOST_NOTES = 131_072
"""Two megabytes. Beyond that, who joins others at some 10,000 requests a second waits a window first."""

_KEPT_S = 24 * 3600.0
"""A file that nobody has used for so long is removed."""


def shared_folder() -> Path:
    """Return where this user's processes meet: the same place for all of them, whatever their environment."""
    memory = Path("/dev/shm")  # noqa: S108 - what lies there is checked
    place = memory if memory.is_dir() else Path("/tmp")  # noqa: S108 - the same
    return place / f"bulk-{os.geteuid()}"


def window_name(group: str, action: str) -> str:
    """Return the name of a group's file for one action; it shows no key's ID."""
    return hashlib.sha256(f"{group}\0{action}".encode()).hexdigest()


class SharedWindow:
    """An `Exchange` by a file."""

    def __init__(self, name: str, *, per_s: float, folder: Path | None = None) -> None:
        """Open nothing yet.

        Args:
            name: Of the file, as `window_name` gives it.
            per_s: Requests a second of this process; the ring has room for those of a few windows.
            folder: Where processes meet; it is made if it is missing. ``None``: the same for all of this user's.
        """
        self._name = name
        self._folder = folder
        self._room = min(_LEAST_NOTES + _NOTES_A_PLACE * int(per_s + 1), _MOST_NOTES)
        self._file = -1
        self._number: int | None = None
        """Of the file that this process listened to; ``None``: of none yet."""

        self._head = 0
        """How many of its notes this process knows."""

        self._capacity = self._room

    def open(self) -> None:
        """Open the file, and remove those that nobody uses any more; may be left out, and may fail in silence."""
        with suppress(OSError, ExchangeLostError):
            self._file = self._opened()
            self._sweep()

    def close(self) -> None:
        """Close the file; another call of `begin` opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def begin(self) -> News | None:
        """See `Exchange.begin`."""
        try:
            return self._begin()
        except OSError as exc:
            self.close()
            raise self._lost(exc) from exc
        except ExchangeLostError:
            self.close()
            raise

    def _begin(self) -> News | None:
        while True:
            if self._file < 0:
                self._file = self._opened()
            if not self._locked():
                return None
            found = os.fstat(self._file)
            if found.st_nlink:
                return self._news(found.st_size)
            self.close()  # it was removed: others meet at another one

    def _locked(self) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def _news(self, size: int) -> News:
        number, capacity, head = self._read_head(size) or self._laid_out(secrets.randbits(64), self._room, 0)
        is_known = number == self._number
        known = self._head if is_known else 0
        first = max(known, head - capacity)
        is_whole = first == known and (is_known or self._number is None)
        self._number, self._capacity, self._head = number, capacity, head
        notes = self._read(first, head) if first < head else ()
        if capacity < self._room:
            self._grow()
        return News(notes, is_whole)

    def _read_head(self, size: int) -> tuple[int, int, int] | None:
        data = os.pread(self._file, _HEAD.size, 0)
        if len(data) < _HEAD.size:
            return None
        magic, number, capacity, head = _HEAD.unpack(data)
        return (number, capacity, head) if magic == _MAGIC and capacity > 0 and size == _size(capacity) else None

    def _laid_out(self, number: int, capacity: int, head: int) -> tuple[int, int, int]:
        os.ftruncate(self._file, 0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file, 0, _size(capacity))  # a file system that is full says so here, and once
        else:
            os.ftruncate(self._file, _size(capacity))
        os.pwrite(self._file, _HEAD.pack(_MAGIC, number, capacity, head), 0)
        return number, capacity, head

    def _grow(self) -> None:
        """Make room for a process whose rate is higher than any before."""
        first = max(0, self._head - self._capacity)
        notes = self._read(first, self._head)
        self._capacity = self._room
        self._laid_out(self._number or 0, self._capacity, self._head)
        self._write(first, notes)

    def _read(self, first: int, head: int) -> list[Note]:
        data = b"".join(
            os.pread(self._file, (last - start) * _NOTE.size, _offset(start, self._capacity))
            for start, last in self._pieces(first, head)
        )
        return list(_NOTE.iter_unpack(data))

    def _write(self, first: int, notes: Sequence[Note]) -> None:
        for start, last in self._pieces(first, first + len(notes)):
            data = b"".join(_NOTE.pack(*note) for note in notes[start - first : last - first])
            if os.pwrite(self._file, data, _offset(start, self._capacity)) != len(data):
                raise OSError("the file was written in part only")

    def _pieces(self, first: int, head: int) -> list[tuple[int, int]]:
        """Cut a stretch of the ring where the file ends."""
        turn = (first // self._capacity + 1) * self._capacity
        return [(first, head)] if head <= turn else [(first, turn), (turn, head)]

    def end(self, notes: Sequence[Note]) -> None:
        """See `Exchange.end`."""
        try:
            if notes:
                notes = notes[-self._capacity :]
                self._write(self._head, notes)
                self._head += len(notes)
                os.pwrite(self._file, _HEAD.pack(_MAGIC, self._number, self._capacity, self._head), 0)
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as exc:
            self.close()  # which drops the lock
            raise self._lost(exc) from exc

    def _opened(self) -> int:
        if self._folder is None:
            self._folder = shared_folder()
        folder = self._opened_folder(self._folder)
        try:
            file = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600, dir_fd=folder)
        finally:
            os.close(folder)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or not _is_private(found) or found.st_nlink > 1:
            os.close(file)
            raise ExchangeLostError(f"{self._folder / self._name} is not a private file of this user: remove it")
        return file

    def _opened_folder(self, folder: Path) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            opened = os.open(folder, flags)
        except FileNotFoundError:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            opened = os.open(folder, flags)
        if not _is_private(os.fstat(opened)):
            os.close(opened)
            raise ExchangeLostError(
                f"{folder} is not a private folder of this user: remove it, or let its owner do so, or make it mode 700"
            )
        return opened

    def _sweep(self) -> None:
        before = time.time() - _KEPT_S
        for path in (self._folder or shared_folder()).iterdir():
            if len(path.name) == len(self._name) and path.lstat().st_mtime < before:
                path.unlink()

    def _lost(self, exc: OSError) -> ExchangeLostError:
        return ExchangeLostError(f"{self._folder} can't be used: {explain_os_error(exc)}")


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _size(capacity: int) -> int:
    return _HEAD.size + capacity * _NOTE.size


def _offset(number: int, capacity: int) -> int:
    return _HEAD.size + number % capacity * _NOTE.size
