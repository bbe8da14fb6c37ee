"""Read the state of a ledger, also while a run is at work on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bulk.ledger.binding import read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import NotBegunError, translated
from bulk.ledger.storage.holder import Holder, read_holder
from bulk.ledger.storage.lock import is_held
from bulk.ledger.views.accounts import read_accounts
from bulk.ledger.views.approvals import Approval, CutOff, read_approvals, read_cut_off
from bulk.ledger.views.reading import at_one_moment
from bulk.legible import legible, spoken_targets
from bulk.model import Outcome, Reason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bulk.model import Target

__all__ = [
    "AccountStanding",
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

    command: str = "run"
    """``run``, ``sync`` or ``apply``."""

    applied: str | None = None
    """For an apply: the run that made the plan."""

    user: str | None = None
    """The system's name of the user who started it; ``None``: not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStanding:
    """The present state of an account's part of a ledger. Its fields are keys of `bulk status --json`."""

    target: str | None
    """``None``: rows name it, and no run has bound it to a target."""

    rows: int
    outcomes: Mapping[str, int]
    absent: int
    exit_code: int | None
    """The exit code of the last finished run for this account alone; ``None``: it did not have this account."""

    stopped: str | None
    """Why that run stopped sending requests for it; ``None``: it went through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStatus:
    """The present state of a ledger."""

    path: str
    target: Target
    """The target of its first account; the only one where no accounts are named."""

    input: str | None
    """Name of the input that was read last; ``None``: none yet."""

    rows: int
    outcomes: Mapping[str, int]
    absent: int
    holder: Holder | None
    """The run that is at work on it now."""

    runs: tuple[RunRecord, ...]
    reasons: tuple[Reason, ...]
    approvals: tuple[Approval, ...] = ()
    """What the last sync of each account withheld until a person approves it."""

    cut_off: CutOff | None = None
    """The last run, if it is an apply that did not finish; ``None`` also while a run is at work."""

    accounts: Mapping[str, AccountStanding] = field(default_factory=dict)
    """Name → account, in the order of their names; empty: the ledger knows no names."""

    @property
    def spoken_target(self) -> str:
        """Where the requests of all accounts go, as a line for a screen."""
        known = [account.target for account in self.accounts.values() if account.target]
        return spoken_targets(known or [self.target])

    @property
    def sandbox_options(self) -> tuple[str, ...]:
        """The options that lead to its sandbox; none: it belongs to a real platform."""
        return self.target.sandbox_options

    def reason_of(self, account: AccountStanding) -> str | None:
        """Return why an account stopped alone in the last run; ``None``: it did not, or a run is at work now."""
        whole = self.runs[-1].stopped if self.runs else None
        return None if self.holder or account.stopped == whole else account.stopped

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
    """Do the same as `read_status`, for the moment that the connection sees."""
    with translated(path):
        read = connection.execute("SELECT name, rows FROM input").fetchone()
        runs = tuple(_run_record(record) for record in connection.execute(query("runs")))
        # If that is not known, a run without an end counts as at work: a watcher must not stop too early.
        holder = None if is_held(path) is False else read_holder(path)
        return LedgerStatus(
            path=legible(str(path)),
            target=_target(connection, path),
            input=read[0] if read else None,
            rows=read[1] if read else 0,
            outcomes=count_outcomes(connection),
            absent=connection.execute(query("count_absent")).fetchone()[0],
            holder=holder,
            runs=runs,
            reasons=read_reasons(connection),
            approvals=read_approvals(connection, path),
            cut_off=None if holder else read_cut_off(connection, path),
            accounts=_accounts(connection, path, runs),
        )


def _target(connection: sqlite3.Connection, path: Path) -> Target:
    targets = read_targets(connection)
    if not targets:
        raise NotBegunError(path)
    return next(iter(targets.values()))


def _accounts(connection: sqlite3.Connection, path: Path, runs: Sequence[RunRecord]) -> dict[str, AccountStanding]:
    if not any(read_targets(connection)):
        return {}  # the total is known, and counting by account would take as long again
    ended = _accounts_when_ended(runs)
    return {
        found.account: AccountStanding(
            target=str(found.target) if found.target else None,
            rows=sum(found.outcomes.values()),
            outcomes=found.outcomes,
            absent=found.absent,
            exit_code=ended.get(found.account, {}).get("exit_code"),
            stopped=ended.get(found.account, {}).get("stopped"),
        )
        for found in read_accounts(connection, path)
        if found.account
    }


def _accounts_when_ended(runs: Sequence[RunRecord]) -> dict[str, dict[str, Any]]:
    """Return what the last run that ended said of each account."""
    last = next((run.summary for run in reversed(runs) if run.summary), None)
    accounts: dict[str, dict[str, Any]] = orjson.loads(last).get("accounts", {}) if last else {}
    return accounts


def count_outcomes(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows of the input have each outcome, zeros included."""
    counted = connection.execute(query("count_outcomes"))
    return {outcome: rows for (outcome, *_), rows in zip(counted.description, counted.fetchone(), strict=True)}


def read_reasons(connection: sqlite3.Connection, *, account: str | None = None) -> tuple[Reason, ...]:
    """Return why rows are not provisioned, most frequent first: all rows, or those of one account."""
    found = connection.execute(
        query("reasons") if account is None else query("reasons_of_account"), {"account": account}
    )
    return tuple(
        Reason(Outcome(outcome), code, rows, line, message, name or None)
        for outcome, code, rows, line, message, name in found
    )


def _run_record(record: tuple[object, ...]) -> RunRecord:
    return RunRecord(**dict(zip(RunRecord.__slots__, record, strict=True)))  # type: ignore[arg-type]  # as the query names them
