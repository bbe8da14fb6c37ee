"""Read which product of the target each product of a source becomes, and refuse an incomplete or ambiguous map.

A map is a table that `bulk map` writes and a person completes. Each of its rows names a product of the source, the
product of the target, and both platforms, so you may remove rows, sort them, and join them with those of other maps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bulk.errors import InputError
from bulk.rows.columns import listed
from bulk.rows.fields import PRODUCTS, normal
from bulk.rows.problems import Problem
from bulk.rows.reading import open_input
from bulk.rows.record import object_of, taken_apart
from bulk.rows.validate import Rules
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk.model import ValidRow
    from bulk.rows.reading import RowReader

__all__ = ["MAP_COLUMNS", "Place", "ProductMap", "read_product_map"]

MAP_COLUMNS = (
    "Account",
    "ProductKey",
    "ProductName",
    "TargetAccount",
    "TargetProductKey",
    "TargetProductName",
    "MatchedBy",
    "Source",
    "Target",
)
"""Columns of the file, in its order. ``Source`` and ``Target`` are platforms, named as in summaries."""

_MOST_NAMED = 20
_TARGET_KEY = "targetproductkey"


class Place(NamedTuple):
    """A product of the target."""

    account: str
    """Empty: the map names no accounts of the target."""

    product_key: str


class _Entry(NamedTuple):
    line: int
    account: str
    product_key: str
    place: Place
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ProductMap:
    """Which product of the target each product of the source becomes: never two the same one."""

    path: str
    by_product: Mapping[tuple[str, str], Place]
    """(Account, ProductKey) of the source → product of the target."""

    accounts_of: Mapping[str, tuple[str, ...]]
    """ProductKey of the source → accounts of the source that have it."""

    targets: Mapping[str, frozenset[str]]
    """Account of the target → its platform, as all rows that name one say."""

    sources: frozenset[tuple[str, str]]
    """Accounts of the source and their platforms, if known."""

    on_the_source: frozenset[str] = frozenset()
    """Target's ProductKeys on a platform of the source: there, a ProductKey of the source is the same product."""

    def place_of(self, account: str, product_key: str) -> Place | str:
        """Return the product of the target; a text: why there is none.

        Args:
            account: Account of the source, as in the row; empty: the row names none.
            product_key: ProductKey of the source.
        """
        accounts = self.accounts_of.get(product_key, ())
        if account not in accounts and (len(accounts) > 1 or (account and "" not in accounts)):
            whose = (
                f"for account {account!r}" if account else "alone: it is in several accounts, and the row names none"
            )
            return f"{self.path} {whose}"
        place = (
            self.by_product.get((account if account in accounts else accounts[0], product_key)) if accounts else None
        )
        return place or self.path

    def refuse_own_product(self, product_key: str, *, file: str, line: int) -> None:
        """Refuse an input with a product that is a target of the map, and that the map itself does not move.

        Args:
            product_key: ProductKey of the source, which the map does not have.
            file: The input.
            line: Its line with that product.

        Raises:
            InputError: The input is refused.
        """
        if product_key in self.on_the_source:
            why = (
                f"product {product_key!r} is one of the source, and {self.path} moves another product's modules into "
                "it: correct TargetProductKey there"
            )
            raise InputError(why, file=file, line=line)

    def refuse_other_targets(self, targets: Mapping[str, str]) -> None:
        """Refuse a job whose platform is not the map's target, or is its source.

        Args:
            targets: Account of the job → platform; one account without a name if the settings name none.

        Raises:
            InputError: The job is refused.
        """
        for account in sorted({place.account for place in self.by_product.values()}):
            self._refuse_target(account, targets)

    def _refuse_target(self, account: str, targets: Mapping[str, str]) -> None:
        told = self.targets.get(account, frozenset())
        here = targets.get(account)
        if here is None:
            why = _unknown_account(account, targets)
        elif self._is_source(account, here):
            why = f"it moves modules away from {here}, and this job would write to that platform; choose the target"
        elif own := self._own_product(account, here):
            why = f"it moves modules away from product {own} of {here}, and would write to it: correct its line"
        elif not told:
            why = f"no row says in Target what account {account!r} is: write {here!r} there if that is meant"
        elif told != {here}:
            others = " and ".join(sorted(told - {here}))
            why = f"it is for {others}, and this job is for {here}; choose that target, or make a map for this one"
        else:
            return
        raise InputError(why, file=self.path)

    def _is_source(self, account: str, here: str) -> bool:
        """Say whether a target account is, or may be, one of the source: on one platform only their names differ."""
        return any(platform == here and not (own and account and own != account) for own, platform in self.sources)

    def _own_product(self, account: str, here: str) -> str | None:
        """Return a target's product that is also the source's: on one platform, one ProductKey is one product."""
        if not any(platform == here for _, platform in self.sources):
            return None
        places = (place for place in self.by_product.values() if place.account == account)
        return next((place.product_key for place in places if place.product_key in self.accounts_of), None)


def _unknown_account(account: str, targets: Mapping[str, str]) -> str:
    if not account:
        return "its rows have no TargetAccount, and the settings name accounts: write one into each row"
    if set(targets) == {""}:
        return f"TargetAccount {account!r} is in it, and the settings name no accounts ([accounts.NAME] in bulk.toml)"
    return f"TargetAccount {account!r} is not in the settings; the accounts are {listed(tuple(targets))}"


@dataclass(slots=True)
class _Reading:
    """What has been read of a map so far."""

    path: str
    rules: Rules
    entries: list[_Entry] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    sources: dict[tuple[str, str], int] = field(default_factory=dict)
    places: dict[Place, int] = field(default_factory=dict)

    def add(self, row: ValidRow, cells: Mapping[str, str]) -> None:
        """Add a row, or what is wrong with it."""
        line, key = row[0], row[1]
        account, target_key = cells.get("account", ""), cells.get(_TARGET_KEY, "")
        place = Place(cells.get("targetaccount", ""), target_key)
        problem = self._problem(line, (account, key), place)
        if problem:
            self.faults.append((line, problem))
            return
        self.entries.append(_Entry(line, account, key, place, cells.get("source", ""), cells.get("target", "")))

    def _problem(self, line: int, product: tuple[str, str], place: Place) -> str | None:
        account, key = product
        named = f"ProductKey {key!r}" + (f" of account {account!r}" if account else "")
        first = self.sources.setdefault(product, line)
        if first != line:
            return f"{named} is in line {first} already"
        if not place.product_key:
            return f"{named} has no TargetProductKey: write the target's, or take the line out"
        judged = self.rules.judge((place.product_key, "module", "", ""))
        if isinstance(judged, Problem):
            return judged.text.replace("ProductKey", "TargetProductKey", 1)
        first = self.places.setdefault(place, line)
        if first != line:
            return f"TargetProductKey {place.product_key!r} is in line {first} already: two products can't become one"
        return None


def read_product_map(path: str, settings: ReadSettings) -> ProductMap:
    """Read a map.

    Args:
        path: Path of a table as `bulk map` writes it; it may have been saved as a workbook.
        settings: They say whether to accept keys that look spoiled.

    Raises:
        InputError: It can't be read, a product has no target, or two become one; the message names the lines.
    """
    own = ReadSettings(lenient_keys=settings.lenient_keys)
    reading = _Reading(path, Rules.of(own))
    with open_input(path, own, sought=PRODUCTS) as reader:
        columns = _Columns(reader)
        for batch in reader.batches():
            reading.faults += [(line, problem) for line, _, _, problem, _ in batch.invalid]
            for row in batch.valid:
                reading.add(row, columns.of(row))
    _refuse(reading)
    return _made(reading)


def _made(reading: _Reading) -> ProductMap:
    accounts: dict[str, tuple[str, ...]] = {}
    targets: dict[str, frozenset[str]] = {}
    for entry in reading.entries:
        accounts[entry.product_key] = (*accounts.get(entry.product_key, ()), entry.account)
        if entry.target:
            targets[entry.place.account] = targets.get(entry.place.account, frozenset()) | {entry.target}
    platforms = frozenset(entry.source for entry in reading.entries if entry.source)
    return ProductMap(
        reading.path,
        {(entry.account, entry.product_key): entry.place for entry in reading.entries},
        accounts,
        targets,
        frozenset((entry.account, entry.source) for entry in reading.entries if entry.source),
        frozenset(
            entry.place.product_key
            for entry in reading.entries
            if platforms & targets.get(entry.place.account, frozenset())
        ),
    )


def _refuse(reading: _Reading) -> None:
    if reading.faults:
        lines = [f"line {line}: {problem}" for line, problem in sorted(reading.faults)[:_MOST_NAMED]]
        more = [f"and {len(reading.faults) - _MOST_NAMED:,} more"] if len(reading.faults) > _MOST_NAMED else []
        message = "\n  ".join(["the map leaves open what becomes of products, so nothing was sent:", *lines, *more])
        raise InputError(message, file=reading.path)
    if not reading.entries:
        raise InputError("no product is in it", file=reading.path)


class _Columns:
    """Finds a map's cells by its columns' names, in any order and letter case."""

    def __init__(self, reader: RowReader) -> None:
        self._is_json = reader.shape.format == "jsonl"
        self._names = [normal(name) for name in reader.shape.header]
        if not self._is_json and _TARGET_KEY not in self._names:
            raise InputError(
                "it has no column TargetProductKey, so it is no map; `bulk map EXPORT -o MAP` writes one",
                file=reader.name,
            )

    def of(self, row: ValidRow) -> dict[str, str]:
        """Return a row's cells by the normal form of their columns' names."""
        return dict(self._pairs(row))

    def _pairs(self, row: ValidRow) -> Iterator[tuple[str, str]]:
        if self._is_json:
            for name, value in (object_of(row[5]) or {}).items():
                yield normal(name), "" if value is None else str(value).strip()
            return
        for name, cell in zip(self._names, taken_apart(row[5], row[1:5]), strict=False):
            yield name, cell.strip()
