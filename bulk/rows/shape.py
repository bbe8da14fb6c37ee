"""How an input's records are laid out, and the way back from a stored record to the input's own format.

The stored form itself belongs to `bulk.rows.record`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from bulk.legible import legible
from bulk.rows.record import NO_VALUES, Values, json_line_of, object_of, taken_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["InputShape", "cells", "encode_header", "encode_record", "fields"]

RAW_FIELD = "_raw"
"""The name under which `fields` shows a record that could not be parsed."""

SURPLUS_FIELD = "_surplus"
"""The name under which `fields` shows the cells beyond the header."""


@dataclass(frozen=True, slots=True)
class InputShape:
    """How the records of a file are laid out: enough to write them again as they were."""

    format: str
    """``csv``, ``tsv``, ``jsonl`` or ``xlsx``; rows of a workbook are written again as CSV."""

    encoding: str
    """The codec to write with; ``utf-8-sig`` and ``utf-16`` if the file had a byte order mark."""

    delimiter: str | None
    """``None`` for JSONL."""

    header: tuple[str, ...]
    """The columns' names as the file has them; empty for JSONL."""

    columns: Mapping[str, str]
    """Field → column: ``{"ProductKey": "product_key", …}``; fields without a column are left out."""

    above: tuple[str, ...] = ()
    """The lines above the header, or above the first row of a file without one."""

    header_line: int | None = 1
    """Line of the file; ``None``: the file has no header, and ``header`` has the columns' numbers."""

    is_mapped: bool = False
    """The input was read through a map: the rows have the keys of the ledger's platform, the records the source's."""

    def to_json(self) -> str:
        """Return the text that a ledger keeps."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> InputShape:
        """Read what `to_json` wrote."""
        values = orjson.loads(text)
        lines = {name: tuple(values.get(name, ())) for name in ("header", "above")}
        return cls(**{**values, **lines})


def cells(shape: InputShape, record: str, values: Values = NO_VALUES) -> list[str]:
    """Return the cells of a CSV or TSV record, exactly one for each column of the header.

    Missing cells are empty and surplus ones left out, so that columns written after them stay where they belong;
    a line that could not be parsed is in the first cell.
    """
    found = taken_apart(record, values)
    found = [found] if isinstance(found, str) else found
    found = found if all(map(str.isascii, found)) else list(map(legible, found))
    return found[: len(shape.header)] + [""] * (len(shape.header) - len(found))


def fields(shape: InputShape, record: str, values: Values = NO_VALUES) -> dict[str, object]:
    """Return a record's own columns by name, in the file's order, in a form that orjson writes unchanged.

    Columns without a name are called ``column_3``, and a name's second column ``name_2``. A record that could not be
    parsed is under ``_raw``, cells beyond the header are under ``_surplus``.
    """
    if shape.format == "jsonl":
        found = object_of(record)
        return {RAW_FIELD: record} if found is None else found
    own = taken_apart(record, values)
    if isinstance(own, str):
        return {RAW_FIELD: legible(own)}
    named: dict[str, object] = dict(zip(_distinct(shape.header), cells(shape, record, values), strict=True))
    surplus = list(map(legible, own[len(shape.header) :]))
    return {**named, SURPLUS_FIELD: surplus} if any(surplus) else named


def encode_header(shape: InputShape) -> str:
    """Return the text above the input's rows, so that the same command reads the output; empty for JSONL."""
    above = "".join(f"{line}\n" for line in shape.above)
    return above + (_delimited(shape, shape.header) if shape.header and shape.header_line else "")


def encode_record(shape: InputShape, record: str, values: Values = NO_VALUES) -> str:
    """Return a record as a line of the input's own format, with all its cells; malformed lines unchanged."""
    if shape.format == "jsonl":
        return json_line_of(record) + "\n"
    found = taken_apart(record, values)
    return found + "\n" if isinstance(found, str) else _delimited(shape, found)


def _delimited(shape: InputShape, row: Iterable[str]) -> str:
    text = io.StringIO(newline="")
    # Only a writer with both characters as line end puts cells that contain either of them into quotes.
    csv.writer(text, delimiter=shape.delimiter or ",", lineterminator="\r\n").writerow(row)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _distinct(header: Iterable[str]) -> list[str]:
    names: dict[str, None] = {}
    for position, column in enumerate(header, 1):
        name = column.strip() or f"column_{position}"
        times = 1
        while name in names:
            times += 1
            name = f"{column.strip()}_{times}"
        names[name] = None
    return list(names)
