"""The standard streams of a command: stderr never blocks, stdout waits for its reader, both show what they can display.

Characters that a terminal's encoding lacks are written another way. A slow reader of stdout gets all of it. A reader
that left, such as `head`, is no error.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from bulk.exits import ExitCode
from bulk.logs.backlog import Backlog, BacklogStream, StandardError, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

__all__ = ["STDERR", "STDOUT", "drain_stderr", "drop_the_rest", "ended_in_time", "standard_streams"]

STDIN = 0
STDOUT = 1
STDERR = 2
"""Descriptors, since a writer that was interrupted may have closed ``sys.stdout``."""

_PATIENCE_S = 1.0
"""How long a command waits for the reader of its stderr: a working log collector needs far less."""

_LAST_WORDS_S = 2.0
"""How long the reader of stdout may take for the rest after a signal asked the command to end."""

_LENIENT = "bulk.stand_in"
_STAND_INS = {"…": "...", "→": "->", "·": "-", "—": "-", "×": "x", "≤": "<=", "’": "'"}
"""Characters in our own texts that Latin-1 or ASCII lacks. Other characters become an escape that identifies them."""


class _Patient(io.FileIO):
    """Stdout: waits if another program made it non-blocking, and drops the rest if its reader left."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data, and return how many bytes."""
        try:
            while not (written := super().write(data)) and memoryview(data).nbytes:
                ready(self.fileno(), timeout_s=None)
        except OSError as exc:
            if not (exc.errno == errno.EPIPE or self._is_hung_up(exc)):
                raise
            drop_the_rest(self.fileno())
            return memoryview(data).nbytes
        return written

    def _is_hung_up(self, exc: OSError) -> bool:
        """Say whether the terminal was closed, as when an ssh session ends."""
        return exc.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Until the block ends, give the command streams that neither block it nor make it fail."""
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    codecs.register_error(_LENIENT, _stand_in)
    sys.stdout, sys.stderr = _patient(sys.stdout), _unblocked(sys.stderr)
    try:
        yield
    finally:
        _finish()
        sys.stdout, sys.stderr = before


def drain_stderr() -> bool:
    """Wait a moment until all text for stderr is written; return whether it is."""
    buffer = getattr(sys.stderr, "buffer", None)
    return buffer.drain(_PATIENCE_S) if isinstance(buffer, BacklogStream) else True


def drop_the_rest(descriptor: int) -> None:
    """Redirect a stream to the null device from now on.

    Python flushes its streams once more when it exits, and would complain or wait for ever.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


@contextmanager
def ended_in_time(exit_code: int | None) -> Iterator[None]:
    """After a signal, allow only a few seconds for the last output: stdout may be as stuck as stderr.

    Args:
        exit_code: Exit code of the run that was stopped; ``None``: it was not stopped, and a reader may take its time.
    """
    if exit_code is None or not ExitCode(exit_code).is_by_signal:
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda *_: os._exit(exit_code))
    signal.setitimer(signal.ITIMER_REAL, _LAST_WORDS_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _open_what_is_closed() -> None:
    """Open the null device for each standard stream that was closed when this process started, as by ``2>&-``.

    Otherwise the next file or socket would get that number, and our messages would be written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _patient(stream: TextIO) -> TextIO:
    if not _is_descriptor(stream, STDOUT):
        return stream
    stream.flush()
    raw = _Patient(STDOUT, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=_LENIENT, line_buffering=stream.isatty()
    )


def _unblocked(stream: TextIO) -> TextIO:
    if not _is_descriptor(stream, STDERR):
        return stream
    backlog = Backlog(StandardError(STDERR), name="bulk-stderr", note=_note)
    raw = BacklogStream(backlog, STDERR)
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors=_LENIENT, write_through=True)


def _note(dropped: int) -> str:
    return f"{'1 line was' if dropped == 1 else f'{dropped:,} lines were'} dropped: stderr could not be written in time"


def _is_descriptor(stream: TextIO, number: int) -> bool:
    """Say whether a stream is the process's own, not a replacement by a test or a caller."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except OSError:
        return False


def _finish() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError):
            drop_the_rest(STDOUT)
    if not drain_stderr():
        with suppress(OSError):
            drop_the_rest(STDERR)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = (_STAND_INS.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking)
    return "".join(shown), error.end
