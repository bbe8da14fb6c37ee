"""Open an input as a stream of bytes: a file or stdin, plain or gzip. Nothing is seeked, so pipes will do."""

from __future__ import annotations

import gzip
import io
import os
import select
import stat
import sys
import zlib
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from bulk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STDIN", "ByteStream", "open_bytes", "reading"]

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"

_LOOK_EVERY_S = 0.2


class ByteStream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


class _Rewound:
    """A stream whose first bytes, already read, are read again."""

    def __init__(self, head: bytes, rest: ByteStream) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._rest.read(size - len(head)) if len(head) < size else head


class _Pipe:
    """What is written while it is read: its reader need not wait for a writer that has nothing to say."""

    def __init__(self, file: io.FileIO, while_waiting: Callable[[], None]) -> None:
        self._file = file
        self._while_waiting = while_waiting

    def read(self, size: int, /) -> bytes:
        while not select.select([self._file], [], [], _LOOK_EVERY_S)[0]:
            self._while_waiting()
        return self._file.read(size)


@contextmanager
def open_bytes(
    path: str, *, stdin: ByteStream | None = None, while_waiting: Callable[[], None] = lambda: None
) -> Iterator[ByteStream]:
    """Open ``path``, unpacked if it is gzip.

    Args:
        path: A file's path, or ``-`` for stdin, which is left open.
        stdin: What stands for stdin; the process's own if not given.
        while_waiting: Called again and again while a pipe is silent; what it raises ends the reading.

    Raises:
        InputError: It can't be opened, or is evidently no text.
    """
    with reading(path):
        opened = nullcontext(stdin or _process_stdin()) if path == STDIN else _file(path)
    with opened as stream:
        with reading(path):
            unpacked = _unpacked(_as_it_comes(stream, while_waiting), path)
        yield unpacked


@contextmanager
def reading(file: str, *, line: int | None = None) -> Iterator[None]:
    """Translate what can go wrong while a file is opened or read.

    Raises:
        InputError: It did; ``line`` is how far it was read.
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


def _file(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except ValueError as exc:
        raise InputError(f"no file can have this name ({exc})", file=path) from exc


def _process_stdin() -> ByteStream:
    # A process that was started with stdin closed has None here.
    stream: ByteStream | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("there is no standard input; name a file", file=STDIN)
    return stream


def _as_it_comes(stream: ByteStream, while_waiting: Callable[[], None]) -> ByteStream:
    file = getattr(stream, "raw", None)
    if not isinstance(file, io.FileIO) or stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return stream
    return _Pipe(file, while_waiting)


def _unpacked(stream: ByteStream, path: str) -> ByteStream:
    head = stream.read(len(ZIP_MAGIC))
    # An unbuffered pipe may give less than was asked for.
    while len(head) < len(ZIP_MAGIC) and (more := stream.read(len(ZIP_MAGIC) - len(head))):
        head += more
    whole = _Rewound(head, stream)
    if head == ZIP_MAGIC:
        raise InputError("this is a zip archive or an Excel workbook; save it as CSV (UTF-8)", file=path)
    if head.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=whole, mode="rb")  # type: ignore[call-overload, no-any-return]  # read() is all it calls
    if head and path.lower().endswith(".gz"):
        raise InputError("its name ends in .gz, but it holds no gzip data; rename it or fetch it again", file=path)
    return whole
