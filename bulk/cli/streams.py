"""The standard streams of a command: stderr never blocks, stdout waits for its reader, both show what they can.

What a terminal's encoding lacks is written another way. Stdout is the contract: a slow reader gets all of it, and one
that left, as `head` does, is no error.
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
"""The descriptors themselves: a writer that broke off may have closed ``sys.stdout``."""

_PATIENCE_S = 1.0
"""How long a command waits for the reader of its stderr: a log collector that lives takes far less."""

_LAST_WORDS_S = 2.0
"""How long the reader of stdout may take for the rest, once a signal has asked for the end."""

_LENIENT = "bulk.stand_in"
_STAND_INS = {"…": "...", "→": "->", "·": "-", "—": "-", "×": "x", "≤": "<=", "’": "'"}
"""Characters of our own that Latin-1 or ASCII lacks. All others become an escape, from which they can be told."""


class _Patient(io.FileIO):
    """Stdout: waits where another program made it non-blocking, and drops the rest where its reader left."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of it, and return how much."""
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
    """Let a command write to streams that neither block nor break it, until the block ends."""
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
    """Wait a moment until what was said on stderr is written; return whether it is."""
    buffer = getattr(sys.stderr, "buffer", None)
    return buffer.drain(_PATIENCE_S) if isinstance(buffer, BacklogStream) else True


def drop_the_rest(descriptor: int) -> None:
    """Send all that is still written to a stream to the null device.

    Python flushes its streams once more when it exits, and would complain or wait for ever.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


@contextmanager
def ended_in_time(exit_code: int | None) -> Iterator[None]:
    """After a signal, let what is said last take a few seconds only: stdout may be as stuck as stderr.

    Args:
        exit_code: What the run was stopped with; ``None``: nobody stopped it, and a reader has all the time it needs.
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
    """Open the null device for each standard stream that this process was started without, as by ``2>&-``.

    Else the next file or socket that is opened gets its number, and what is said lands there.
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
    """Say whether a stream is the process's own, and not what a test or a caller put in its place."""
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
