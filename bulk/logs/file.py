"""A log file that other programs may move, cut, remove or stop reading while a run writes to it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from bulk.logs.backlog import Descriptor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LogFile"]

_HOW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class LogFile:
    """A sink that appends to the file that has this path now: after a rotation, to the new file."""

    def __init__(self, path: Path) -> None:
        """Open the file. A named pipe is opened by the first write: that waits for its reader.

        Raises:
            OSError: It can't be opened for writing.
        """
        self._path = path
        self._descriptor: int | None = None
        if not self._is_pipe():
            self._open()

    def write(self, data: bytes) -> None:
        """See `bulk.logs.backlog.Sink.write`."""
        if self._descriptor is not None and self._has_moved(self._descriptor):
            self._close(self._descriptor)
        descriptor = self._open() if self._descriptor is None else self._descriptor
        try:
            Descriptor(descriptor).write(data)
        except OSError:
            self._close(descriptor)
            raise

    def offer(self, data: bytes) -> None:
        """See `bulk.logs.backlog.Sink.offer`."""
        if self._descriptor is not None:
            Descriptor(self._descriptor).offer(data)

    def _open(self) -> int:
        self._descriptor = os.open(self._path, _HOW, 0o666)
        return self._descriptor

    def _close(self, descriptor: int) -> None:
        with suppress(OSError):
            os.close(descriptor)
        self._descriptor = None

    def _has_moved(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.fstat(descriptor), self._path.stat())
        except OSError:
            return True

    def _is_pipe(self) -> bool:
        try:
            return stat.S_ISFIFO(self._path.stat().st_mode)
        except OSError:
            return False  # opening it will show what is wrong
