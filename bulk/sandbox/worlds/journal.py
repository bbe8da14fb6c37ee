"""The file that makes the sandbox's cloud outlive its process: one JSON object a line, only ever appended to."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any

import orjson

from bulk.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """An open journal; what `append` returned from survives a kill -9 of the process, though not a power loss.

    It writes on the event loop: a line into the page cache is microseconds, and no reply may overtake its change.
    The file is not changed before the first record is added: so a reader may open it beside the writer.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal and read it.

        Raises:
            SettingsError: The file can't be opened or is no journal.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            content = path.read_bytes()
        except OSError as exc:
            raise SettingsError(f"the sandbox's state {path} can't be opened: {exc.strerror}") from exc
        # A process that was killed while it wrote leaves an incomplete line: no client got a reply for it.
        self._size = content.rfind(b"\n") + 1
        self._size_when_read = len(content)
        self._locked = False
        self.records = self._parse(content[: self._size])
        """What it held when it was opened, oldest first."""

        self._by_realm: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for number, record in enumerate(self.records, start=1):
            self._by_realm.setdefault(record.get("realm", ""), []).append((number, record))

    def records_of(self, realm: str) -> list[tuple[int, dict[str, Any]]]:
        """Return one world's records with their line numbers, starting at 1, oldest first."""
        return self._by_realm.get(realm, [])

    def append(self, *records: dict[str, Any]) -> None:
        """Add records, all or none.

        Raises:
            OSError: They can't be written, or another process writes; the journal is as it was.
        """
        if not self._locked:
            self._lock()
        lines = b"".join(orjson.dumps(record) + b"\n" for record in records)
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file, lines[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the file; everything is written already."""
        os.close(self._file)

    def _lock(self) -> None:
        """Become the only writer until the file is closed, and cut off what a killed process left."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OSError(exc.errno, "another sandbox writes to it") from exc
        if os.fstat(self._file).st_size != self._size_when_read:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            raise OSError(errno.EBUSY, "another sandbox has written to it")
        if self._size_when_read > self._size:
            os.ftruncate(self._file, self._size)
        self._locked = True

    def _parse(self, content: bytes) -> list[dict[str, Any]]:
        records = []
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                record = None
            if not isinstance(record, dict) or "op" not in record:
                os.close(self._file)
                raise SettingsError(
                    f"{self._path}, line {number}: not a record of a sandbox; "
                    "name another file, or delete this one to start afresh"
                )
            records.append(record)
        return records
