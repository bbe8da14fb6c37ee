"""The stored form of a record: this module writes it and reads it back, and no other knows it.

A record is one string, so that the ledger can give it back beside the row and an export can write it again:

- of CSV and TSV, a JSON array of the cells. A cell that is exactly one of the row's fields may be the field's number
  instead, 0 to 3 in the order of `Field`: the ledger has that value beside the record, and need not keep it twice;
- of a CSV line that could not be taken apart, a JSON string;
- of JSONL, the line's own text.

A byte that could not be decoded is half of a surrogate pair (see `bulk.rows.text.damage`), written as JSON escapes it,
which no strict reader takes. What is longer than a record may be is kept cut. Ledgers hold records for years: this form
only ever gains.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "CellRecords",
    "Values",
    "is_too_large",
    "json_line_of",
    "object_of",
    "of_cells",
    "of_json_line",
    "of_line",
    "taken_apart",
    "with_own_key",
]

Values = tuple[str | None, str | None, str | None, str | None]
"""A row's fields as the ledger has them beside the record, in the order of `Field`; ``None``: absent."""

ESCAPED = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u\w{4}|u(dc[89a-f][0-9a-f])|.)")
"""Any escape of JSON, a pair of surrogates as one; in the first group half of a pair that stands for a byte."""

NO_VALUES: Values = (None, None, None, None)

PLAIN_KINDS = frozenset({str, bool, type(None)})
"""Kinds of values that JSON libraries give back as they were written; numbers they round and respell."""


def of_cells(cells: Sequence[str]) -> str:
    """Return the record of a row that was taken apart."""
    return _dumped(cells)


def of_line(text: str) -> str:
    """Return the record of a line of CSV that could not be taken apart."""
    return _dumped(text.rstrip("\r\n"))


def of_json_line(text: str) -> str:
    """Return the record of a line of JSONL."""
    return text.strip().encode("utf-8", "backslashreplace").decode()


class CellRecords:
    """Writes the records of rows whose fields are exactly their cells: numbers stand for these."""

    __slots__ = ("_of_fields", "_positions")

    def __init__(self, positions: Sequence[int], width: int) -> None:
        """Learn the layout.

        Args:
            positions: Of each field's column, -1 where it has none.
            width: How many columns there are.
        """
        self._positions = positions
        numbers = {position: number for number, position in enumerate(positions)}
        of_fields = orjson.dumps([numbers.get(position) for position in range(width)]).decode()
        self._of_fields = "" if "null" in of_fields else of_fields

    @property
    def only_fields(self) -> bool:
        """Whether every column is a field's, so that all records are alike."""
        return bool(self._of_fields)

    def of_columns(self, columns: Sequence[Sequence[str]]) -> Iterator[str]:
        """Yield the record of each row, given column by column."""
        if self._of_fields:
            return itertools.repeat(self._of_fields)
        kept: list[Iterable[object]] = [*columns]
        for number, position in enumerate(self._positions):
            if position >= 0:
                kept[position] = itertools.repeat(number)
        return (orjson.dumps(cells).decode() for cells in zip(*kept, strict=False))  # a repetition has no end


def json_line_of(record: str) -> str:
    """Return the line that ``of_json_line()`` kept, the bytes that could not be decoded as they travel through text."""
    if "\\udc" not in record:
        return record
    return ESCAPED.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[0], record)


def taken_apart(record: str, values: Values = NO_VALUES) -> list[str] | str:
    """Return the cells of a CSV or TSV record with the fields put back; a text: it could not be taken apart."""
    found = _loaded(record)
    if isinstance(found, str):
        return found
    return [(values[cell] or "") if isinstance(cell, int) else cell for cell in found]


def with_own_key(record: str, values: Sequence[str]) -> str:
    """Return a record in which no number stands for the first fields: the ledger has others beside it.

    Args:
        record: Of a row that could be taken apart; the line of JSONL has its own fields anyway.
        values: The row's first fields as they were read, in the order of `Field`.
    """
    if not record.startswith("["):
        return record
    return _dumped([values[cell] if isinstance(cell, int) and cell < len(values) else cell for cell in _loaded(record)])


def object_of(record: str) -> dict[str, object] | None:
    """Return the object of a JSONL record with its numbers spelled as they were; ``None``: it is no object.

    A number that would be rounded or spelled otherwise is an ``orjson.Fragment``, written again letter for letter.
    """
    try:
        found = orjson.loads(record)
    except orjson.JSONDecodeError as exc:
        found = _beyond_doubles(record) if is_too_large(exc) else None
    if not isinstance(found, dict):
        return None
    return found if set(map(type, found.values())) <= PLAIN_KINDS else _spelled_as_it_was(record, found)


def is_too_large(exc: orjson.JSONDecodeError) -> bool:
    """Say whether all that orjson objects to is a number beyond those of floating point, which JSON allows."""
    return "infinity" in exc.msg


def _beyond_doubles(record: str) -> object:
    try:
        found = _EXACT.decode(record)
        orjson.dumps(found)
    except (ValueError, TypeError, RecursionError):
        return None
    return found


def _spelled_as_it_was(record: str, found: dict[str, object]) -> dict[str, object]:
    try:
        exact: dict[str, Any] = _EXACT.decode(record)
    except RecursionError:
        return found
    return exact


def _dumped(value: Sequence[str] | str) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value)


def _loaded(record: str) -> Any:  # noqa: ANN401 - a text, or a list of texts and numbers
    try:
        return orjson.loads(record)
    except orjson.JSONDecodeError:
        return json.loads(record)


def _number(text: str) -> float | orjson.Fragment:
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:  # beyond the numbers of floating point
        return orjson.Fragment(text)
    return number if orjson.dumps(number) == text.encode() else orjson.Fragment(text)


_EXACT = json.JSONDecoder(parse_int=_number, parse_float=_number)
