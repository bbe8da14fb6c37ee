"""The files beside a ledger.

SQLite follows symbolic links to find its own files, and so must other code: a ledger has one lock and one log, under
any name.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["backup_of", "lock_of", "log_of", "memory_of", "unfinished_backup_of", "unfinished_merge_of"]


def lock_of(ledger: Path) -> Path:
    """Return the file that a run locks while it is at work."""
    return _beside(ledger, ".lock")


def log_of(ledger: Path) -> Path:
    """Return SQLite's write-ahead log. It exists while a process writes, and after a run that was killed."""
    return _beside(ledger, "-wal")


def memory_of(ledger: Path) -> Path:
    """Return the file through which SQLite's connections share memory. It exists as long as the log."""
    return _beside(ledger, "-shm")


def backup_of(ledger: Path, layout: int) -> Path:
    """Return the copy that an upgrade keeps of a ledger in the layout that it had before."""
    return _beside(ledger, f".v{layout}.bak")


def unfinished_backup_of(ledger: Path, layout: int) -> Path:
    """Return the name of such a copy until it is complete and on disk."""
    return _beside(ledger, f".v{layout}.bak.part")


def unfinished_merge_of(ledger: Path) -> Path:
    """Return the name of a ledger while it is merged from others."""
    return _beside(ledger, ".merge.part")


def _beside(ledger: Path, ending: str) -> Path:
    # Unlike Path.resolve(), this accepts links in a circle: SQLite reports what is wrong with them.
    return Path(f"{os.path.realpath(ledger)}{ending}")
