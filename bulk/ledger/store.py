"""The ledger of a run: opened, held, bound to its target, read in, worked off, closed."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import no_temporary_folder
from bulk.errors import LedgerError, LedgerTargetError
from bulk.ledger.intake import replaced_rows
from bulk.ledger.lanes import read_lanes
from bulk.ledger.retention import forget_old
from bulk.ledger.sql import query
from bulk.ledger.storage.database import (
    NotBegunError,
    bring_up_to_date,
    is_there,
    open_for_reading,
    open_for_writing,
    translated,
)
from bulk.ledger.storage.lock import hold
from bulk.ledger.storage.place import Place
from bulk.ledger.times import iso_utc
from bulk.ledger.views.reading import read_results
from bulk.ledger.views.status import count_outcomes, read_reasons, read_target
from bulk.legible import legible
from bulk.model import MAX_CUSTOM_MODULES, Action

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bulk.ledger.intake import Intake
    from bulk.ledger.storage.database import Upgrade
    from bulk.ledger.views.reading import Result
    from bulk.model import Lane, Outcome, Reason, Target

__all__ = ["Ledger", "check_ledger"]


class Ledger:
    """A ledger that this process holds. Every method blocks: call them off the event loop, one at a time.

    While a run sends, `bulk.ledger.writer.LedgerWriter` has ``connection`` for itself, and
    `bulk.ledger.lanes.LaneReader` reads beside it.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        held: ExitStack,
        *,
        place: Place | None = None,
        upgrade: Upgrade | None = None,
    ) -> None:
        self.path = path
        self.connection = connection
        self.upgrade = upgrade
        """What became of it when it was opened, if an earlier version had written it."""
        self._held = held
        self._place = place

    @classmethod
    def open(cls, path: Path, *, target: Target) -> Ledger:
        """Open or make the ledger, hold it, and note its target, to which the first accepted request binds it.

        An old one is upgraded.

        Raises:
            LedgerHeldError: Another run is at work on it.
            LedgerTargetError: It belongs to another target.
            LedgerError: It can't be opened or written.
        """
        with ExitStack() as held:
            held.callback(hold(path).release)
            connection = held.enter_context(closing(open_for_writing(path)))
            upgrade = _prepare(connection, path, target)
            kept = held.pop_all()
            return cls(path, connection, kept, place=Place(path, keep=kept.callback), upgrade=upgrade)

    @classmethod
    def scratch(cls, path: Path, *, target: Target) -> Ledger:
        """Make a copy of the ledger, or an empty one if none has begun, to plan with; the ledger is not touched.

        The copy stands in the system's folder for temporary files, until it is closed.

        Raises:
            LedgerTargetError: The ledger belongs to another target.
            LedgerError: It can't be read.
        """
        with ExitStack() as held:
            copy = Path(held.enter_context(_temporary_folder()), "plan.db")
            if is_there(path):
                _copy(path, copy, target)
            connection = held.enter_context(closing(open_for_writing(copy)))
            with translated(copy):
                connection.execute("PRAGMA synchronous = OFF")
                _bind(connection, copy, target)
            return cls(copy, connection, held.pop_all())

    def intake(self, *, name: str, shape: str, at: float) -> AbstractContextManager[Intake]:
        """Replace the rows by those of an input: see `replaced_rows`."""
        return replaced_rows(self.connection, self.path, name=legible(name), shape=shape, at=at)

    def begin_run(
        self, run_id: str, *, at: float, version: str, input_name: str, rates: Mapping[Action, float]
    ) -> None:
        """Record that a run is at work, and who it is.

        Args:
            run_id: Its id.
            at: Now, in seconds since the epoch.
            version: Of this program.
            input_name: The input's name.
            rates: Requests a second that were asked for, by action. Only those of creates and listings are kept.
        """
        with translated(self.path):
            self.connection.execute(
                query("begin_run"),
                (
                    run_id,
                    iso_utc(at),
                    os.getpid(),
                    socket.gethostname(),
                    version,
                    legible(input_name),
                    rates[Action.CREATE],
                    rates[Action.LIST],
                ),
            )

    def forget_old(self, *, at: float, stopped: Callable[[], bool]) -> int:
        """Remove old attempts and undo data: see `bulk.ledger.retention`."""
        return forget_old(self.connection, self.path, at=at, stopped=stopped)

    def end_run(self, run_id: str, *, at: float, exit_code: int, stopped: str | None, summary: str | None) -> None:
        """Record how the run ended.

        Args:
            run_id: Its id.
            at: Now, in seconds since the epoch.
            exit_code: What the program exits with.
            stopped: Why it stopped early.
            summary: Its summary as JSON, if it got that far.
        """
        with translated(self.path):
            self.connection.execute(query("end_run"), (iso_utc(at), exit_code, stopped, summary, run_id))

    def outcomes(self) -> dict[str, int]:
        """Return how many rows of the input have each outcome, zeros included."""
        with translated(self.path):
            return count_outcomes(self.connection)

    def absent(self) -> int:
        """Return how many modules of earlier inputs this one does not ask for."""
        with translated(self.path):
            return int(self.connection.execute(query("count_absent")).fetchone()[0])

    def reasons(self) -> tuple[Reason, ...]:
        """Return why rows are not provisioned, most frequent first."""
        with translated(self.path):
            return read_reasons(self.connection)

    def rows(self, outcomes: Collection[Outcome]) -> Iterator[Result]:
        """Yield the rows of the input that have one of these outcomes, in the input's order."""
        return read_results(self.connection, self.path, outcomes=outcomes)

    def open_products(self, *, account: str = "") -> dict[str, int]:
        """Return the products with open rows, in the order of their first lines, and how many each has."""
        with translated(self.path):
            return dict(self.connection.execute(query("open_products"), {"account": account}).fetchall())

    def count_open_products(self, *, account: str = "") -> int:
        """Return how many products have open rows."""
        with translated(self.path):
            return int(self.connection.execute(query("count_open_products"), {"account": account}).fetchone()[0])

    def crowded_lanes(self, *, account: str = "") -> Iterator[tuple[Lane, int]]:
        """Yield the lanes of products that ask for more modules than one may have, and how many are provisioned."""
        with translated(self.path):
            asked = {"account": account, "most": MAX_CUSTOM_MODULES}
            crowded = self.connection.execute(query("crowded_products"), asked).fetchall()
            for product_key, rows in crowded:
                for lane in read_lanes(self.connection, [product_key], account=account):
                    yield lane, rows - len(lane.rows)

    def check_place(self) -> None:
        """Look whether the ledger is still where it was opened; may be called while another thread writes.

        Raises:
            LedgerError: It was removed, moved or replaced, or another run has taken it.
        """
        if self._place is not None:
            self._place.check()

    def close(self) -> None:
        """Let the ledger go."""
        self._held.close()


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="bulk-plan-")
    except OSError as exc:
        raise LedgerError(f"a plan needs a copy of the ledger, and {no_temporary_folder(exc)}") from exc


def check_ledger(path: Path, *, target: Target | None) -> None:
    """Look whether a run for this target could go on with the file, if there is one; nothing is changed.

    Args:
        path: The ledger.
        target: What the run would be for; ``None``: any.

    Raises:
        LedgerTargetError: It belongs to another target.
        LedgerError: It is no ledger, or can't be read.
    """
    if not is_there(path):
        return
    with suppress(NotBegunError), translated(path), closing(open_for_reading(path)) as connection:
        if target:
            _is_for(connection, path, target)


def _copy(path: Path, copy: Path, target: Target) -> None:
    with suppress(NotBegunError), translated(path), closing(open_for_reading(path)) as source:
        _is_for(source, path, target)
        with closing(sqlite3.connect(copy)) as copied:
            source.backup(copied)


def _prepare(connection: sqlite3.Connection, path: Path, target: Target) -> Upgrade | None:
    """Refuse a ledger of another target before it is upgraded: it is not this run's to change."""
    with translated(path):
        if connection.execute("SELECT 1 FROM target").fetchone():
            _is_for(connection, path, target)
    upgrade = bring_up_to_date(connection, path)
    with translated(path):
        _bind(connection, path, target)
    return upgrade


def _bind(connection: sqlite3.Connection, path: Path, target: Target) -> None:
    if not connection.execute("SELECT 1 FROM target").fetchone():
        change = "INSERT INTO target (dialect, endpoint, instance_id) VALUES (?, ?, ?)"
    elif _is_for(connection, path, target):
        return
    else:
        change = "UPDATE target SET dialect = ?, endpoint = ?, instance_id = ?"
    connection.execute(change, (target.dialect, target.endpoint, target.instance_id))


def _is_for(connection: sqlite3.Connection, path: Path, target: Target) -> bool:
    """Say whether a ledger notes this target; a noted one that never accepted a request was a slip.

    Raises:
        LedgerTargetError: It is bound to another target.
    """
    noted = read_target(connection, path)
    if noted == target:
        return True
    if connection.execute(query("is_bound")).fetchone()[0]:
        raise LedgerTargetError(
            f"{path}: this ledger belongs to {noted}, and this run is for {target}: "
            "name another ledger with --ledger, or the ledger's own target"
        )
    return False
