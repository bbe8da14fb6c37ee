"""Read a ledger's rows and their outcomes, one record for each row, also while a run is at work."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bulk.ledger.binding import read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_for_reading, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from bulk.model import Outcome

__all__ = [
    "Result",
    "at_one_moment",
    "names_accounts",
    "open_for_reading",
    "read_input",
    "read_input_name",
    "read_results",
    "read_results_without_row",
]


class Result(NamedTuple):
    """A row and its present state."""

    line: int
    """0: no row asks for the module."""

    record: str
    """The row as it was read, in the form that `bulk.rows` stores, which reads it together with `values`.

    For a module without a row: the record of another row of its product, or empty.
    """

    product_key: str | None
    module_name: str | None
    alias_name: str | None
    desc: str | None
    outcome: str
    code: str | None
    message: str | None
    request_id: str | None
    attempts: int
    recovered: int
    settled_at: str | None
    account: str | None
    """Its account; ``None``: an invalid row that does not say; empty: no accounts are named."""

    @property
    def values(self) -> tuple[str | None, str | None, str | None, str | None]:
        """The row's fields; all absent where it is invalid."""
        return self.product_key, self.module_name, self.alias_name, self.desc


@contextmanager
def at_one_moment(ledger: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that sees the ledger as it is at the first query, whatever a live run commits meanwhile.

    While the block lasts, the writer's log can't be emptied and grows.

    Raises:
        LedgerError: There is no such ledger, or it can't be read.
    """
    with closing(open_for_reading(ledger)) as connection:
        with translated(ledger):
            connection.execute("BEGIN")
        yield connection


def read_input(connection: sqlite3.Connection, ledger: Path) -> str | None:
    """Return the JSON that says how the input's records are laid out; ``None``: no input was read yet.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        record = connection.execute("SELECT shape FROM input").fetchone()
    return record[0] if record else None


def names_accounts(connection: sqlite3.Connection, ledger: Path) -> bool:
    """Whether the ledger's accounts have names.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        return any(read_targets(connection))


def read_input_name(ledger: Path) -> str | None:
    """Return the path of the input that was read last, as it was given; ``None``: no input was read yet.

    Raises:
        LedgerError: There is no such ledger, or it can't be read.
    """
    with closing(open_for_reading(ledger)) as connection, translated(ledger):
        record = connection.execute("SELECT name FROM input").fetchone()
    return record[0] if record else None


def read_results_without_row(
    connection: sqlite3.Connection, ledger: Path, *, outcomes: Collection[Outcome] | None = None
) -> Iterator[Result]:
    """Yield the modules that this ledger owned and no row asks for. Each has the record of another row of its product.

    Raises:
        LedgerError: The ledger can't be read.
    """
    wanted = None if outcomes is None else orjson.dumps(sorted(outcomes)).decode()
    with translated(ledger):
        for module in connection.execute(query("results_without_row"), {"outcomes": wanted}):
            yield Result(0, *module)


def read_results(
    connection: sqlite3.Connection,
    ledger: Path,
    *,
    outcomes: Collection[Outcome] | None = None,
    limit: int = -1,
) -> Iterator[Result]:
    """Yield the rows in the input's order.

    Args:
        connection: Opened for reading.
        ledger: Its path, for messages.
        outcomes: Only rows with these; ``None``: all.
        limit: At most so many; -1: all.

    Raises:
        LedgerError: The ledger can't be read.
    """
    wanted = None if outcomes is None else orjson.dumps(sorted(outcomes)).decode()
    with translated(ledger):
        for row in connection.execute(query("results"), {"outcomes": wanted, "limit": limit}):
            yield Result(*row)
