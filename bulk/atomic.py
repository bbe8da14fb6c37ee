"""Write a file as a whole or not at all: the old content stays until the new content is complete."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["replaced", "spooled"]

_IN_MEMORY_BYTES = 8 << 20
"""Only what is larger needs a folder for temporary files."""


@contextmanager
def replaced(path: Path, *, patient: bool = True) -> Iterator[BinaryIO]:
    """Yield a file to write to. It replaces the old file when the block ends without an error.

    A link stays a link: the file that it leads to is replaced. A pipe or a device is written to directly.

    Args:
        path: The file to write.
        patient: Wait for the reader of a pipe; if not, a pipe that nobody reads is an error.

    Raises:
        OSError: It can't be written; a regular file is as it was.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is None or stat.S_ISREG(found.st_mode):
        # Not the given path: a rename would replace the link by a file.
        with _renamed(Path(os.path.realpath(path)), mode=stat.S_IMODE(found.st_mode) if found else None) as out:
            yield out
        return
    opened = os.open(path, os.O_WRONLY | (0 if patient else os.O_NONBLOCK))
    with os.fdopen(opened, "wb") as out, spooled(out) as whole:
        yield whole


@contextmanager
def spooled(out: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a file whose content goes to ``out`` when the block ends: a slow reader keeps no ledger open.

    Raises:
        OSError: ``out`` or the folder for temporary files can't be written.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as whole:
        yield cast("BinaryIO", whole)
        whole.seek(0)
        shutil.copyfileobj(whole, out)
        out.flush()


@contextmanager
def _renamed(path: Path, *, mode: int | None) -> Iterator[BinaryIO]:
    unfinished = path.with_name(f".bulk-{secrets.token_hex(8)}.tmp")
    # "x" does not follow a link of this name, and gives the mode that the umask asks for.
    with unfinished.open("xb") as out:
        try:
            yield out
            out.flush()
            if mode is not None:
                os.fchmod(out.fileno(), mode)
            unfinished.replace(path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
