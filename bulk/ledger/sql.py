"""The ledger's SQL, which is in `.sql` files: `schema.sql` as a whole, `queries.sql` by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

__all__ = ["SCHEMA_VERSION", "insert_many", "migrations", "query", "schema", "statements"]

_NUMBERED = re.compile(r"\?(\d+)")
_MIGRATION = re.compile(r"\d{4}_\w+\.sql")

SCHEMA_VERSION = 2
"""The layout of `schema.sql`. Kept in SQLite's ``user_version``."""


@cache
def schema() -> str:
    """Return the script that lays out an empty ledger."""
    return _read("schema.sql")


@cache
def migrations() -> Mapping[int, str]:
    """Return the upgrade scripts: number of the layout that each one leads to → script."""
    found = (file for file in _folder().joinpath("migrations").iterdir() if _MIGRATION.fullmatch(file.name))
    return {int(file.name.partition("_")[0]): file.read_text(encoding="utf-8") for file in found}


def query(name: str) -> str:
    """Return the statement under ``-- name: <name>``.

    Raises:
        KeyError: There is none.
    """
    return _queries()[name]


@cache
def statements(prefix: str) -> tuple[str, ...]:
    """Return the names with this beginning, in their order: the steps of one change."""
    return tuple(sorted(name for name in _queries() if name.startswith(prefix)))


@cache
def _query_of_many(name: str, records: int) -> str:
    """Return a named insert statement, changed to insert so many records. It must have a record's values on one line.

    If the values are numbered, so that one may be used twice, the numbers go on from record to record.
    """
    head, rest = query(name).split("VALUES ", 1)
    values, *then = rest.split("\n", 1)
    width = max(map(int, _NUMBERED.findall(values)), default=0)
    all_values = (_numbered_from(width * record, values) for record in range(records))
    return "\n".join([f"{head}VALUES {', '.join(all_values)}", *then])


def _numbered_from(first: int, values: str) -> str:
    return _NUMBERED.sub(lambda found: f"?{first + int(found[1])}", values)


def insert_many(
    connection: sqlite3.Connection, name: str, records: Sequence[Sequence[object]], *, together: int
) -> None:
    """Insert records by the statement under a name, up to ``together`` in one: a power of two."""
    done = 0
    while left := len(records) - done:
        while together > left:
            together //= 2  # so only few sizes are prepared, and every statement is soon in SQLite's cache
        values = tuple(chain.from_iterable(records[done : done + together]))
        connection.execute(_query_of_many(name, together), values)
        done += together


@cache
def _queries() -> dict[str, str]:
    _, *blocks = _read("queries.sql").split("-- name: ")
    named = (block.split("\n", 1) for block in blocks)
    return {name.strip(): text.strip().rstrip(";") for name, text in named}


def _read(name: str) -> str:
    return _folder().joinpath(name).read_text(encoding="utf-8")


def _folder() -> Traversable:
    return files("bulk.ledger")
