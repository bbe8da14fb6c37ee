"""A shard's slice of an input: rows as they were read, one JSON array a line. A worker need not parse the input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from bulk.model.inputs import ReadRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk.model.inputs import InvalidRow, ValidRow

__all__ = ["read_slice", "slice_line"]

_VALID_FIELDS = 7


def slice_line(account: str | None, row: ValidRow | InvalidRow) -> bytes:
    """Return a row of a slice.

    Args:
        account: Account of a valid row; an invalid row contains its own.
        row: The row as it was read.
    """
    fields = row if account is None else (account, *row)
    try:
        return orjson.dumps(fields) + b"\n"
    except orjson.JSONEncodeError:  # bytes that are invalid in the input's encoding are kept as lone surrogates
        return json.dumps(fields).encode() + b"\n"


def read_slice(lines: Iterable[bytes], *, size: int = 1000) -> Iterator[ReadRows]:
    """Yield a slice's rows, ``size`` at a time, as the input's reader returned them."""
    rows = ReadRows()
    for line in lines:
        fields = _loaded(line)
        if len(fields) == _VALID_FIELDS:
            rows.accounts.append(fields[0])
            rows.valid.append(tuple(fields[1:]))
        else:
            rows.invalid.append(tuple(fields))
        if len(rows) >= size:
            yield rows
            rows = ReadRows()
    if len(rows):
        yield rows


def _loaded(line: bytes) -> list[Any]:
    try:
        fields: list[Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        fields = json.loads(line)
    return fields
