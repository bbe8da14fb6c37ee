"""The folder or bucket that a fleet's workers share. It only needs get, put-if-absent, overwrite and list.

Every expected result is a value: nothing is there, something is already there, the store does not answer. A write that
ended in an `Outage` may have been carried out. So the bytes of a put-if-absent must be unique to their writer. A second
try then finds its own bytes, and knows that the first one succeeded.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from bulk.cloud.wire.own_thread import started
from bulk.conditions import explain_os_error
from bulk.engine.threads import in_thread
from bulk.redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from obstore.store import ObjectStore

__all__ = ["ABSENT", "TIMEOUT_S", "Absent", "BucketStore", "FolderStore", "Outage", "Put", "Store", "outage"]

TIMEOUT_S = 5.0
"""If a store takes longer, it counts as not answering. Half of the shortest time between two renewals."""


class Absent(Enum):
    """Nothing has this name."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Put(StrEnum):
    """How a write ended."""

    STORED = "stored"  #: it is stored, and survives a power cut of the writer
    EXISTS = "exists"  #: another writer was first; nothing was changed


@dataclass(frozen=True, slots=True)
class Outage:
    """The store did not answer, or refused. A write may still have been carried out."""

    why: str
    """One line, without secrets."""


class Store(Protocol):
    """What a fleet needs from a store. Names are paths with ``/``; every later read sees what was stored."""

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        """Return what is stored under a name."""
        ...

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        """Write what is stored under a name to a file, part by part: it may be larger than memory."""
        ...

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        """Store under a name that is not in use; of two writers at once, one gets `Put.EXISTS`.

        Args:
            name: The new name.
            data: Bytes that no other writer has.
        """
        ...

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        """Store under a name, new or in use. Readers see the old or the new bytes, never a part. Never repeated."""
        ...

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        """Return the names below a folder, sorted."""
        ...

    async def discard(self, name: str) -> None:
        """Remove a name, if that is allowed. Only for objects that nobody needs now."""
        ...


class BucketStore:
    """A `Store` that uses obstore."""

    def __init__(self, objects: ObjectStore, *, creating: ObjectStore | None = None) -> None:
        """Only store where things are.

        Args:
            objects: Reads and writes. It may not repeat a write: a late copy of an old renewal would look new.
            creating: Writes what has to be absent, by a header of its own that its service wants for that; ``None``:
                ``objects`` does, as the service knows ``If-None-Match``.
        """
        self._objects = objects
        self._creating = creating

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        """See `Store.get`."""
        from obstore import get_async  # noqa: PLC0415 - an extra, and 16 MB

        try:
            async with _answered_in_time():
                return bytes(await (await get_async(self._objects, name)).bytes_async())
        except FileNotFoundError:
            return ABSENT
        except Exception as exc:  # noqa: BLE001 - obstore raises its own, OSError and ValueError alike
            return outage(exc)

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        """See `Store.save`."""
        from obstore import get_async  # noqa: PLC0415 - see above

        try:
            async with _answered_in_time() as limit:
                found = await get_async(self._objects, name)
                with path.open("wb") as file:
                    async for part in found.stream():
                        await in_thread(file.write, part)
                        limit.reschedule(asyncio.get_running_loop().time() + TIMEOUT_S)
        except FileNotFoundError:
            return ABSENT
        except Exception as exc:  # noqa: BLE001 - see above
            return outage(exc)
        return Put.STORED

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        """See `Store.put_if_absent`."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415 - see above

        try:
            await self._put(self._creating or self._objects, name, data, None if self._creating else "create")
        except (AlreadyExistsError, PreconditionError):
            return await self._whose(name, data)
        except Exception as exc:  # noqa: BLE001 - see above
            return outage(exc)
        return Put.STORED

    async def _whose(self, name: str, data: bytes) -> Put | Outage:
        """Distinguish our own write, whose answer was lost, from another writer's."""
        found = await self.get(name)
        if isinstance(found, Outage):
            return found
        return Put.STORED if found == data else Put.EXISTS

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        """See `Store.overwrite`."""
        try:
            await self._put(self._objects, name, data, "overwrite")
        except Exception as exc:  # noqa: BLE001 - see above
            return outage(exc)
        return Put.STORED

    async def _put(
        self, objects: ObjectStore, name: str, data: bytes | Path, mode: Literal["create", "overwrite"] | None
    ) -> None:
        from obstore import put_async  # noqa: PLC0415 - see above

        # A file may be large: each of its parts has the time of a request.
        is_file = isinstance(data, Path)
        async with _answered_in_time(None if is_file else TIMEOUT_S):
            await put_async(objects, name, data, mode=mode, use_multipart=None if is_file else False)

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        """See `Store.names`."""
        from obstore import list as list_objects  # noqa: PLC0415 - see above

        try:
            return tuple(
                sorted([found["path"] async for batch in list_objects(self._objects, prefix) for found in batch])
            )
        except Exception as exc:  # noqa: BLE001 - see above
            return outage(exc)

    async def discard(self, name: str) -> None:
        """See `Store.discard`."""
        from obstore import delete_async  # noqa: PLC0415 - see above

        try:
            async with _answered_in_time():
                await delete_async(self._objects, name)
        except Exception:  # noqa: BLE001 - an object left behind does no harm, and removing it may be denied
            return


class FolderStore(BucketStore):
    """A folder, which may be on a share. obstore makes each name appear atomically; this class makes it durable."""

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        """Only store where things are.

        Args:
            objects: Reads and writes below ``folder``.
            folder: As this machine sees it.
        """
        super().__init__(objects)
        self._folder = folder

    async def _put(self, objects: ObjectStore, name: str, data: bytes | Path, mode: Any) -> None:  # noqa: ANN401 - obstore's
        await super()._put(objects, name, data, mode)
        await self._synced(name)

    async def _whose(self, name: str, data: bytes) -> Put | Outage:
        """See `BucketStore._whose`; our own write may not have been on disk yet."""
        whose = await super()._whose(name, data)
        if whose is Put.STORED:
            try:
                await self._synced(name)
            except OSError as exc:
                return outage(exc)
        return whose

    async def _synced(self, name: str) -> None:
        async with _answered_in_time():  # a share whose server is gone never answers; don't wait for its thread
            await started(lambda: _sync(self._folder, name), name="bulk-store")


def _sync(folder: Path, name: str) -> None:
    """Flush a file and its parent folders to disk."""
    path = folder / name
    for each in (path, *(parent for parent in path.parents if parent == folder or folder in parent.parents)):
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@asynccontextmanager
async def _answered_in_time(timeout_s: float | None = TIMEOUT_S) -> AsyncIterator[asyncio.Timeout]:
    async with asyncio.timeout(timeout_s) as limit:
        yield limit


def outage(exc: Exception) -> Outage:
    """Return an error as a value: its first line, which says what a person needs."""
    if isinstance(exc, TimeoutError) and not str(exc):
        return Outage(f"no answer within {TIMEOUT_S:g} s")
    if isinstance(exc, OSError) and exc.errno is not None:
        return Outage(explain_os_error(exc))
    return Outage(redact(str(exc).partition("\n")[0] or type(exc).__name__))
