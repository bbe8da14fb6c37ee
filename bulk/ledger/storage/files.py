"""The files that stand beside a ledger.

SQLite follows symbolic links to find its own, and so must whoever looks for them: a ledger has one lock and one log, by
whatever name it is called.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["backup_of", "lock_of", "log_of", "memory_of", "unfinished_backup_of", "unfinished_merge_of"]


def lock_of(ledger: Path) -> Path:
    """Return the file that a run locks while it is at work."""
    return _beside(ledger, ".lock")


def log_of(ledger: Path) -> Path:
    """Return SQLite's write-ahead log, which is there while somebody writes, and after a run that was killed."""
    return _beside(ledger, "-wal")


def memory_of(ledger: Path) -> Path:
    """Return the file by which SQLite's connections share memory, which is there as long as its log is."""
    return _beside(ledger, "-shm")


def backup_of(ledger: Path, layout: int) -> Path:
    """Return the copy that an upgrade keeps of a ledger in the layout that it had before."""
    return _beside(ledger, f".v{layout}.bak")


def unfinished_backup_of(ledger: Path, layout: int) -> Path:
    """Return what such a copy is called until it is whole and on disk."""
    return _beside(ledger, f".v{layout}.bak.part")


def unfinished_merge_of(ledger: Path) -> Path:
    """Return what a ledger is called while it is merged from others."""
    return _beside(ledger, ".merge.part")


def _beside(ledger: Path, ending: str) -> Path:
    # Unlike Path.resolve() this takes links in a circle too: SQLite says what is wrong with them.
    return Path(f"{os.path.realpath(ledger)}{ending}")
