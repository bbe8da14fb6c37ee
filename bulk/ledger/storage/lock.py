"""One run at a time: a lock file beside the ledger, which the system releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

from bulk.conditions import explain_os_error
from bulk.errors import LedgerError, LedgerHeldError
from bulk.ledger.storage.files import lock_of
from bulk.ledger.storage.holder import read_holder
from bulk.shell import shell_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Held", "hold", "is_held"]

_PATIENCE_S = 0.2
"""`bulk status` takes the lock for a moment to see whether a run has it: that must not stop a new run."""

_POLL_S = 0.02
_WITHOUT_FLOCK = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
"""Errors of file systems that lack flock."""

_CANT_LOCK = (
    "{}: the ledger's lock file can't be written ({}): check that the folder exists and may be written, "
    "or name another ledger with --ledger"
)


class Held(Protocol):
    """A ledger that this process has."""

    def release(self) -> object:
        """Release it."""
        ...


class _RecordLock:
    """POSIX's own kind of lock, where the file system lacks flock.

    `filelock` would only use the file's existence there, and a run that was killed would hold its ledger for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, timeout: float) -> None:
        """Take the lock, or raise ``Timeout``."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end_at = time.monotonic() + timeout
        try:
            while not self._try(self._descriptor, last=time.monotonic() >= end_at):
                time.sleep(_POLL_S)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _try(self, descriptor: int, *, last: bool) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            if last:
                raise Timeout(str(self._path)) from exc
            return False
        return True


def hold(path: Path) -> Held:
    """Take the ledger for this process. ``release()`` gives it up, and so does the end of the process.

    Raises:
        LedgerHeldError: Another run has it; the message names that run.
        LedgerError: The lock file can't be written.
    """
    # No singleton, no thread-local: one thread takes the lock, and another releases it.
    lock: FileLock | _RecordLock = (
        FileLock(lock_of(path), thread_local=False, is_singleton=False)
        if _has_flock(lock_of(path))
        else _RecordLock(lock_of(path))
    )
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        if not os.path.exists(lock_of(path)):  # noqa: PTH110 - a file that this user may not look at is no error here
            raise LedgerError(_CANT_LOCK.format(path, "no file can be made in its folder")) from None
        raise LedgerHeldError(
            f"{path}: held by {read_holder(path) or 'another run'}; wait for it to end, or stop it first "
            f"(`bulk status {shell_path(str(path))}` shows how far it is)"
        ) from None
    except OSError as exc:
        raise LedgerError(_CANT_LOCK.format(path, explain_os_error(exc))) from exc
    return lock


def _has_flock(lock: Path) -> bool:
    """Say whether the file system knows flock. If that is not known, taking the lock will report what is wrong."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as exc:
        return exc.errno not in _WITHOUT_FLOCK
    finally:
        os.close(descriptor)
    return True


def is_held(path: Path) -> bool | None:
    """Say whether a run is at work on the ledger; ``None``: not known.

    It takes a shared lock on a file opened for reading. So every user who may read can look, and one reader never looks
    like a run to another.
    """
    try:
        descriptor = os.open(lock_of(path), os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
