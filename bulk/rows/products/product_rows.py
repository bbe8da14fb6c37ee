"""Rows of products: the cells that they take from the product, and how they are written as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from bulk.errors import InputError
from bulk.rows.columns import listed
from bulk.rows.fields import OF_MODULE, SPELLINGS, Field, normal
from bulk.rows.record import object_of, taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bulk.model import ValidRow
    from bulk.rows.reading import RowReader

__all__ = ["ACCOUNT", "ENCODERS", "KEPT", "Encoder", "Kept", "Module", "as_cells", "is_account_column"]

ACCOUNT, PRODUCT_NAME = "Account", "ProductName"
KEPT = {
    **dict.fromkeys(SPELLINGS[Field.ACCOUNT], ACCOUNT),
    "productname": PRODUCT_NAME,
    "产品名称": PRODUCT_NAME,
    "产品名": PRODUCT_NAME,
}
"""Columns of a product that are copied to its rows, by the normal form of their names."""


def is_account_column(name: str) -> bool:
    """Say whether a column's name means the account of its rows."""
    return KEPT.get(normal(name)) == ACCOUNT


class Module(NamedTuple):
    """A module that every product gets."""

    name: str
    alias: str
    desc: str


class Kept:
    """Takes from a product the cells to copy to its rows."""

    def __init__(self, reader: RowReader) -> None:
        """Find the columns.

        Raises:
            InputError: Two of them are the same.
        """
        found = reader.found
        self._is_json = found.format == "jsonl"
        columns = [*found.carried] if self._is_json else [*reader.shape.header]
        taken = set(found.columns.values())
        self._places = [
            (at, KEPT[normal(column)])
            for at, column in enumerate(columns)
            if normal(column) in KEPT and column not in taken
        ]
        self._names = {columns[at]: name for at, name in self._places}
        self.columns = frozenset(name for _, name in self._places)
        """Those that this input has, by our names."""

        if len(self.columns) < len(self._places):
            named = [columns[at] for at, _ in self._places]
            raise InputError(f"{listed(named)}: two of them mean the same; rename one", file=reader.name)

    def of(self, row: ValidRow) -> dict[str, str] | str:
        """Return the texts by our names; a text: what is wrong with them."""
        if not self._is_json and not self._places:
            return {}
        cells = self._of_json(row[5]) if self._is_json else self._of_cells(row)
        if any("\0" in text for text in cells.values()):
            return "a cell holds a NUL character (U+0000)"
        late = [name for name in cells if name not in self.columns]
        return f"{late[0]} is not in the first objects: write it in the first one too" if late else cells

    def _of_cells(self, row: ValidRow) -> dict[str, str]:
        cells = taken_apart(row[5], row[1:5])
        return {name: cells[at].strip() if at < len(cells) else "" for at, name in self._places}

    def _of_json(self, record: str) -> dict[str, str]:
        own = object_of(record) or {}
        found = dict.fromkeys(self.columns, "")
        for key, value in own.items():
            name = self._names.get(key) or KEPT.get(normal(key))
            if name:
                found[name] = _as_text(value)
        return found


class Encoder(Protocol):
    """Writes products' rows in one format."""

    def header(self) -> bytes:
        """Return the bytes before the first row."""
        ...

    def rows(self, key: str, cells: Mapping[str, str]) -> bytes:
        """Return a product's rows.

        Args:
            key: The ProductKey.
            cells: Cells that `Kept` took from the product.
        """
        ...


class _CsvEncoder:
    """Writes products' rows as CSV. The part that all products share is encoded only once."""

    def __init__(self, modules: Sequence[Module], kept: Collection[str]) -> None:
        self._kept = kept
        self._has_name = PRODUCT_NAME in kept
        self._tails = [f",{as_cells(module)}" for module in modules]

    def header(self) -> bytes:
        account = [ACCOUNT] if ACCOUNT in self._kept else []
        name = [PRODUCT_NAME] if self._has_name else []
        return f"{','.join([*account, *OF_MODULE, *name])}\n".encode()

    def rows(self, key: str, cells: Mapping[str, str]) -> bytes:
        head = as_cells((cells[ACCOUNT], key) if ACCOUNT in cells else (key,))
        end = f",{as_cells((cells[PRODUCT_NAME],))}\n" if self._has_name else "\n"
        return "".join([f"{head}{tail}{end}" for tail in self._tails]).encode()


class _JsonEncoder:
    """Writes products' rows as JSON lines; absent fields are left out."""

    def __init__(self, modules: Sequence[Module], kept: Collection[str]) -> None:
        del kept
        self._tails = [
            orjson.dumps({str(name): value for name, value in zip(OF_MODULE[1:], module, strict=True) if value})[1:-1]
            for module in modules
        ]

    def header(self) -> bytes:
        return b""

    def rows(self, key: str, cells: Mapping[str, str]) -> bytes:
        account = {ACCOUNT: cells[ACCOUNT]} if ACCOUNT in cells else {}
        head = orjson.dumps({**account, str(Field.PRODUCT_KEY): key})[:-1]
        name = b"," + orjson.dumps({PRODUCT_NAME: cells[PRODUCT_NAME]})[1:] if PRODUCT_NAME in cells else b"}"
        return b"".join([b"%b,%b%b\n" % (head, tail, name) for tail in self._tails])


ENCODERS: Mapping[str, Callable[[Sequence[Module], Collection[str]], Encoder]] = {
    "csv": _CsvEncoder,
    "jsonl": _JsonEncoder,
}


def as_cells(values: Sequence[str]) -> str:
    """Return texts as cells of CSV, without a line end."""
    text = io.StringIO(newline="")
    # Only a writer with both characters as line end puts cells that contain either of them into quotes.
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().removesuffix("\r\n")


def _as_text(value: object) -> str:
    return "" if value is None else value.strip() if isinstance(value, str) else orjson.dumps(value).decode()
