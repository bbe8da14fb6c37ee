"""Build one ledger from many: written beside its place, without a log, and moved there when it is complete."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager, suppress
from operator import itemgetter
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.errors import LedgerError
from bulk.ledger.binding import bind
from bulk.ledger.sql import insert_many, query
from bulk.ledger.storage.database import NotBegunError, is_there, open_as_it_is, open_for_writing, translated
from bulk.ledger.storage.files import log_of, memory_of, unfinished_merge_of
from bulk.ledger.storage.lock import hold
from bulk.ledger.store import Ledger
from bulk.model import ROW_OUTCOMES, Outcome

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bulk.model import Target

__all__ = ["MergedLedger", "merged_ledger"]

_TOGETHER = 64
_OUTCOME, _OWNED = 11, 14
_OURS = frozenset({"", 1})
_KEY = itemgetter(1, 2, 3)
_CACHE_KIB = 524_288
"""Records are inserted in one order and read in another: that is quick only if they fit into the cache."""


class MergedLedger(Ledger):
    """A ledger while it is built from many."""

    def add_last_words(self, records: Sequence[Sequence[object]]) -> None:
        """Record the outcomes of modules; a later record of a module replaces an earlier one.

        Args:
            records: ``(line, account, product_key, module_name, alias_name, desc, request_id, attempts, recovered,
                in_doubt, settled_at, outcome, code, message, owned)`` each, no two of one module.
        """
        created: list[Sequence[object]] = []
        others: list[Sequence[object]] = []
        for record in records:
            is_ours = record[_OUTCOME] == Outcome.CREATED and record[_OWNED] in _OURS
            (created if is_ours else others).append(record)
        # In the order of the table, so that its pages are filled one after the other.
        created.sort(key=_KEY)
        (run_id,) = self.connection.execute("SELECT run_id FROM runs").fetchone()
        with translated(self.path):
            self.connection.execute("BEGIN")
            insert_many(
                self.connection,
                "merge_created",
                [[*record[1:_OUTCOME], run_id] for record in created],
                together=_TOGETHER,
            )
            self.connection.executemany(query("merge_word"), [record[1:] for record in others])
            self.connection.execute("COMMIT")

    def strange_word(self) -> tuple[str, str, str] | None:
        """Return the key of a module that no row asks for."""
        with translated(self.path):
            (modules,) = self.connection.execute("SELECT count(*) FROM modules").fetchone()
            if self.connection.execute(query("count_of_rows")).fetchone()[0] == modules:
                return None
            strange: tuple[str, str, str] = self.connection.execute(query("strange_word")).fetchone()
        return strange

    def outcomes(self) -> dict[str, int]:
        """See `Ledger.outcomes`; quicker, because each module has a row and is as the row wants it."""
        with translated(self.path):
            known = dict(self.connection.execute(query("count_merged")).fetchall())
            (rows,) = self.connection.execute("SELECT rows FROM input").fetchone()
        known[Outcome.PENDING] = known.get(Outcome.PENDING, 0) + rows - sum(known.values())
        return {str(outcome): known.get(outcome, 0) for outcome in ROW_OUTCOMES}

    def shared_product(self) -> tuple[int, str] | None:
        """Return a line whose product another account of its target has too, with its problem."""
        with translated(self.path):
            found: tuple[int, str] | None = self.connection.execute(query("shared_product")).fetchone()
        return found


@contextmanager
def merged_ledger(path: Path, *, run_id: str, targets: Mapping[str, Target]) -> Iterator[MergedLedger]:
    """Yield a new ledger. When the block ends without an error, it is moved into place in one step.

    Args:
        path: Where to write it. It replaces only an earlier merge of the same fleet.
        run_id: The merge's id: the same for all merges of one fleet.
        targets: Account → target.

    Raises:
        LedgerHeldError: A run is at work on the ledger that is there.
        LedgerError: Another ledger is there, or the new one can't be written.
    """
    held = hold(path)
    part = unfinished_merge_of(path)
    try:
        _refuse_another(path, run_id)
        _forget(part)
        with closing(open_for_writing(part)) as connection:
            with translated(path):
                _make_quick(connection)
            bind(connection, path, targets)
            yield MergedLedger(path, connection, ExitStack(), accounts=targets)
        _put_in_place(part, path)
    finally:
        _forget(part)
        held.release()


def _forget(part: Path) -> None:
    """Remove what a merge left, this one or one that was killed."""
    for left in (part, log_of(part), memory_of(part)):
        with suppress(OSError):
            left.unlink()


def _refuse_another(path: Path, run_id: str) -> None:
    if not is_there(path):
        return
    with suppress(NotBegunError), closing(open_as_it_is(path)) as connection, translated(path):
        if not connection.execute(query("is_merge_of"), (run_id,)).fetchone()[0]:
            raise LedgerError(
                f"{path}: there is a ledger already, and it is more than a merge of this fleet: name another with -o"
            )


def _make_quick(connection: sqlite3.Connection) -> None:
    """Turn off the protection that a ledger in use needs: if a merge dies, it is made again from the start."""
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")


def _put_in_place(part: Path, path: Path) -> None:
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # These belong to the replaced merge; SQLite would take them for the new file's log.
        for old in (log_of(path), memory_of(path)):
            old.unlink(missing_ok=True)
        part.replace(os.path.realpath(path))
    except OSError as exc:
        raise LedgerError(f"{path}: the ledger can't be written ({explain_os_error(exc)})") from exc
