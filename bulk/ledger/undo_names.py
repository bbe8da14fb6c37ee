"""Names of the input that undoes a run, and of the ledger in which it is carried out.

The ledger's name says whose changes it undoes. A sandbox finds its world by that name.
"""

from __future__ import annotations

import re

__all__ = ["UNDO_ENDING", "ledger_of_undo", "undo_file_of", "undone_ledger"]

UNDO_ENDING = r"\.undo-[0-9a-f]{12}\.csv"
"""Pattern of what follows the ledger's name."""

_LEDGER_ENDING = ".ledger.db"
_UNDOES = re.compile(f"({UNDO_ENDING}{re.escape(_LEDGER_ENDING)})+$")


def undo_file_of(ledger: str, run_id: str) -> str:
    """Return the path of the input that undoes a run of this ledger."""
    return f"{ledger}.undo-{run_id[:12]}.csv"


def ledger_of_undo(undo_file: str) -> str:
    """Return the path of the ledger in which an undo file is carried out."""
    return f"{undo_file}{_LEDGER_ENDING}"


def undone_ledger(ledger: str) -> str:
    """Return the ledger whose changes this one undoes, or the changes of whose undo; else the ledger itself."""
    return _UNDOES.sub("", ledger)
