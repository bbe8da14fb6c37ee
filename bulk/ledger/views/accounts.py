"""Read the state of a ledger account by account, also while a run is at work on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bulk.ledger.binding import read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.model import ROW_OUTCOMES, Action

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bulk.ledger.views.history import Window
    from bulk.model import Target

__all__ = [
    "AccountStatus",
    "AccountTraffic",
    "Counted",
    "count_by_account",
    "read_account_traffic",
    "read_accounts",
]


class Counted(NamedTuple):
    """How many rows have each outcome, zeros included: counted at one moment, in one pass."""

    outcomes: dict[str, int]
    """Of the whole input."""

    by_account: dict[str, dict[str, int]]
    """Of each account that has rows; a row whose account is not known is in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """The present state of one account."""

    account: str
    target: Target | None
    """``None``: its rows were read by a run that has not noted it yet."""

    outcomes: Mapping[str, int]
    """Zeros if the input has no row of it, as for a name that is gone."""

    absent: int


class AccountTraffic(NamedTuple):
    """What one account sent in one run, by action."""

    window: int
    """Index of the window."""

    account: str
    action: Action
    requests: int
    failed: int
    """How many of them were throttled."""

    throttled: int


def count_by_account(connection: sqlite3.Connection) -> Counted:
    """Return how many rows of the input have each outcome, in all and by account."""
    counted = connection.execute(query("count_outcomes_by_account"))
    names = [name for name, *_ in counted.description][1:]
    found = {account: dict(zip(names, rows, strict=True)) for account, *rows in counted}
    whole = {name: sum(rows[name] for rows in found.values()) for name in names}
    return Counted(whole, {account: rows for account, rows in found.items() if account is not None})


def read_accounts(connection: sqlite3.Connection, path: Path) -> tuple[AccountStatus, ...]:
    """Return the state of each account, by name; none: the ledger has no named accounts.

    Args:
        connection: Opened for reading.
        path: The ledger, for messages.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(path):
        targets = read_targets(connection)
        by_account = count_by_account(connection).by_account
        absent: dict[str, int] = dict(connection.execute(query("count_absent_by_account")).fetchall())
    names = sorted({*targets, *by_account, *absent})
    if names in ([], [""]):
        return ()
    nothing = dict.fromkeys(map(str, ROW_OUTCOMES), 0)
    return tuple(
        AccountStatus(
            account=name,
            target=targets.get(name),
            outcomes=by_account.get(name, nothing),
            absent=absent.get(name, 0),
        )
        for name in names
    )


def read_account_traffic(
    connection: sqlite3.Connection, ledger: Path, windows: Sequence[Window]
) -> Iterator[AccountTraffic]:
    """Yield what some runs sent, by window, account and action.

    Raises:
        LedgerError: The ledger can't be read.
    """
    asked = {"runs": orjson.dumps([window.run_id for window in windows]).decode()}
    with translated(ledger):
        for window, account, action, *figures in connection.execute(query("account_traffic"), asked):
            yield AccountTraffic(window, account, Action(action), *figures)
