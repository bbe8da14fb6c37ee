"""Read what syncs decided, changed and left, module by module, for the person who checks in the morning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["ModuleChange", "StayingModules", "SyncRecord", "read_sync"]


class ModuleChange(NamedTuple):
    """A change of one module: one that waits, or one that was sent."""

    account: str
    """Empty where no accounts are named."""

    product_key: str
    module_name: str
    kind: str
    """A `ChangeKind`, or ``adopt``."""

    found_alias: str | None
    found_desc: str | None
    wanted_alias: str | None
    wanted_desc: str | None
    line: int | None
    """``None``: no row asks for it."""

    withheld: str | None
    """Why it waits; ``None``: it was sent."""


class StayingModules(NamedTuple):
    """Modules that this ledger owns, that left the file, and that stay for one reason."""

    reason: str
    modules: int
    product_key: str
    """Of an example, like the next two."""

    module_name: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecord:
    """What the syncs of a ledger left for you to look at."""

    waiting: tuple[ModuleChange, ...]
    """The first of each kind that wait for approval."""

    changed_by: str | None
    """The last run that updated or deleted anything; ``None``: none did."""

    changed: tuple[ModuleChange, ...]
    """The first updates and deletes that it sent."""

    surplus: tuple[StayingModules, ...]


def read_sync(connection: sqlite3.Connection, ledger: Path, *, changes: int) -> SyncRecord:
    """Return what syncs left.

    Args:
        connection: Opened for reading.
        ledger: Its path, for messages.
        changes: At most so many of each kind that wait, and so many that were sent.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        last = connection.execute(query("last_changing_run"), {"run": ""}).fetchone()
        made = {"run": last[0] if last else "", "changes": changes}
        return SyncRecord(
            waiting=_changes(connection, "waiting_changes", {"changes": changes}),
            changed_by=last[0] if last else None,
            changed=_changes(connection, "changes_made", made),
            surplus=tuple(StayingModules(*record) for record in connection.execute(query("surplus_by_reason"))),
        )


def _changes(connection: sqlite3.Connection, name: str, asked: dict[str, object]) -> tuple[ModuleChange, ...]:
    return tuple(ModuleChange(*record) for record in connection.execute(query(name), asked))
