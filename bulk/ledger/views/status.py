"""Read how a ledger stands, also while a run is at work on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.ledger.binding import read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import NotBegunError, translated
from bulk.ledger.storage.holder import Holder, read_holder
from bulk.ledger.storage.lock import is_held
from bulk.ledger.views.reading import at_one_moment
from bulk.legible import legible
from bulk.model import Outcome, Reason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from bulk.model import Target

__all__ = [
    "Holder",
    "LedgerStatus",
    "RunRecord",
    "count_outcomes",
    "read_holder",
    "read_reasons",
    "read_status",
    "status_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a ledger, as recorded."""

    run_id: str
    started_at: str
    ended_at: str | None
    """``None``: at work, or it died."""

    pid: int
    host: str
    version: str
    input: str
    create_per_s: float
    list_per_s: float
    exit_code: int | None
    stopped: str | None
    summary: str | None
    """JSON, as `bulk run --json` printed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStatus:
    """How a ledger stands now."""

    path: str
    target: Target
    """Of its first account; the one and only where no accounts are named."""

    input: str | None
    """Name of the input that was read last; ``None``: none yet."""

    rows: int
    outcomes: Mapping[str, int]
    absent: int
    holder: Holder | None
    """The run that is at work on it now."""

    runs: tuple[RunRecord, ...]
    reasons: tuple[Reason, ...]

    def is_at_work(self, run: RunRecord) -> bool:
        """Whether it is this run that holds the ledger now."""
        return self.holder is not None and self.holder.run_id == run.run_id


def read_status(path: Path) -> LedgerStatus:
    """Read everything that `bulk status` shows.

    Raises:
        LedgerError: There is no such ledger, or it can't be read.
    """
    with at_one_moment(path) as connection:
        return status_of(connection, path)


def status_of(connection: sqlite3.Connection, path: Path) -> LedgerStatus:
    """Do as `read_status` does, at the moment that the connection sees."""
    with translated(path):
        read = connection.execute("SELECT name, rows FROM input").fetchone()
        return LedgerStatus(
            path=legible(str(path)),
            target=_target(connection, path),
            input=read[0] if read else None,
            rows=read[1] if read else 0,
            outcomes=count_outcomes(connection),
            absent=connection.execute(query("count_absent")).fetchone()[0],
            # Where it can't be told, a run without an end counts as at work: who watches must not be sent away.
            holder=None if is_held(path) is False else read_holder(path),
            runs=tuple(_run_record(record) for record in connection.execute(query("runs"))),
            reasons=read_reasons(connection),
        )


def _target(connection: sqlite3.Connection, path: Path) -> Target:
    targets = read_targets(connection)
    if not targets:
        raise NotBegunError(path)
    return next(iter(targets.values()))


def count_outcomes(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows of the input have each outcome, zeros included."""
    counted = connection.execute(query("count_outcomes"))
    return {outcome: rows for (outcome, *_), rows in zip(counted.description, counted.fetchone(), strict=True)}


def read_reasons(connection: sqlite3.Connection, *, account: str | None = None) -> tuple[Reason, ...]:
    """Return why rows are not provisioned, most frequent first: all rows, or those of one account."""
    found = connection.execute(
        query("reasons") if account is None else query("reasons_of_account"), {"account": account}
    )
    return tuple(Reason(Outcome(outcome), code, rows, line, message) for outcome, code, rows, line, message in found)


def _run_record(record: tuple[object, ...]) -> RunRecord:
    return RunRecord(**dict(zip(RunRecord.__slots__, record, strict=True)))  # type: ignore[arg-type]  # as the query names them
