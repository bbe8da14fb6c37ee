"""The one table of conditions of the machine that end a command, with what to do about each.

None of them is a bug in bulk. What the ledger recorded before is safe, and the same command continues from there.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["condition_of", "explain_os_error", "no_temporary_folder", "why_not_writable"]

_TEMPORARY = "set TMPDIR to a folder that may be written"

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "the disk is full: make room",
        errno.EDQUOT: "the disk quota is used up: make room, or ask for more",
        errno.EROFS: "the file system is read-only: name a place that can be written, or mount it for writing",
        errno.EMFILE: "this process has opened all the files it may: raise the limit, as with `ulimit -n 1024`",
        errno.ENFILE: "the machine has opened all the files it may: end other programs, or raise fs.file-max",
        errno.ENOMEM: "there is not enough memory: raise the limit (`ulimit -v`, or the container's), or free some",
        errno.EFBIG: "the file may not grow so large: raise the limit, as with `ulimit -f unlimited`, "
        "or use another file system",
        errno.EIO: "the device failed: check the disk, or the terminal",
        errno.ESTALE: "the network file system has lost the file: mount it again, or use a local disk",
        errno.ETIMEDOUT: "the file system or the network does not answer: check the mount",
        errno.ENOTCONN: "the file system is no longer mounted: mount it again",
        errno.ENODEV: "the device is gone: check the disk and its mount",
        errno.ENXIO: "nobody reads from it, or the device is gone: start the reader first, or name another file",
        errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
        errno.ELOOP: "links lead round in a circle: name the file itself",
        errno.ENOLCK: "the file system gives no locks: use a local disk",
        errno.ENOSYS: "the system does not offer this: use a local disk",
        errno.EOPNOTSUPP: "the file system does not offer this: use a local disk",
        errno.ETXTBSY: "another program uses the file: wait, or choose another name",
        errno.EBUSY: "another program uses it: wait, or choose another name",
        errno.EAGAIN: "a limit of the machine is reached: raise it, or try again later",
        errno.EINTR: "the system broke off: try again",
    }
)
"""The system's error number → what it means, and what to do. A number that is not here would be a bug in bulk."""

_PLAIN: Mapping[int, str] = MappingProxyType(
    {
        errno.EACCES: "check the permissions",
        errno.EPERM: "check the permissions",
        errno.ENOENT: "check the name",
        errno.ENOTDIR: "check the name",
        errno.EISDIR: "name a file in it",
        errno.EEXIST: "remove it, or choose another name",
    }
)
"""The same for errors that need no explanation if the message says which option named the file."""

_THREADS = (
    "the system starts no further threads: raise the limit on processes (`ulimit -u`, or the container's limit on "
    "pids), or on memory (`ulimit -v`)"
)
_MEMORY = _ADVICE[errno.ENOMEM]
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})
_FOR_IMPORTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def explain_os_error(exc: OSError) -> str:
    """Return what the system said in words, and what to do if the words alone don't say it.

    In a message it comes after the name of a file. Other advice, such as another name for the file, comes after it.
    """
    said, advice = exc.strerror or str(exc), _advice_for(exc)
    if _is_about_temporary_files(exc):
        return no_temporary_folder()
    return f"{said}: {advice}" if advice else said


def no_temporary_folder(exc: OSError | None = None) -> str:
    """Return the message for work that can't do without temporary files.

    Args:
        exc: The system's error, if it is known.
    """
    if exc is None or _is_about_temporary_files(exc):
        return f"there is no folder for temporary files: {_TEMPORARY}"
    return f"no temporary file can be written ({explain_os_error(exc)}); or {_TEMPORARY}"


def condition_of(exc: BaseException) -> str | None:
    """Return the message for an error that nobody handled; ``None``: it must be a bug."""
    leaves = list(_leaves(exc))
    causes = [cause for each in leaves for cause in _causes(each) if _is_shortage(cause)]
    return next((said for each in (*leaves, *causes) if (said := _said(each))), None)


def why_not_writable(path: Path) -> str | None:
    """Say why a file beside this one can't be written, if the cause is not permission. For errors that hide the cause.

    Args:
        path: The file. Another one is made beside it, and removed again.
    """
    trial = path.with_name(f".bulk-{os.getpid()}.trial")
    try:
        descriptor = os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            trial.unlink()
    except OSError as exc:
        return explain_os_error(exc) if _advice_for(exc) else None
    return _why_not_larger(path)


def _why_not_larger(path: Path) -> str | None:
    most_bytes, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most_bytes == resource.RLIM_INFINITY or max(map(_size, (path, path.with_name(f"{path.name}-wal")))) < (
        most_bytes - 65_536
    ):
        return None
    return f"{os.strerror(errno.EFBIG)}: {_ADVICE[errno.EFBIG]}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for each in exc.exceptions:
            yield from _leaves(each)
    else:
        yield exc


def _causes(exc: BaseException) -> Iterator[BaseException]:
    cause = exc.__cause__ or exc.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_shortage(exc: BaseException) -> bool:
    """Say whether the machine ran out of something. An error that follows while this is handled has the same cause."""
    return isinstance(exc, MemoryError) or (isinstance(exc, OSError) and exc.errno in _SHORTAGES)


def _said(exc: BaseException) -> str | None:
    if isinstance(exc, MemoryError):
        return _MEMORY
    if isinstance(exc, RuntimeError) and "can't start new thread" in str(exc):
        return _THREADS
    if isinstance(exc, ImportError):
        return _said_while_importing(exc)
    if not isinstance(exc, OSError):
        return None
    plain = _PLAIN.get(exc.errno or 0)
    if not (plain or _advice_for(exc)):
        return None
    place = f"{os.fsdecode(exc.filename)}: " if isinstance(exc.filename, str | bytes) else ""
    return place + explain_os_error(exc) + (f": {plain}" if plain and not _advice_for(exc) else "")


def _advice_for(exc: OSError) -> str | None:
    if _is_about_temporary_files(exc):
        return _TEMPORARY
    if exc.errno == errno.ENOENT and exc.filename is None and not _has_working_folder():
        return "the working folder was removed: change to another one, or name files by their whole path"
    return _ADVICE.get(exc.errno or 0)


def _said_while_importing(exc: ImportError) -> str | None:
    """Distinguish a library that the machine could not load from one that does not exist."""
    if "failed to map segment" in str(exc) or isinstance(exc.__cause__, MemoryError):
        return _MEMORY
    return next((_ADVICE[number] for number in _FOR_IMPORTS if os.strerror(number) in str(exc)), None)


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _is_about_temporary_files(exc: OSError) -> bool:
    return isinstance(exc, FileNotFoundError) and str(exc.strerror).startswith("No usable temporary directory")
