"""Bind a ledger to its targets, one for each account, and move records when an account has a new name.

The first request that the platform accepts binds an account to its target for good. Until then the target may be a
mistake, and can be corrected. A name that left the settings keeps its records; a new name of the same target takes them
over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk.errors import LedgerTargetError
from bulk.ledger.sql import query, statements
from bulk.model import Dialect, Target
from bulk.shell import shell_join

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Takeover", "bind", "check_targets", "read_targets", "take_over"]

NO_ACCOUNT = ""
"""The one account of a job that names none."""

_NAMED = 3
"""Accounts that a message names at most."""


class Takeover(NamedTuple):
    """Records of one account that another one has now."""

    from_account: str
    to_account: str
    keys: int
    """Modules among them."""


def read_targets(connection: sqlite3.Connection) -> dict[str, Target]:
    """Return the target of each account that the ledger knows, also in its first layout; none: it is still new."""
    found = connection.execute("SELECT * FROM target ORDER BY rowid")
    names = [name for name, *_ in found.description]
    noted = (dict(zip(names, record, strict=True)) for record in found)
    return {
        each.get("account", NO_ACCOUNT): Target(Dialect(each["dialect"]), each["endpoint"], each["instance_id"])
        for each in noted
    }


def check_targets(connection: sqlite3.Connection, path: Path, targets: Mapping[str, Target]) -> None:
    """Refuse a ledger that is not this job's. Nothing is changed.

    Args:
        connection: Opened for reading or writing, in any layout.
        path: The ledger, for messages.
        targets: Account → target, of all accounts that the settings name.

    Raises:
        LedgerTargetError: An account is bound to another target, or no account of the job has a target of the ledger,
            or the ledger is bound to several accounts and the job names none.
    """
    noted = read_targets(connection)
    for account, target in targets.items():
        if noted.get(account, target) != target and _is_bound(connection, account):
            raise LedgerTargetError(f"{path}: {_of_another_target(account, noted[account], target)}")
    if NO_ACCOUNT in targets:
        _refuse_several(connection, path, noted)
    if any(noted.get(account) == target for account, target in targets.items()):
        return
    strange = [account for account in noted if account not in targets and _is_bound(connection, account)]
    if strange and {noted[account] for account in strange}.isdisjoint(targets.values()):
        raise LedgerTargetError(f"{path}: {_of_strangers(strange, noted, targets)}")


def bind(connection: sqlite3.Connection, path: Path, targets: Mapping[str, Target]) -> tuple[Takeover, ...]:
    """Note the targets. Give the records of a name that is gone to the new name of its target, if there is only one.

    One transaction. If several names are gone or new, the rows of the input say which account each product belongs to:
    see `take_over`.

    Raises:
        LedgerTargetError: As of `check_targets`; the ledger is as it was.
    """
    if read_targets(connection) == targets:
        return ()
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_targets(connection, path, targets)
        noted = read_targets(connection)
        renamed = _renamed(connection, noted, targets)
        taken = [_take_over(connection, former, heir, whole=True) for former, heir in renamed]
        connection.executemany(query("forget_target"), [(former,) for former, _ in renamed])
        changed = [(name, *_columns(target)) for name, target in targets.items() if noted.get(name) != target]
        connection.executemany(query("note_target"), changed)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return tuple(taken)


def take_over(connection: sqlite3.Connection, names: Iterable[str]) -> tuple[Takeover, ...]:
    """Move records of names that are gone, for products that the rows give to another account of the same target.

    A ProductKey is one product of its target; the input says which account it belongs to now.

    Args:
        connection: A connection for writing, within a transaction in which the rows were read.
        names: All accounts that the settings name.
    """
    names = set(names)
    noted = read_targets(connection)
    pairs = [
        (former, heir)
        for former, target in noted.items()
        if former not in names
        for heir in noted
        if heir in names and noted[heir] == target
    ]
    taken = [_take_over(connection, former, heir, whole=False) for former, heir in pairs]
    return tuple(takeover for takeover in taken if takeover.keys)


def _renamed(
    connection: sqlite3.Connection, noted: Mapping[str, Target], targets: Mapping[str, Target]
) -> list[tuple[str, str]]:
    """Return old name → new name, for each target with exactly one name that is gone and one that is new."""
    new = [name for name, target in targets.items() if noted.get(name) != target]
    gone = [name for name in noted if name not in targets]
    renamed = []
    for target in {targets[name] for name in new}:
        heirs = [name for name in new if targets[name] == target]
        formers = [name for name in gone if noted[name] == target]
        # An account that was never bound has no records that could conflict with a bound account's.
        formers = [name for name in formers if _is_bound(connection, name)] or formers
        if len(heirs) == len(formers) == 1:
            renamed.append((formers[0], heirs[0]))
    return renamed


def _take_over(connection: sqlite3.Connection, former: str, heir: str, *, whole: bool) -> Takeover:
    handed = {"former": former, "heir": heir, "whole": whole}
    (keys,) = connection.execute(query("count_handed_over"), handed).fetchone()
    if keys or whole:
        for name in statements("take_over_"):
            connection.execute(query(name), handed)
    return Takeover(former, heir, keys)


def _is_bound(connection: sqlite3.Connection, account: str) -> bool:
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout == 1:
        return bool(connection.execute(query("is_bound_of_layout_1")).fetchone()[0])
    return bool(connection.execute(query("is_bound"), {"account": account}).fetchone()[0])


def _refuse_several(connection: sqlite3.Connection, path: Path, noted: Mapping[str, Target]) -> None:
    named = [account for account in noted if account != NO_ACCOUNT]
    bound = [account for account in named if _is_bound(connection, account)] if len(named) > 1 else []
    if len(bound) > 1:
        raise LedgerTargetError(
            f"{path}: this ledger has the records of accounts {_listed(bound)}, and this run names no accounts: "
            "run it where bulk.toml names them, or name another ledger with --ledger"
        )


def _way_to(noted: Target) -> str:
    options = shell_join(noted.sandbox_options)
    return f"add {options}" if options else "run on the ledger's own platform"


def _of_another_target(account: str, noted: Target, target: Target) -> str:
    if account == NO_ACCOUNT:
        return (
            f"this ledger belongs to {noted}, and this run is for {target}: "
            f"name another ledger with --ledger, or {_way_to(noted)}"
        )
    return (
        f"account {account!r} of this ledger belongs to {noted}, and the settings give it {target}: "
        "give it its own target again, or another name if it is another account, or name another ledger with --ledger"
    )


def _of_strangers(strange: list[str], noted: Mapping[str, Target], targets: Mapping[str, Target]) -> str:
    theirs = ", ".join(dict.fromkeys(str(noted[account]) for account in strange[:_NAMED]))
    ours = ", ".join(dict.fromkeys(str(target) for target in list(targets.values())[:_NAMED]))
    if NO_ACCOUNT in targets or strange == [NO_ACCOUNT]:
        return (
            f"this ledger belongs to {theirs}, and this run is for {ours}: "
            f"name another ledger with --ledger, or {_way_to(noted[strange[0]])}"
        )
    return (
        f"this ledger belongs to accounts {_listed(strange)} ({theirs}), and no account of this run has a target of "
        f"theirs (it is for {ours}): name another ledger with --ledger, or add their accounts to the settings"
    )


def _listed(accounts: list[str]) -> str:
    more = len(accounts) - _NAMED
    return ", ".join(map(repr, accounts[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def _columns(target: Target) -> tuple[str, str, str | None]:
    return target.dialect.value, target.endpoint, target.instance_id
