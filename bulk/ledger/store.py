"""The ledger of a run: opened, held, bound to its targets, read in, worked off, closed."""

from __future__ import annotations

import getpass
import os
import socket
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulk.conditions import no_temporary_folder
from bulk.errors import LedgerError
from bulk.ledger.binding import bind, check_targets
from bulk.ledger.intake import replaced_rows
from bulk.ledger.lanes import read_lanes
from bulk.ledger.retention import KEEP_DAYS, forget_old
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
from bulk.ledger.views.accounts import count_by_account
from bulk.ledger.views.reading import read_results
from bulk.ledger.views.status import count_outcomes, read_reasons
from bulk.legible import legible
from bulk.model import MAX_CUSTOM_MODULES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from bulk.ledger.binding import Takeover
    from bulk.ledger.intake import Intake
    from bulk.ledger.storage.database import Upgrade
    from bulk.ledger.views.accounts import Counted
    from bulk.ledger.views.reading import Result
    from bulk.model import Action, Lane, Outcome, Reason, Target

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
        accounts: Collection[str] = (),
        takeovers: tuple[Takeover, ...] = (),
    ) -> None:
        self.path = path
        self.connection = connection
        self.upgrade = upgrade
        """Its upgrade when it was opened, if an earlier version had written it."""

        self.takeovers = takeovers
        """Records that an account took over from a name that is no longer in the settings, so far."""

        self.before_intake: Callable[[sqlite3.Connection], None] | None = None
        """Called within the intake's transaction, while the rows are still those of the previous input."""

        self.check_intake: Callable[[sqlite3.Connection], None] | None = None
        """Called before the intake is committed; if it raises, the ledger stays as it was."""

        self._run_id: str | None = None
        """The id of the run that is at work on it."""

        self._accounts = tuple(accounts)
        self._held = held
        self._place = place

    @classmethod
    def open(cls, path: Path, *, targets: Mapping[str, Target]) -> Ledger:
        """Open or make the ledger, lock it, and note its targets; the first accepted requests bind it to them.

        An old one is upgraded. Records of a name that is gone are taken over by the new name of its target.

        Args:
            path: The ledger.
            targets: Account → target, of all accounts that the settings name, used or not. If they name none:
                ``{"": target}``.

        Raises:
            LedgerHeldError: Another run is at work on it.
            LedgerTargetError: An account, or all of it, belongs to another target.
            LedgerError: It can't be opened or written.
        """
        with ExitStack() as held:
            held.callback(hold(path).release)
            connection = held.enter_context(closing(open_for_writing(path)))
            upgrade = _prepare(connection, path, targets)
            with translated(path):
                takeovers = bind(connection, path, targets)
            kept = held.pop_all()
            place = Place(path, keep=kept.callback)
            return cls(path, connection, kept, place=place, upgrade=upgrade, accounts=targets, takeovers=takeovers)

    @classmethod
    def scratch(cls, path: Path, *, targets: Mapping[str, Target]) -> Ledger:
        """Make a copy of the ledger to plan with, or an empty one if there is none; the ledger is not touched.

        The copy is in the system's folder for temporary files, until it is closed.

        Args:
            path: The ledger.
            targets: As of `open`.

        Raises:
            LedgerTargetError: An account, or all of the ledger, belongs to another target.
            LedgerError: It can't be read.
        """
        with ExitStack() as held:
            copy = Path(held.enter_context(_temporary_folder()), "plan.db")
            if is_there(path):
                _copy(path, copy, targets)
            connection = held.enter_context(closing(open_for_writing(copy)))
            with translated(copy):
                connection.execute("PRAGMA synchronous = OFF")
                takeovers = bind(connection, copy, targets)
            return cls(copy, connection, held.pop_all(), accounts=targets, takeovers=takeovers)

    @contextmanager
    def intake(self, *, name: str, shape: str, at: float) -> Iterator[Intake]:
        """Replace the rows by those of an input: see `replaced_rows`."""
        named = legible(name)
        with replaced_rows(
            self.connection,
            self.path,
            name=named,
            shape=shape,
            at=at,
            run_id=self._run_id,
            accounts=self._accounts,
            before=self.before_intake,
            check=self.check_intake,
        ) as intake:
            yield intake
        self.takeovers += intake.takeovers

    def begin_run(
        self,
        run_id: str,
        *,
        at: float,
        version: str,
        input_name: str,
        rates: Mapping[Action, float],
        command: str = "run",
        applied: str | None = None,
    ) -> None:
        """Record that a run is at work, and who it is.

        Args:
            run_id: Its id.
            at: Now, in seconds since the epoch.
            version: Of this program.
            input_name: The input's name.
            rates: Requests a second that were asked for, by action; they include those of creates and listings.
            command: ``run``, ``sync`` or ``apply``.
            applied: For an apply: the run that made the plan.
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
                    orjson.dumps({action.figure: per_s for action, per_s in rates.items()}).decode(),
                    _user(),
                ),
            )
            self._run_id = run_id
            if command != "run":
                self.connection.execute(query("name_command"), (command, applied, run_id))

    def forget_old(self, *, at: float, keep_days: float = KEEP_DAYS, stopped: Callable[[], bool]) -> int:
        """Remove old attempts and undo data: see `bulk.ledger.retention`."""
        return forget_old(self.connection, self.path, at=at, keep_days=keep_days, stopped=stopped)

    def end_run(self, run_id: str, *, at: float, exit_code: int, stopped: str | None, summary: str | None) -> None:
        """Record how the run ended.

        Args:
            run_id: Its id.
            at: Now, in seconds since the epoch.
            exit_code: The program's exit code.
            stopped: Why it stopped early.
            summary: Its summary as JSON, if there is one.
        """
        with translated(self.path):
            self.connection.execute(query("end_run"), (iso_utc(at), exit_code, stopped, summary, run_id))

    def outcomes(self) -> dict[str, int]:
        """Return how many rows of the input have each outcome, zeros included."""
        with translated(self.path):
            return count_outcomes(self.connection)

    def counted(self) -> Counted:
        """Return the same, and the counts of each account that has rows, in the same pass."""
        with translated(self.path):
            return count_by_account(self.connection)

    def outcomes_by_account(self) -> dict[str, dict[str, int]]:
        """Return the accounts' part of `counted`; a row whose account is not known is in none."""
        return self.counted().by_account

    def accounts_with_rows(self) -> list[str]:
        """Return the accounts that have rows in the input, apart from invalid and repeated ones, by name."""
        with translated(self.path):
            return [account for (account,) in self.connection.execute(query("accounts_with_rows"))]

    def absent(self) -> int:
        """Return how many modules of earlier inputs this one does not ask for, including accounts that are gone."""
        with translated(self.path):
            return int(self.connection.execute(query("count_absent")).fetchone()[0])

    def reasons(self, *, account: str | None = None) -> tuple[Reason, ...]:
        """Return why rows are not provisioned, most frequent first: all rows, or those of one account."""
        with translated(self.path):
            return read_reasons(self.connection, account=account)

    def rows(self, outcomes: Collection[Outcome]) -> Iterator[Result]:
        """Yield the rows of the input that have one of these outcomes, in the input's order."""
        return read_results(self.connection, self.path, outcomes=outcomes)

    def open_products(self, accounts: Iterable[str]) -> list[tuple[str, str, int]]:
        """Return account, ProductKey and open rows of products that have any, in the order of their first lines."""
        asked = {"accounts": orjson.dumps([*accounts]).decode()}
        with translated(self.path):
            return self.connection.execute(query("open_products_of_accounts"), asked).fetchall()

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
        """Check that the ledger is still where it was opened; may be called while another thread writes.

        Raises:
            LedgerError: It was removed, moved or replaced, or another run has taken it.
        """
        if self._place is not None:
            self._place.check()

    def close(self) -> None:
        """Close and release the ledger."""
        self._held.close()


def _user() -> str | None:
    """Return the user who started this process, if the system knows: in a container a user may have no name."""
    with suppress(KeyError, OSError, ImportError):
        return legible(getpass.getuser())
    return None


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="bulk-plan-")
    except OSError as exc:
        raise LedgerError(f"a plan needs a copy of the ledger, and {no_temporary_folder(exc)}") from exc


def check_ledger(path: Path, *, targets: Mapping[str, Target] | None) -> None:
    """Check whether a run for these targets could use the file, if there is one; nothing is changed.

    Args:
        path: The ledger.
        targets: As of `Ledger.open`; ``None``: any.

    Raises:
        LedgerTargetError: An account, or all of it, belongs to another target.
        LedgerError: It is no ledger, or can't be read.
    """
    if not is_there(path):
        return
    with suppress(NotBegunError), translated(path), closing(open_for_reading(path)) as connection:
        if targets:
            check_targets(connection, path, targets)


def _copy(path: Path, copy: Path, targets: Mapping[str, Target]) -> None:
    with suppress(NotBegunError), translated(path), closing(open_for_reading(path)) as source:
        check_targets(source, path, targets)
        with closing(sqlite3.connect(copy)) as copied:
            source.backup(copied)


def _prepare(connection: sqlite3.Connection, path: Path, targets: Mapping[str, Target]) -> Upgrade | None:
    """Refuse a ledger of other targets before it is upgraded: this run must not change it."""
    with translated(path):
        check_targets(connection, path, targets)
    return bring_up_to_date(connection, path)
