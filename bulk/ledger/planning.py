"""A sync's decisions, kept in the ledger: written product by product, and read by the guard and for the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bulk.ledger.lanes import names_of_ours, row_in_doubt
from bulk.ledger.sql import query
from bulk.ledger.storage.database import closed_on_failure, open_beside_writer, translated
from bulk.ledger.times import iso_utc
from bulk.ledger.walking import ProductWalk
from bulk.model import NO_LINE, Change, ChangeKind, Lane, OtaModule, Row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "ADOPT",
    "MAX_AGE_S",
    "Figures",
    "OpenSwap",
    "PlannedEntry",
    "PlannedWork",
    "ProductWork",
    "WithheldReader",
    "WorkReader",
    "open_swaps",
    "plan_path",
    "read_figures",
    "read_plan",
]

ADOPT = "adopt"
"""Kind of an adoption: no request is sent."""

MAX_AGE_S = 24 * 3_600.0
"""How old a plan may be when it is applied, unless you say otherwise."""


class PlannedEntry(NamedTuple):
    """One planned change, as the ledger and a plan's file have it."""

    account: str
    product_key: str
    module_name: str
    kind: str
    """A `ChangeKind`, or `ADOPT`."""

    wanted_alias: str | None
    wanted_desc: str | None
    found_name: str | None
    """``None``: the module was not there."""

    found_alias: str | None
    found_desc: str | None
    line: int | None
    withheld: str | None
    frees_slot_for: str | None

    def asks_the_same(self, other: PlannedEntry) -> bool:
        """Say whether two entries want the same of the same module, found in the same state."""
        return self[1:9] == other[1:9]


class PlannedWork(NamedTuple):
    """A planned change that may be sent."""

    row: Row
    change: Change
    frees_slot_for: str | None
    lifted: str | None = None
    """Why it waited, until a person approved it."""

    in_place_of: tuple[OtaModule, ...] = ()
    """For a create: the module that an earlier night deleted for it, and that is not there any more."""


class OpenSwap(NamedTuple):
    """A module that was deleted for a create that is not known to have succeeded yet."""

    module: OtaModule
    """As it was found before."""

    frees_slot_for: str
    again: Row | None
    """A create to restore it was sent, and its outcome is in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductWork(Lane):
    """A product with changes that may be sent."""

    work: tuple[PlannedWork, ...] = ()


class Figures(NamedTuple):
    """What the guard asks of an account."""

    updates: int
    deletes: int
    updates_sent: int
    """Modules that were updated or adopted since a given time, not approved and not planned again."""

    deletes_sent: int
    managed: int
    owned: int
    rows: int
    products: int
    good_rows: int | None
    """Of the last good input; ``None``: there was none."""

    good_products: int | None


class WorkReader(ProductWalk):
    """Walks the products with changes that may be sent. Its methods block; call them one at a time."""

    def __init__(self, path: Path, *, account: str, run_id: str) -> None:
        """Open the ledger beside its writer and find the products.

        Raises:
            LedgerError: It can't be read.
        """
        super().__init__(path)
        self._asked = {"account": account, "run_id": run_id}
        with self._listing() as connection:
            connection.execute(f"CREATE TEMP TABLE products AS {query('planned_products')}", self._asked)
            counted = connection.execute("SELECT count(*), coalesce(sum(changes), 0) FROM products").fetchone()
            self.products, self.changes = map(int, counted)
            """How many products it walks through, and how many changes they have."""

    def next_lanes(self, products: int = 64) -> list[ProductWork]:
        """Return the next products; an empty list: that was all.

        Raises:
            LedgerError: The ledger can't be read.
        """
        with translated(self._path):
            keys = self._next_keys(products)
            return self._lanes(keys) if keys else []

    def _lanes(self, product_keys: list[str]) -> list[ProductWork]:
        work: dict[str, list[PlannedWork]] = {}
        asked = self._asked | {"product_keys": orjson.dumps(product_keys).decode()}
        deleted_for = _deleted_for(self._connection, asked)
        for key, *record in self._connection.execute(query("planned_work"), asked):
            planned = _work(key, *record)
            if deleted_for and planned.change.kind is ChangeKind.CREATE:
                planned = planned._replace(in_place_of=tuple(deleted_for.get(planned.change.wanted.key, ())))
            work.setdefault(key, []).append(planned)
        ours = names_of_ours(self._connection, asked)
        return [
            ProductWork(
                product_key=key,
                rows=tuple(each.row for each in of_product),
                ours=ours.get(key, ()),
                work=tuple(of_product),
            )
            for key, of_product in work.items()
        ]


def plan_path(ledger: Path, plan_id: str) -> Path:
    """Return where the plan of a run is written, unless you name another place."""
    return ledger.with_name(f"{ledger.name}.plan-{plan_id[:12]}.jsonl")


class WithheldReader:
    """Walks the rows whose change needs approval, if the ledger does not say so yet."""

    def __init__(self, path: Path, *, account: str, run_id: str) -> None:
        """Open the ledger beside its writer.

        Raises:
            LedgerError: It can't be read.
        """
        self._path = path
        self._asked = {"account": account, "run_id": run_id}
        self._after = 0
        self._connection = open_beside_writer(path)

    def next_rows(self) -> list[tuple[Row, OtaModule | None, str]]:
        """Return the next rows in file order, with the module that was found and why they wait; none: that was all.

        Raises:
            LedgerError: The ledger can't be read.
        """
        with translated(self._path):
            records = self._connection.execute(query("withheld_rows"), self._asked | {"after": self._after}).fetchall()
        if records:
            self._after = records[-1][0]
        return [_withheld_row(*record) for record in records]

    def close(self) -> None:
        """Close the ledger."""
        self._connection.close()


def open_swaps(connection: sqlite3.Connection, asked: Mapping[str, str]) -> Iterator[OpenSwap]:
    """Yield modules of some products that were deleted for creates, until one of the two is on the platform."""
    for key, name, alias, desc, frees_slot_for, attempts, in_doubt, since in connection.execute(
        query("open_swaps"), asked
    ):
        module = OtaModule(key, name, alias or "", desc or "")
        again = row_in_doubt(NO_LINE, module, attempts, ChangeKind.CREATE, since) if in_doubt else None
        yield OpenSwap(module, frees_slot_for, again)


def _deleted_for(connection: sqlite3.Connection, asked: Mapping[str, str]) -> dict[tuple[str, str], list[OtaModule]]:
    found: dict[tuple[str, str], list[OtaModule]] = {}
    for module, frees_slot_for, _ in open_swaps(connection, asked):
        found.setdefault((module.product_key, frees_slot_for.casefold()), []).append(module)
    return found


def read_figures(path: Path, *, account: str, run_id: str, sent_since: float) -> Figures:
    """Count what the guard needs.

    Args:
        path: The ledger.
        account: The modules' account.
        run_id: The sync that made the plan.
        sent_since: Claims from this time on count as this night's, in seconds since the epoch.

    Raises:
        LedgerError: The ledger can't be read.
    """
    connection = open_beside_writer(path)
    with closed_on_failure(connection), translated(path):
        asked = {"account": account, "run_id": run_id, "since": iso_utc(sent_since)}
        counted = connection.execute(query("guard_figures"), asked).fetchone()
    connection.close()
    return Figures(*counted)


def read_plan(
    connection: sqlite3.Connection, path: Path, *, run_id: str, kind: str | None = None, only_withheld: bool = False
) -> Iterator[PlannedEntry]:
    """Yield the changes of a plan, or those of one kind, product by product.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(path):
        asked = {"run_id": run_id, "kind": kind, "only_withheld": only_withheld}
        for record in connection.execute(query("planned_entries"), asked):
            yield PlannedEntry(*record)


def _work(  # noqa: PLR0917 - the columns of its query
    key: str,
    name: str,
    kind: str,
    wanted_alias: str | None,
    wanted_desc: str | None,
    found_name: str | None,
    found_alias: str | None,
    found_desc: str | None,
    found_made: str | None,
    line: int | None,
    frees_slot_for: str | None,
    lifted: str | None,
    row_alias: str | None,
    row_desc: str | None,
    attempts: int,
    in_doubt: int,
    claimed: str | None,
    since: str | None,
) -> PlannedWork:
    found = (
        None
        if found_name is None
        else OtaModule(key, found_name, found_alias, found_desc, orjson.loads(found_made or "null"))
    )
    change_kind = ChangeKind(kind)
    wanted = OtaModule(key, name, wanted_alias, wanted_desc)
    if change_kind is ChangeKind.DELETE and found is not None:
        wanted = found
    module = wanted if line is None else OtaModule(key, name, row_alias, row_desc)
    of_line = NO_LINE if line is None else line
    row = row_in_doubt(of_line, module, attempts, claimed, since) if in_doubt else Row(of_line, module, attempts)
    return PlannedWork(row, Change(change_kind, wanted, found, line), frees_slot_for, lifted)


def _withheld_row(  # noqa: PLR0917 - the columns of its query
    line: int,
    key: str,
    name: str,
    alias: str | None,
    desc: str | None,
    kind: str,
    withheld: str,
    found_alias: str | None,
    found_desc: str | None,
    attempts: int,
    in_doubt: int,
    claimed: str | None,
    since: str | None,
) -> tuple[Row, OtaModule | None, str]:
    module = OtaModule(key, name, alias, desc)
    row = row_in_doubt(line, module, attempts, claimed, since) if in_doubt else Row(line, module, attempts)
    found = OtaModule(key, name, found_alias, found_desc) if kind == ChangeKind.UPDATE else None
    return row, found, withheld
