"""Where a machine keeps a shard: a folder under a lock. The lock shows the next process that the last one ended.

A stopped process keeps its lock, and may continue at any time. So the next process never waits for a lock. It takes
another folder, and waits for the lease, as a process on another machine would.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.atomic import replaced
from bulk.conditions import explain_os_error
from bulk.errors import LedgerHeldError, SettingsError
from bulk.fleet.host import host_of
from bulk.ledger.storage.files import lock_of, log_of, memory_of
from bulk.ledger.storage.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.fleet.lease import Host
    from bulk.ledger.storage.lock import Held

__all__ = ["LocalShard", "default_folder", "folder_of", "take_local"]

_MOST_PLACES = 256
"""Processes of one machine that want one shard; all but one wait."""


@dataclass(frozen=True, slots=True)
class LocalShard:
    """A folder that belongs to this process until `close`."""

    folder: Path
    host: Host
    """Names its lock in the lease."""

    _lock: Held

    @property
    def ledger(self) -> Path:
        """The shard's ledger; an earlier process may have left it."""
        return self.folder / "ledger.db"

    @property
    def slice(self) -> Path:
        """The shard's rows."""
        return self.folder / "slice.jsonl"

    @property
    def known_fence(self) -> int:
        """The fence under which the ledger was last written; 0: no ledger that can be continued."""
        if not self.ledger.exists():
            return 0
        with suppress(OSError, ValueError):
            return int(self._fence.read_text())
        return 0

    def note_fence(self, fence: int) -> None:
        """Note that the ledger has all that earlier holders shipped, and is written under this fence from now on."""
        with replaced(self._fence) as file:
            file.write(str(fence).encode())

    def forget(self) -> None:
        """Remove an outdated ledger: the store knows more than it does."""
        for path in (self._fence, self.ledger, log_of(self.ledger), memory_of(self.ledger)):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the folder for another process."""
        self._lock.release()

    @property
    def _fence(self) -> Path:
        return self.folder / "fence"


def default_folder() -> Path:
    """Return where this user's workers keep shards on this machine; it does not depend on the working folder."""
    return Path(tempfile.gettempdir()) / f"bulk-fleet-{os.geteuid()}"


def take_local(root: Path | None, split: str, shard: int, *, last: Host) -> LocalShard:
    """Take a folder for a shard: its last holder's, if that one ran here and has ended; else any that is free.

    Args:
        root: Where this machine keeps shards; ``None``: `default_folder`.
        split: ID of the fleet's split; another split has other rows.
        shard: Number of the shard.
        last: Host in the last lease.

    Raises:
        SettingsError: No folder can be created there.
    """
    folder = folder_of(root, split)
    try:
        for place in _by_likelihood(folder, shard, last):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = place / "shard"
            with suppress(LedgerHeldError):
                lock = hold(name)
                return LocalShard(place, host_of(lock_of(name)), lock)
    except OSError as exc:
        raise _unusable(folder, exc) from exc
    raise SettingsError(f"{folder}: {_MOST_PLACES} processes of this machine want shard {shard} already")


def folder_of(root: Path | None, split: str) -> Path:
    """Return this machine's folder for a fleet; it is created if missing.

    Args:
        root: Folder of all fleets; ``None``: `default_folder`.
        split: ID of the fleet's split.

    Raises:
        SettingsError: The folder can't be created, or other users could write there.
    """
    folder = root or default_folder()
    try:
        folder.mkdir(mode=0o700, parents=root is not None, exist_ok=True)
        if root is None and not _is_private(folder.lstat()):
            raise SettingsError(
                f"{folder} is not private to this user: remove it, or name another folder with --work-folder"
            )
        (folder / split).mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise _unusable(folder, exc) from exc
    return folder / split


def _is_private(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _unusable(folder: Path, exc: OSError) -> SettingsError:
    return SettingsError(
        f"{folder}: no shard can be kept there ({explain_os_error(exc)}); name a folder of this machine's own disk"
        " with --work-folder"
    )


def _by_likelihood(folder: Path, shard: int, last: Host) -> Iterator[Path]:
    places = [folder / f"{shard}.{number}" for number in range(_MOST_PLACES)]
    known = [place for place in places if place.exists() and host_of(lock_of(place / "shard")).is_same(last)]
    yield from known
    yield from (place for place in places if place not in known)
