"""One file through which the processes of one user on this machine learn of each other's requests.

It is a ring of numbered notes, used under a lock that the system releases when a process ends. To find out whether
there is a new note, a process reads the place of the next one. Nothing here waits: if another process has the lock, the
caller tries again.

The folder is private. A link, another owner, or access for others is refused: anyone who could write there could slow
down or speed up a run. If a file was removed, replaced or damaged, a process creates a new one with another number. So
the processes that used the old file know that notes are missing.

The folder is in memory, if the system has such a place. It does not depend on the environment of a job, unlike
``$TMPDIR`` and ``$XDG_RUNTIME_DIR``, which cron and a login shell set differently.
"""

from __future__ import annotations

import errno
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

_HEAD = struct.Struct("<8sQQ")
"""Magic, the file's number, capacity in notes."""

_MAGIC = b"bulkwin1"
_NOTE = struct.Struct("<Qqd")
"""Number starting at 1, kind, moment."""

_TRIES = 50
"""Attempts to get the lock before giving up: about ten microseconds in total, as long as another process holds it."""

_NOTES_A_PLACE = 8
"""Room in the ring for each request of a window. A request that is sent and answered makes three notes."""

_LEAST_NOTES = 1_024
_MOST_NOTES = 131_072
"""Three megabytes. Above this, at about 10,000 requests a second, a process that joins others first waits a window."""

_AT_ONCE = 64
"""Notes of other processes that are read at once: more than arrive between two requests."""

_KEPT_S = 24 * 3600.0
"""A file that no process has used for this long is removed."""

_PLACES = ("/dev/shm", "/tmp")  # noqa: S108 - the folder is checked before use
"""In memory first: it is quicker, and a service's private ``/tmp`` does not hide it from other jobs."""

_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR})
"""Errors of the system if another user, or a link, is in the way."""

_NOTHING_NEW = News((), is_whole=True)


def shared_folder() -> Path:
    """Return the folder of this user's processes: the same for all of them, in any environment.

    A missing or read-only place is so for all processes. A full place may not be, so this function does not check that.
    """
    places = [Path(place) for place in _PLACES]
    place = next((place for place in places if os.access(place, os.W_OK | os.X_OK)), places[-1])
    return place / f"bulk-{os.geteuid()}"


def window_name(group: str, action: str) -> str:
    """Return the name of a group's file for one action; it shows no key's ID."""
    return hashlib.sha256(f"{group}\0{action}".encode()).hexdigest()


class SharedWindow:
    """An `Exchange` by a file."""

    def __init__(self, name: str, *, per_s: float, folder: Path | None = None) -> None:
        """Open nothing yet.

        Args:
            name: Name of the file, from `window_name`.
            per_s: Requests a second of this process; the ring has room for the requests of a few windows.
            folder: Folder of the files; created if missing. ``None``: the same one for all of this user's processes.
        """
        self._name = name
        self._folder = folder
        self._room = min(max(_LEAST_NOTES, _NOTES_A_PLACE * int(per_s)), _MOST_NOTES)
        self._capacity = self._room
        self._file = -1
        self._is_read = False
        """Whether the file's head and all its notes were read since it was opened."""

        self._number: int | None = None
        """Number of the file that this process has read; ``None``: it has read none."""

        self._last = 0
        """Number of the last note that this process knows."""

    def open(self) -> None:
        """Open the file, and remove unused ones. This call is optional, and hides its errors."""
        with suppress(OSError, ExchangeLostError):
            self._file = self._opened()
            self._sweep()

    def close(self) -> None:
        """Close the file; another call of `begin` opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file, self._is_read = -1, False

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
            if os.fstat(self._file).st_nlink and (news := self._news()) is not None:
                return news
            self.close()  # it was removed or damaged: other processes use another one

    def _locked(self) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def _news(self) -> News | None:
        """Return the new notes; ``None``: the file was damaged, and is removed now."""
        if not self._is_read:
            return self._all_of_it()
        data = os.pread(self._file, _NOTE.size, _offset(self._last % self._capacity))
        if len(data) == _NOTE.size and _NOTE.unpack(data)[0] <= self._last:
            return _NOTHING_NEW
        notes: list[Note] = []
        while data:
            place = self._last % self._capacity
            data = os.pread(self._file, min(_AT_ONCE, self._capacity - place) * _NOTE.size, _offset(place))
            for number, kind, at in _NOTE.iter_unpack(data[: len(data) // _NOTE.size * _NOTE.size]):
                if number <= self._last:
                    return News(notes, is_whole=True)
                if number > self._last + 1:
                    return self._all_of_it()  # the others have overwritten the whole ring
                notes.append((kind, at))
                self._last = number
        self._remove()
        return None

    def _all_of_it(self) -> News | None:
        size = os.fstat(self._file).st_size
        if not size:
            self._lay_out()
        data = os.pread(self._file, size or _offset(self._room), 0)
        magic, number, capacity = _HEAD.unpack_from(data) if len(data) > _HEAD.size else (b"", 0, 0)
        if magic != _MAGIC or not capacity or len(data) != _offset(capacity):
            self._remove()
            return None
        known = self._last if number == self._number else 0
        notes = sorted(note for note in _NOTE.iter_unpack(data[_offset(0) :]) if note[0] > known)
        is_known = number == self._number or self._number is None
        is_whole = is_known and (not notes or notes[0][0] == known + 1)
        self._number, self._capacity, self._is_read = number, capacity, True
        self._last = notes[-1][0] if notes else known
        return News([(kind, at) for _, kind, at in notes], is_whole)

    def _lay_out(self) -> None:
        os.ftruncate(self._file, _offset(self._room))
        try:
            os.posix_fallocate(self._file, 0, _offset(self._room))  # a full file system fails here, and only once
        except (AttributeError, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        os.pwrite(self._file, _HEAD.pack(_MAGIC, secrets.randbits(64), self._room), 0)

    def _remove(self) -> None:
        (self._folder or shared_folder()).joinpath(self._name).unlink(missing_ok=True)

    def end(self, notes: Sequence[Note]) -> None:
        """See `Exchange.end`."""
        try:
            if notes:
                self._write(notes[-self._capacity :])
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as exc:
            self.close()  # which releases the lock
            raise self._lost(exc) from exc

    def _write(self, notes: Sequence[Note]) -> None:
        last, place = self._last, self._last % self._capacity
        data = b"".join([_NOTE.pack(number, *note) for number, note in enumerate(notes, last + 1)])
        until_end = (self._capacity - place) * _NOTE.size
        written = os.pwrite(self._file, data[:until_end], _offset(place))
        if len(data) > until_end:
            written += os.pwrite(self._file, data[until_end:], _offset(0))
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._last = last + len(notes)

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
            raise self._not_private()
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
            raise self._not_private()
        return opened

    def _sweep(self) -> None:
        before = time.time() - _KEPT_S
        for path in (self._folder or shared_folder()).iterdir():
            if len(path.name) == len(self._name) and path.lstat().st_mtime < before:
                path.unlink()

    def _not_private(self) -> ExchangeLostError:
        return ExchangeLostError(
            f"{self._folder}, or a file in it, is not private to this user: remove the folder, or ask its owner to"
        )

    def _lost(self, exc: OSError) -> ExchangeLostError:
        if exc.errno in _NOT_OURS:
            return self._not_private()
        return ExchangeLostError(f"{self._folder} can't be used: {explain_os_error(exc)}")


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _offset(place: int) -> int:
    return _HEAD.size + place * _NOTE.size
