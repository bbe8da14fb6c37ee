"""The stored form of a record: only this module writes it and reads it back.

A record is one string, so that the ledger can return it with the row, and an export can write it again:

- For CSV and TSV: a JSON array of the cells. A cell that equals one of the row's fields may be the field's number
  instead, 0 to 3 in the order of `Field`. The ledger has that value beside the record, and need not keep it twice.
- For a CSV line that could not be parsed: a JSON string.
- For JSONL: the line's own text.

A byte that could not be decoded is half of a surrogate pair (see `bulk.rows.text.damage`), written as a JSON escape
that strict readers refuse. A record that is too long is cut. Ledgers keep records for years: this form may be extended,
but what it has now must stay readable.
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
"""Any escape of JSON, a pair of surrogates as one; the first group is half of a pair that encodes a byte."""

NO_VALUES: Values = (None, None, None, None)

PLAIN_KINDS = frozenset({str, bool, type(None)})
"""Types that JSON libraries return exactly as written; numbers may be rounded and spelled differently."""


def of_cells(cells: Sequence[str]) -> str:
    """Return the record of a row that was parsed into cells."""
    return _dumped(cells)


def of_line(text: str) -> str:
    """Return the record of a line of CSV that could not be parsed."""
    return _dumped(text.rstrip("\r\n"))


def of_json_line(text: str) -> str:
    """Return the record of a line of JSONL."""
    return text.strip().encode("utf-8", "backslashreplace").decode()


class CellRecords:
    """Writes the records of rows whose cells equal their fields, with numbers in place of these cells."""

    __slots__ = ("_of_fields", "_positions")

    def __init__(self, positions: Sequence[int], width: int) -> None:
        """Learn the layout.

        Args:
            positions: Position of each field's column, -1 if it has none.
            width: Number of columns.
        """
        self._positions = positions
        numbers = {position: number for number, position in enumerate(positions)}
        of_fields = orjson.dumps([numbers.get(position) for position in range(width)]).decode()
        self._of_fields = "" if "null" in of_fields else of_fields

    @property
    def only_fields(self) -> bool:
        """Whether every column holds a field, so that all records are the same."""
        return bool(self._of_fields)

    def of_columns(self, columns: Sequence[Sequence[str]]) -> Iterator[str]:
        """Yield the record of each row, given column by column."""
        if self._of_fields:
            return itertools.repeat(self._of_fields)
        kept: list[Iterable[object]] = [*columns]
        for number, position in enumerate(self._positions):
            if position >= 0:
                kept[position] = itertools.repeat(number)
        return (orjson.dumps(cells).decode() for cells in zip(*kept, strict=False))  # `repeat` never ends


def json_line_of(record: str) -> str:
    """Return the line that ``of_json_line()`` kept. Undecodable bytes are halves of surrogate pairs again."""
    if "\\udc" not in record:
        return record
    return ESCAPED.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[0], record)


def taken_apart(record: str, values: Values = NO_VALUES) -> list[str] | str:
    """Return the cells of a CSV or TSV record, with its fields filled in; a text: it could not be parsed."""
    found = _loaded(record)
    if isinstance(found, str):
        return found
    return [(values[cell] or "") if isinstance(cell, int) else cell for cell in found]


def with_own_key(record: str, values: Sequence[str]) -> str:
    """Return a record with its own texts instead of numbers for the first fields: the ledger has other values.

    Args:
        record: Record of a row that could be parsed; a line of JSONL has its own fields anyway.
        values: The row's first fields as they were read, in the order of `Field`.
    """
    if not record.startswith("["):
        return record
    return _dumped([values[cell] if isinstance(cell, int) and cell < len(values) else cell for cell in _loaded(record)])


def object_of(record: str) -> dict[str, object] | None:
    """Return the object of a JSONL record, with its numbers spelled as in the line; ``None``: it is no object.

    A number that would be rounded or spelled differently is an ``orjson.Fragment``, which is written unchanged.
    """
    try:
        found = orjson.loads(record)
    except orjson.JSONDecodeError as exc:
        found = _beyond_doubles(record) if is_too_large(exc) else None
    if not isinstance(found, dict):
        return None
    return found if set(map(type, found.values())) <= PLAIN_KINDS else _spelled_as_it_was(record, found)


def is_too_large(exc: orjson.JSONDecodeError) -> bool:
    """Say whether orjson only refuses a number too large for floating point, which JSON allows."""
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
    except orjson.JSONDecodeError:  # a number too large for floating point
        return orjson.Fragment(text)
    return number if orjson.dumps(number) == text.encode() else orjson.Fragment(text)


_EXACT = json.JSONDecoder(parse_int=_number, parse_float=_number)
