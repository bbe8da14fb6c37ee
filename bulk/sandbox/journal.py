"""The file that makes the sandbox's cloud outlive its process: one JSON object a line, only ever appended to."""

from __future__ import annotations

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
    One process at a time: nothing locks the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal and read it.

        Raises:
            SettingsError: The file can't be opened or is no journal.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            content = path.read_bytes()
        except OSError as exc:
            raise SettingsError(f"the sandbox's state {path} can't be opened: {exc.strerror}") from exc
        # A process that was killed while it wrote leaves a line without its end: nobody was told that it counts.
        self._size = content.rfind(b"\n") + 1
        os.ftruncate(self._file, self._size)
        os.lseek(self._file, self._size, os.SEEK_SET)
        self.records = self._parse(content[: self._size])
        """What it held when it was opened, oldest first."""

    def append(self, *records: dict[str, Any]) -> None:
        """Add records, all or none.

        Raises:
            OSError: They can't be written; the journal is as it was.
        """
        lines = b"".join(orjson.dumps(record) + b"\n" for record in records)
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file, lines[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the file; everything is written already."""
        os.close(self._file)

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
