"""One run at a time: a lock file beside the ledger, which the system lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from bulk.errors import LedgerError, LedgerHeldError
from bulk.ledger.files import lock_of
from bulk.ledger.holder import read_holder
from bulk.names import shell_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hold", "is_held"]

_PATIENCE_S = 0.2
"""`bulk status` takes the lock for a moment to see whether anybody has it: that must not turn a run away."""

_CANT_LOCK = (
    "{}: the ledger's lock file can't be written ({}): check that the folder exists and may be written, "
    "or name another ledger with --ledger"
)


def hold(path: Path) -> FileLock:
    """Take the ledger for this process; ``release()`` lets it go.

    Raises:
        LedgerHeldError: Another run has it; the message names that run.
        LedgerError: The lock file can't be written.
    """
    # No singleton, no thread-local: a run is taken up on one thread and let go on another.
    lock = FileLock(lock_of(path), thread_local=False, is_singleton=False)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        if not os.path.exists(lock_of(path)):  # noqa: PTH110 - what may not be looked at is no error here
            raise LedgerError(_CANT_LOCK.format(path, "no file can be made in its folder")) from None
        raise LedgerHeldError(
            f"{path}: held by {read_holder(path) or 'another run'}; wait for it to end, or stop it first "
            f"(`bulk status {shell_path(str(path))}` shows how far it is)"
        ) from None
    except OSError as exc:
        raise LedgerError(_CANT_LOCK.format(path, exc.strerror or exc)) from exc
    return lock


def is_held(path: Path) -> bool | None:
    """Say whether a run is at work on the ledger; ``None``: that can't be told.

    A shared lock on a file opened for reading: whoever may read can look, and who looks is never seen by another.
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
