"""Write to a descriptor from a separate thread, so that no caller ever waits for the reader.

A pipe whose reader has stopped, a terminal after Ctrl-S, or a disk that does not answer can block a write for any time.
That would block the event loop or a signal handler too. So callers only append to a backlog of bounded size. If it is
full, lines are dropped and counted. The count is written once the reader reads again.
"""

from __future__ import annotations

import errno
import io
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

__all__ = ["Backlog", "BacklogStream", "Descriptor", "Sink", "StandardError", "ready", "write_if_ready"]

_MOST_BYTES = 1 << 20
"""How much may wait for a slow reader, besides the 64 KiB of a pipe: minutes of a busy log."""

_CHUNK_BYTES = 4096
"""A pipe that is ready accepts this much without blocking: POSIX guarantees at least 512, Linux a page."""

_NOBODY_LISTENS = frozenset({errno.EPIPE, errno.EBADF, errno.EIO})
"""The reader is gone for good, or the terminal was hung up."""


class Sink(Protocol):
    """Where a backlog is written; used only by its thread."""

    def write(self, data: bytes) -> None:
        """Write all of it, however long that takes.

        Raises:
            OSError: It can't be written; what was given may be there in part.
        """
        ...

    def offer(self, data: bytes) -> None:
        """Write what can be written without waiting, and drop the rest; raises nothing."""
        ...


class Descriptor:
    """A sink that is open already."""

    def __init__(self, number: int) -> None:
        """Write to this descriptor; it is never closed."""
        self._number = number

    def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:
                # Another program that shares the pipe or terminal has made it non-blocking.
                ready(self._number, timeout_s=None)

    def offer(self, data: bytes) -> None:
        """See `Sink.offer`."""
        for start in range(0, len(data), _CHUNK_BYTES):
            write_if_ready(self._number, data[start : start + _CHUNK_BYTES])


class StandardError:
    """Stderr as a sink. If its reader has left, or its terminal was hung up, there is nowhere to report errors."""

    def __init__(self, number: int) -> None:
        """Write to this descriptor."""
        self._descriptor = Descriptor(number)
        self._is_deserted = False

    def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        if self._is_deserted:
            return
        try:
            self._descriptor.write(data)
        except OSError as exc:
            self._is_deserted = exc.errno in _NOBODY_LISTENS
            raise

    def offer(self, data: bytes) -> None:
        """See `Sink.offer`."""
        self._descriptor.offer(data)


class Backlog:
    """Bytes that wait for a thread to write them. Any thread may append."""

    def __init__(
        self,
        sink: Sink,
        *,
        name: str,
        note: Callable[[int], str],
        most_bytes: int = _MOST_BYTES,
        on_failure: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        """Start nothing yet: the thread begins with the first bytes.

        Args:
            sink: Where bytes go.
            name: The thread's name.
            note: Receives how many lines were dropped; returns the line that says so.
            most_bytes: How much may wait; more is dropped.
            on_failure: Called on the backlog's thread for each write that failed; its bytes are dropped.
        """
        self._sink = sink
        self._name = name
        self._note = note
        self._most_bytes = most_bytes
        self._on_failure = on_failure
        self._changed = threading.Condition(threading.RLock())  # a signal handler may interrupt its own thread's append
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._writing = False
        self._dropped_lines = 0
        self._written = 0
        self._stuck_at: int | None = None
        self._thread: threading.Thread | None = None

    def append(self, data: bytes) -> None:
        """Hand bytes over; returns at once."""
        with self._changed:
            if self._waiting_bytes + len(data) > self._most_bytes:
                self._dropped_lines += max(data.count(b"\n"), 1)
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._start():
                self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until all is written, but no longer than so many seconds; return whether it is.

        If a reader read nothing during one wait, later calls do not wait for it until it reads again.
        """
        end_at = time.monotonic() + timeout_s
        with self._changed:
            if self._stuck_at == self._written:
                return self._is_empty()
            while not self._is_empty():
                left_s = end_at - time.monotonic()
                if left_s <= 0:
                    self._stuck_at = self._written
                    return False
                self._changed.wait(left_s)
        return True

    def _is_empty(self) -> bool:
        return not (self._waiting or self._writing)

    def _start(self) -> bool:
        """Return whether there is a thread; if the system can't start one, write what can be written at once."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._sink.offer(self._taken())
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            self._write(self._next())

    def _next(self) -> bytes:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            while not self._waiting:
                self._changed.wait()
            self._writing = True
            return self._taken()

    def _taken(self) -> bytes:
        if self._dropped_lines:
            self._waiting.append(f"{self._note(self._dropped_lines)}\n".encode())
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = self._dropped_lines = 0
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._sink.write(data)
        except OSError as exc:
            with self._changed:
                self._dropped_lines += data.count(b"\n")
            self._on_failure(exc)
        self._written += 1


class BacklogStream(io.BufferedIOBase):
    """A backlog as the buffer of a text stream, such as ``sys.stderr``."""

    def __init__(self, backlog: Backlog, descriptor: int) -> None:
        """Represent a descriptor that the backlog writes to.

        Args:
            backlog: Receives what is written.
            descriptor: Returned by `fileno`, and used to say whether it is a terminal.
        """
        self._backlog = backlog
        self._descriptor = descriptor

    @property
    def name(self) -> int:
        """The descriptor's number: files that are opened by number have it as their name."""
        return self._descriptor

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Hand all of it to the backlog."""
        handed_over = bytes(data)
        self._backlog.append(handed_over)
        return len(handed_over)

    def drain(self, timeout_s: float) -> bool:
        """See `Backlog.drain`."""
        return self._backlog.drain(timeout_s)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return os.isatty(self._descriptor)


def ready(descriptor: int, *, timeout_s: float | None) -> bool:
    """Wait up to so many seconds (``None``: any time) until a small write would not block; return whether it is so."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1_000))


def write_if_ready(descriptor: int, data: bytes) -> None:
    """Write a few bytes if that does not block; else drop them. For signal handlers, which may hold no lock."""
    try:
        if ready(descriptor, timeout_s=0):
            os.write(descriptor, data[:_CHUNK_BYTES])
    except OSError:
        return  # there is nowhere to report it
