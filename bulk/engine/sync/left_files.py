"""The files that a sync leaves beside its ledger: the plan of what waits, and the input that undoes its changes.

Each file has the run in its name, and only its owner can read it. The newest files are kept. If a file can't be
written, the sync still returns its summary.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.ledger.undo_names import UNDO_ENDING, undo_file_of
from bulk.ledger.views.undo import write_undo_file
from bulk.shell import shell_path

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT_FILES", "LeftFiles", "forget_old"]

KEPT_FILES = 14
"""How many plans of one ledger are kept, and how many undo files. Writing a new one removes older ones."""

_NAMES = {"plan": r"\.plan-[0-9a-f]{12}\.jsonl", "undo": UNDO_ENDING}
"""Names that bulk chose itself: files that `bulk plan -o` wrote beside them are kept."""


def forget_old(ledger: Path, kind: str) -> None:
    """Remove all files of a kind except the newest; a file that can't be removed stays.

    Args:
        ledger: The ledger beside which they are.
        kind: ``plan`` or ``undo``.
    """
    name = re.compile(re.escape(ledger.name) + _NAMES[kind])
    with suppress(OSError):
        files = [path for path in ledger.parent.iterdir() if name.fullmatch(path.name)]
        for path in sorted(files, key=lambda path: path.stat().st_mtime)[:-KEPT_FILES]:
            path.unlink()


class LeftFiles:
    """Writes the files of one run."""

    def __init__(self, ledger: Path, run_id: str) -> None:
        """Write nothing yet."""
        self._ledger = ledger
        self._run_id = run_id
        self.notes: list[str] = []
        """Why a file could not be written, a sentence each."""

    def leave_plan(self, path: Path, write: Callable[[Path], object]) -> str | None:
        """Write the plan and return its path; ``None``: it could not be written."""
        return self._leave("plan", path, lambda: write(path), "run the sync again for a new one")

    def leave_undo(self) -> str | None:
        """Write what undoes the run's updates and deletes, and return its path; ``None``: nothing to undo."""
        path = Path(undo_file_of(str(self._ledger), self._run_id))
        with suppress(SettingsError):  # the run sent no update and no delete
            again = f"bulk results {shell_path(str(self._ledger))} --undo-file FILE --run {self._run_id}"
            return self._leave("undo", path, lambda: self._write_undo(path), f"the ledger has it: {again}")
        return None

    def _write_undo(self, path: Path) -> None:
        lost = write_undo_file(self._ledger, path, run=self._run_id).not_restored
        if lost:
            self.notes.append(
                f"texts that were empty and are not now: {len(lost):,}, the first {lost[0]}; the undo file can't empty "
                "them again, as a blank cell is not compared"
            )

    def _leave(self, kind: str, path: Path, write: Callable[[], object], remedy: str) -> str | None:
        try:
            write()
        except OSError as exc:
            self.notes.append(f"{path}: the {kind} file can't be written ({explain_os_error(exc)}); {remedy}")
            return None
        forget_old(self._ledger, kind)
        return str(path)
