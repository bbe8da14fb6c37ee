"""Open an input as a stream of bytes: a file, a pipe or stdin, plain or gzip. It never seeks, so pipes work too.

The same bytes give the same input from any source: until the end, each read returns as many as requested.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import re
import select
import stat
import sys
import zlib
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bulk.errors import InputError
from bulk.rows.text.kinds import HEAD_BYTES, foreign_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STDIN", "ByteStream", "Opened", "asks_a_person", "is_zip", "must_be_there", "open_bytes", "reading"]

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"

MAX_LAYERS = 2
"""Layers of gzip: servers and people pack packed files again. There must be a limit: a file can contain itself."""

DESCRIPTOR = re.compile(r"/dev/(?:fd/)?(\d+|stdin)|/proc/(?:self|thread-self)/fd/(\d+)")

_LOOK_EVERY_S = 0.2
_NO_NAME = "no file can have this name ({})"
_READ_BYTES = 1 << 18


class ByteStream(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; at the end, no bytes."""
        ...


class Opened(NamedTuple):
    """An open input."""

    stream: ByteStream
    """Unpacked bytes, from the first on. A read returns less than requested only at the end."""

    head: bytes
    """The first `HEAD_BYTES` of the stream."""

    is_packed: bool
    sha256: Callable[[], str]
    """Returns the SHA-256 of all bytes as they are in the file, packed or not; of a pipe or stdin, an empty text."""

    @property
    def is_whole_in_head(self) -> bool:
        """Whether the head is the whole input."""
        return len(self.head) < HEAD_BYTES


class _Hashed:
    """A file whose bytes are hashed while they are read."""

    def __init__(self, source: ByteStream) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def sha256(self) -> str:
        """Return the hash of the whole file; what nobody has read yet is read now."""
        while self.read(_READ_BYTES):
            pass
        return self._hash.hexdigest()


class _Steady:
    """A stream that returns as many bytes as requested, even if its source gives only a few at a time."""

    def __init__(self, source: ByteStream) -> None:
        self._source = source
        self._kept = b""
        self._failure: Exception | None = None
        self._has_ended = False

    def read(self, size: int, /) -> bytes:
        kept, self._kept = self._kept[:size], self._kept[size:]
        return kept + b"".join(self._parts(size - len(kept))) if len(kept) < size else kept

    def peek(self, size: int) -> bytes:
        """Return the first bytes; `read` returns them again. A failure after them is raised only then."""
        parts = [self._kept]
        try:
            for part in self._parts(size - len(self._kept)):
                parts.append(part)  # noqa: PERF402 - bytes before a failure are kept
        except (OSError, EOFError, zlib.error) as exc:
            if not any(parts):
                raise
            self._failure = exc
        self._kept = head = b"".join(parts)
        return head

    def _parts(self, size: int) -> Iterator[bytes]:
        if self._failure:
            raise self._failure
        # A terminal may go on after its end if it is read again.
        while size > 0 and not self._has_ended:
            part = self._source.read(size)
            self._has_ended = not part
            yield part
            size -= len(part)


class _Unpacked:
    """Contents of a gzip stream, unpacked in steps, so that all before a damaged place is still read."""

    def __init__(self, source: ByteStream) -> None:
        self._file = gzip.GzipFile(fileobj=source, mode="rb")  # type: ignore[call-overload]  # read() is all it calls

    def read(self, size: int, /) -> bytes:
        data: bytes = self._file.read1(size)
        return data


class _Pipe:
    """A pipe that is still being written. A read that has to wait can be ended."""

    def __init__(self, file: io.FileIO, while_waiting: Callable[[], None]) -> None:
        self._file = file
        self._while_waiting = while_waiting

    def read(self, size: int, /) -> bytes:
        while True:
            # Called even if there is always data: a writer that sends a byte now and then must not delay a stop.
            self._while_waiting()
            # Before anybody opens a FIFO for writing, it is silent here. A read would mistake that for its end.
            if select.select([self._file], [], [], _LOOK_EVERY_S)[0]:
                data: bytes | None = self._file.read(size)
                if data is not None:
                    return data


@contextmanager
def open_bytes(
    path: str,
    *,
    stdin: ByteStream | None = None,
    while_waiting: Callable[[], None] = lambda: None,
    format: str | None = None,  # noqa: A002 - its name
) -> Iterator[Opened]:
    """Open ``path``, unpacked if it is gzip.

    Args:
        path: A file's path, or ``-`` for stdin, which is left open.
        stdin: Used instead of the process's own stdin, if given.
        while_waiting: Called repeatedly while a pipe is read; an exception from it ends the reading.
        format: Format in which to read it; a workbook is refused unless this is ``xlsx``.

    Raises:
        InputError: It can't be opened, or is evidently no table of text.
    """
    with reading(path):
        opened = nullcontext(stdin or _process_stdin()) if path == STDIN else _file(path)
    with opened as stream:
        with reading(path):
            is_file = path != STDIN and _is_regular(stream)
            hashed = _Hashed(stream) if is_file else None
            unpacked, is_packed = _unpacked(hashed or _as_it_comes(stream, while_waiting))
            head = unpacked.peek(HEAD_BYTES)
        foreign = foreign_kind(head, path, format=format)
        if foreign:
            raise InputError(foreign, file=path)
        yield Opened(unpacked, head, is_packed, hashed.sha256 if hashed else str)


def must_be_there(path: str) -> None:
    """Look whether a file could be opened, without opening it: a pipe's writer would take the end of that for ours.

    Raises:
        InputError: There is no such file, or this user may not read it.
        OSError: The working folder is gone.
    """
    if path == STDIN or DESCRIPTOR.fullmatch(path):
        return
    if not Path(path).is_absolute():
        with suppress(PermissionError):
            Path.cwd()
    with reading(path):
        try:
            mode = Path(path).stat().st_mode
        except ValueError as exc:
            raise InputError(_NO_NAME.format(exc), file=path) from exc
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not os.access(path, os.R_OK):
            raise PermissionError


def asks_a_person(stdin: ByteStream | None) -> bool:
    """Say whether reading stdin would wait for a person at a terminal, or for nothing at all."""
    raw = getattr(getattr(sys.stdin, "buffer", None), "raw", None)
    return stdin is None and not (isinstance(raw, io.FileIO) and not raw.isatty())


def is_zip(head: bytes) -> bool:
    """Say whether these first bytes are a zip archive's; a workbook is one."""
    return head.startswith(b"PK\x03\x04")


@contextmanager
def reading(file: str, *, line: int | None = None) -> Iterator[None]:
    """Translate errors of opening and reading a file.

    Raises:
        InputError: The file can't be opened or read; ``line`` says how far it was read.
    """
    try:
        yield
    except FileNotFoundError as exc:
        raise InputError("there is no such file", file=file) from exc
    except IsADirectoryError as exc:
        raise InputError("this is a folder; name a file in it", file=file) from exc
    except PermissionError as exc:
        raise InputError("this user may not read it; change its permissions", file=file) from exc
    except EOFError as exc:
        raise InputError("the gzip data end too early; fetch the file again", file=file, line=line) from exc
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise InputError(f"the gzip data are damaged ({exc}); fetch the file again", file=file, line=line) from exc
    except OSError as exc:
        raise InputError(f"it can't be read: {exc.strerror or exc}", file=file, line=line) from exc


def _file(path: str) -> io.FileIO:
    try:
        return io.FileIO(path, opener=_without_waiting)
    except ValueError as exc:
        raise InputError(_NO_NAME.format(exc), file=path) from exc


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; for a FIFO that nobody writes to yet, this returns at once, and `_Pipe` waits."""
    try:
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as exc:
        named = DESCRIPTOR.fullmatch(path)
        # A socket can't be opened by its path, but its descriptor can be used.
        if named is None or exc.errno != errno.ENXIO:
            raise
        number = named[1] or named[2]
        return os.dup(0 if number == "stdin" else int(number))


def _process_stdin() -> ByteStream:
    # If the process was started with stdin closed, this is None.
    stream: ByteStream | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("there is no standard input; name a file", file=STDIN)
    return stream


def _as_it_comes(stream: ByteStream, while_waiting: Callable[[], None]) -> ByteStream:
    file = _file_of(stream)
    return stream if file is None or _is_regular(stream) else _Pipe(file, while_waiting)


def _file_of(stream: ByteStream) -> io.FileIO | None:
    file = stream if isinstance(stream, io.FileIO) else getattr(stream, "raw", None)
    return file if isinstance(file, io.FileIO) else None


def _is_regular(stream: ByteStream) -> bool:
    file = _file_of(stream)
    return file is not None and stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def _unpacked(stream: ByteStream) -> tuple[_Steady, bool]:
    layers, steady = 0, _Steady(stream)
    while layers < MAX_LAYERS and steady.peek(len(GZIP_MAGIC)) == GZIP_MAGIC:
        layers, steady = layers + 1, _Steady(_Unpacked(steady))
    return steady, layers > 0
