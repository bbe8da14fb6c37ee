"""Watch that a ledger's files stay where they were opened: SQLite would go on with files that are removed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk.errors import LedgerError, LedgerHeldError
from bulk.ledger.storage.files import lock_of, log_of, memory_of
from bulk.ledger.storage.lock import hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Place"]

_Identity = tuple[int, int]
"""Device and number of a file: no other file has them while this one is open."""


class Place:
    """The files of a ledger that is open and held."""

    def __init__(self, path: Path, *, keep: Callable[[Callable[[], object]], object]) -> None:
        """Note which files they are.

        Args:
            path: The ledger, which was opened just now.
            keep: Receives the locks that must be released when the ledger is closed.
        """
        self._path = path
        self._keep = keep
        self._ledger = _identity(path)
        self._bytes = _size(path) or 0
        self._lock = _identity(lock_of(path))
        self._beside = {file: _identity(file) for file in (log_of(path), memory_of(path))}

    def check(self) -> None:
        """Check that they are still there, and lock the ledger again if the lock's file was removed.

        Raises:
            LedgerError: The ledger is not there any more, or another run has taken it.
        """
        if self._has_changed(self._path, self._ledger):
            raise LedgerError(
                f"{self._path}: this ledger was removed, moved or replaced while the run was at work, so what it "
                "recorded may be lost. Don't touch a ledger during a run. Nothing is made twice: run again, and the "
                "listings show what was created"
            )
        self._check_size()
        for file, known in self._beside.items():
            if known is None:
                self._beside[file] = _identity(file)  # SQLite makes it when it first needs it
            elif self._has_changed(file, known):
                raise LedgerError(
                    f"{self._path}: {file.name} was removed or replaced while the run was at work, and the ledger "
                    "can't be kept without it. Run again: the listings show what was created"
                )
        if self._has_changed(lock_of(self._path), self._lock):
            self._hold_again()

    def _check_size(self) -> None:
        """Check whether the file was cut off: it never becomes shorter while a run is at work."""
        size = _size(self._path)
        if size is None:
            return
        if size < self._bytes:
            raise LedgerError(
                f"{self._path}: this ledger was cut off or overwritten while the run was at work, so what it recorded "
                "is lost. Don't touch a ledger during a run. Nothing is made twice: move the file away and run again, "
                "and the listings show what was created"
            )
        self._bytes = size

    def _hold_again(self) -> None:
        try:
            self._keep(hold(self._path).release)
        except LedgerHeldError as exc:
            raise LedgerError(
                f"{self._path}: {lock_of(self._path).name} was removed while the run was at work, and another run has "
                "taken the ledger since: this one stops. Don't remove that file during a run"
            ) from exc
        self._lock = _identity(lock_of(self._path))

    @staticmethod
    def _has_changed(file: Path, known: _Identity | None) -> bool:
        try:
            return _identity(file) != known
        except OSError:
            return False  # a file that this user may not look at may still be there


def _identity(file: Path) -> _Identity | None:
    """Return which file has this name, ``None`` if there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116 - a Path costs more, with no benefit
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _size(file: Path) -> int | None:
    """Return how many bytes a file has; ``None``: it can't be looked at, but may still be there."""
    try:
        return os.stat(file).st_size  # noqa: PTH116 - as above
    except OSError:
        return None
