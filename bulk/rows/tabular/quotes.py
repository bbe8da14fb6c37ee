"""Take one record from lines of CSV, and detect a stray quote that swallowed the rows after it. Pure.

A quote left open is closed by the next quote, perhaps rows later. By RFC 4180, everything between them is one cell. A
description may have several lines, with commas too, so the number of lines proves nothing. The evidence is a line in
the record that is a complete row: it has as many cells as there are columns, a possible ModuleName, and a ProductKey
that is the record's own or has its length and form. No description looks like that by accident.
"""

from __future__ import annotations

import csv
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from bulk.rows.validate import BEYOND_MODULE_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Taken", "swallowed_rows", "take_record", "why_divided"]

LEAST_KEY_CHARS = 6
"""Shorter keys resemble each other too easily: for them, only the record's own key is evidence."""

OTHER_QUOTES = re.compile(r"\s*[“”„«'‘「『]")
OTHER_DELIMITERS = ("，", "；", "、", "\t", ";", "|", ",", "｜")

FORM_OF_KEYS = re.compile(r"(?=.*\d)[A-Za-z0-9*]+")


class Taken(NamedTuple):
    """A record, or what kept it from being one."""

    cells: list[str]
    lines: int
    """Number of lines that it was read from."""

    problem: str | None = None
    """Message of the csv module."""

    reaches_end: bool = False
    """The problem was found only after the last line: with more lines there might be none."""


def take_record(lines: Sequence[str], start: int, delimiter: str) -> Taken:
    """Return the record that begins with a line.

    A space between delimiter and quote is dropped: otherwise the quotes would be part of the cell.
    """
    taken = _take(lines, start, delimiter, skip_spaces=False)
    if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in taken.cells):
        return _take(lines, start, delimiter, skip_spaces=True)
    return taken


def _take(lines: Sequence[str], start: int, delimiter: str, *, skip_spaces: bool) -> Taken:
    rest = map(lines.__getitem__, range(start, len(lines)))
    reader = csv.reader(rest, delimiter=delimiter, strict=True, skipinitialspace=skip_spaces)
    try:
        return Taken(next(reader), reader.line_num)
    except csv.Error as exc:
        return Taken([], reader.line_num, str(exc), reader.line_num == len(lines) - start)


def swallowed_rows(
    lines: Sequence[str], cells: Sequence[str], *, delimiter: str, required: Sequence[int], width: int
) -> int:
    """Return how many lines of a record, after its first, are complete rows.

    Args:
        lines: Lines of the record.
        cells: Cells of the record.
        delimiter: Delimiter between cells.
        required: Positions of ProductKey and ModuleName, -1 for one that is not sought.
        width: Number of cells in a row.
    """
    if len(lines) == 1 or len(cells) <= max(required) or required[0] < 0:
        return 0
    own = re.split(rf"[{re.escape(delimiter)}\r\n]", cells[required[0]].strip())[0]
    alone = csv.reader(itertools.islice(lines, 1, None), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return sum(len(row) == width and _is_row(row, own, required) for row in alone)


def _is_row(row: Sequence[str], own: str, required: Sequence[int]) -> bool:
    key, name = (row[position].strip().strip('"') if position >= 0 else "-" for position in required)
    alike = len(key) == len(own) >= LEAST_KEY_CHARS and FORM_OF_KEYS.fullmatch(key) and FORM_OF_KEYS.fullmatch(own)
    return bool(name) and not BEYOND_MODULE_NAME.search(name) and (key == own or bool(alike))


def why_divided(cells: Sequence[str], delimiter: str) -> str:
    """Return a likely reason for a wrong number of cells, after a semicolon; empty: unknown."""
    if any(cell.endswith("\\") for cell in cells[:-1]):
        return f"; {delimiter!r} is behind a backslash: put the whole cell in quotes instead"
    if any(map(OTHER_QUOTES.match, cells)):
        return '; its quotes are not the plain double ones ("), which alone keep a cell together'
    others = (mark for mark in OTHER_DELIMITERS if mark != delimiter and any(cell.count(mark) > 1 for cell in cells))
    other = next(others, None) if len(cells) == 1 else None
    return f"; it is divided by {other!r}, not {delimiter!r}" if other else ""
