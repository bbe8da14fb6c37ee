"""Find the header of a CSV or TSV file, and the delimiter: below titles and comments, or in a file without one. Pure.

The header is the first of the first hundred lines that has a column for both required fields with any of the
delimiters. Lines above it are kept with the input's shape, so that the same command can read a file written from it.
An input with a line above the header that could be a row is refused: that row would be lost.
"""

from __future__ import annotations

import csv
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.rows.fields import OF_MODULE, REQUIRED, Field, field_of
from bulk.rows.tabular.noise import COMMENT, noise_of
from bulk.rows.validate import BEYOND_MODULE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.rows.columns import ColumnNames

__all__ = ["HEAD_LINES", "Header", "find_header", "first_rows", "hint_of", "numbered_columns", "reason"]

HEAD_LINES = 100
"""Number of lines in which the header is searched."""

DELIMITERS = (",", "\t", ";", "|")
ANNOUNCED_DELIMITER = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
"""The line before the header that tells Excel the delimiter."""

BLANK = ' \t,;|"\r\n\x1a'
"""Characters of a line without content."""

UNCLOSED = "unexpected end of data"
"""Message of the csv module for a quote that is never closed."""

KEY_LIKE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{11}")
"""The form of every ProductKey that the documentation shows."""

NAME_LIKE = re.compile(r"product|key|module|name|column|field|id\d*$|pk\d*$", re.IGNORECASE)

ODD_DELIMITERS = re.compile(r"[^\w\s\"'().*-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Where the header is, and its contents."""

    names: list[str]
    """The columns' names; their numbers if the file has no header."""

    delimiter: str
    line: int | None
    """Line of the file, starting at 1; ``None``: there is no header."""

    above: tuple[str, ...]
    """The lines above it, without their line ends."""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The lines above it that say something, except the one that tells Excel the delimiter."""
        return tuple(line for line in self.above if line.strip() and not ANNOUNCED_DELIMITER.fullmatch(line))

    body: int
    """Number of lines before the first row."""


def find_header(
    head: Sequence[str], names: ColumnNames, *, delimiter: str, skip_lines: int, file: str
) -> Header | None:
    """Return the header, ``None``: there is nothing in these lines.

    Args:
        head: The first lines of the file.
        names: Columns to look for.
        delimiter: The requested one; empty: find it in the header.
        skip_lines: Number of lines to skip.
        file: The input as the user named it.

    Raises:
        InputError: It can't be read, or a line above it could be a row.
    """
    announced, starts = _starts(head, skip_lines, delimiter)
    tried = [delimiter or announced] if delimiter or announced else [*DELIMITERS]
    if not starts:
        return None
    for start in starts:
        found = _best(head, start, names, tried)
        if found and all(field in names.candidates(found.names) for field in names.sought.required):
            _refuse_rows_above(head, found, names, skip_lines=skip_lines, file=file)
            _refuse_row_as_header(found, names, file=file)
            return found
    return _likeliest(head, starts, names, tried, file=file)


def first_rows(head: Sequence[str], *, delimiter: str, skip_lines: int) -> Header | None:
    """Return the substitute for the header of a file without one; ``None``: there is nothing in these lines.

    The delimiter is the one that divides the first lines most evenly, into the most cells.
    """
    announced, starts = _starts(head, skip_lines, delimiter)
    if not starts:
        return None
    tried = [delimiter or announced] if delimiter or announced else [*DELIMITERS]

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [
            len(cells) for start in starts if (cells := _record(head, start, delimiter)[0]) and not noise_of(cells)
        ]
        usual = max(set(widths), key=widths.count, default=0)
        return (widths.count(usual) / len(widths) if usual > 1 else 0.0), usual

    chosen = max(tried, key=evenness)
    rows = [cells for start in starts if (cells := _record(head, start, chosen)[0])]
    width = max(map(len, rows), default=1)
    above = tuple(line.rstrip("\r\n") for line in head[:skip_lines])
    return Header(names=numbered_columns(width), delimiter=chosen, line=None, above=above, body=skip_lines)


def numbered_columns(width: int) -> list[str]:
    """Return the names of the columns of a file without header."""
    return [f"{number}" for number in range(1, width + 1)]


def hint_of(header: Header, *, is_sheet: bool) -> str:
    """Suggest a cause if a header lacks a required column.

    Args:
        header: The header that lacks it.
        is_sheet: Its cells are a workbook's.
    """
    looks = {} if any(map(field_of, header.names)) else _as_row(header)
    if looks:
        maps = " ".join(f"--map {field}={number}" for field, number in looks.items())
        return f"line {header.line} looks like a row: if the file has no header, add --no-header {maps};"
    if len([name for name in header.names if name.strip()]) == 1 and is_sheet:
        return "it is one cell: divide it in a spreadsheet program (Data, Text to Columns),"
    if len(header.names) == 1:
        return f"it is one cell: name the character between the cells with {_delimiter_flag(header.names[0])},"
    return ""


def reason(problem: str, delimiter: str, text: str = "") -> str:
    """Say for the operator what the csv module found in a line."""
    escaped = "; it has a quote behind a backslash: write quotes twice instead" if '\\"' in text else ""
    if problem == UNCLOSED:
        return f"opens a quote that is never closed{escaped}"
    if problem.startswith("field larger"):
        return f"holds a cell of more than {csv.field_size_limit():,} characters, or opens a quote that is never closed"
    if "expected after" in problem:
        return (
            f"has text between a closing quote and the next {delimiter!r}; inside a quoted cell write quotes twice"
            f"{escaped}"
        )
    return f"is malformed ({problem})"


def _starts(head: Sequence[str], skip_lines: int, delimiter: str) -> tuple[str, list[int]]:
    """Return the delimiter that a line announces, and the lines that say something."""
    announced = ""
    starts: list[int] = []
    for index, line in enumerate(head[skip_lines : skip_lines + HEAD_LINES], skip_lines):
        found = ANNOUNCED_DELIMITER.fullmatch(line.rstrip("\r\n"))
        if found and not starts:
            announced = found[1]
        elif line.strip(BLANK + (delimiter or announced)):
            starts.append(index)
    return announced, starts


def _record(head: Sequence[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """Return the cells of the record that starts at a line, and its number of lines; no cells: it is malformed."""
    reader = csv.reader(
        itertools.islice(head, start, None), delimiter=delimiter, strict=True, skipinitialspace=delimiter != " "
    )
    try:
        return next(reader), reader.line_num
    except csv.Error:
        return [], 1


def _best(head: Sequence[str], start: int, names: ColumnNames, tried: Sequence[str]) -> Header | None:
    """Return the line as a header, divided to have as many of our fields as possible, then as many columns."""
    found = [(delimiter, *_record(head, start, delimiter)) for delimiter in tried]
    delimiter, cells, lines = max(found, key=lambda each: (len(names.candidates(each[1])), len(each[1])))
    if not cells:
        return None
    above = tuple(line.rstrip("\r\n") for line in head[:start])
    return Header(names=cells, delimiter=delimiter, line=start + 1, above=above, body=start + lines)


def _likeliest(
    head: Sequence[str], starts: Sequence[int], names: ColumnNames, tried: Sequence[str], *, file: str
) -> Header:
    """Return the line most like a header, else the first: the message then says what that line lacks."""
    first = _best(head, starts[0], names, tried)
    if first is None:
        _refuse_malformed(head, starts[0], tried, file=file)
    found = [found for start in starts if (found := _best(head, start, names, tried))]
    if not found:
        raise InputError(f"the header {reason(UNCLOSED, tried[0])}", file=file, line=starts[0] + 1)

    def merit(header: Header) -> tuple[int, int]:
        known, near = len(names.candidates(header.names)), len(names.near_misses(header.names))
        return known, near if known or near > 1 else 0

    return max(found, key=merit)


def _refuse_malformed(head: Sequence[str], start: int, tried: Sequence[str], *, file: str) -> None:
    try:
        next(csv.reader(itertools.islice(head, start, None), delimiter=tried[0], strict=True))
    except csv.Error as exc:
        raise InputError(f"the header {reason(str(exc), tried[0])}", file=file, line=start + 1) from exc


def _refuse_rows_above(head: Sequence[str], found: Header, names: ColumnNames, *, skip_lines: int, file: str) -> None:
    positions = [names.candidates(found.names)[field][0] for field in names.sought.required]
    for line, cells in _cells_above(head, found, skip_lines):
        own = [cells[position].strip() for position in positions if position < len(cells)]
        # If a row may be a single cell, a title is a cell that could be neither a key nor a name.
        is_title = names.sought.is_alone and any(map(BEYOND_MODULE_NAME.search, own))
        if len(own) == len(positions) and all(own) and not is_title:
            raise InputError(
                f"it looks like a row above the header, which is line {found.line}: move the header to the top, or add "
                f"--skip-lines {(found.line or 1) - 1} to leave out the lines above it",
                file=file,
                line=line,
            )


def _cells_above(head: Sequence[str], found: Header, skip_lines: int) -> Iterator[tuple[int, list[str]]]:
    for index, text in enumerate(head[skip_lines : (found.line or 1) - 1], skip_lines):
        if COMMENT.match(text) or ANNOUNCED_DELIMITER.fullmatch(text.strip()):
            continue
        cells = _record(head, index, found.delimiter)[0]
        if not noise_of(cells):
            yield index + 1, cells


def _refuse_row_as_header(found: Header, names: ColumnNames, *, file: str) -> None:
    """Refuse a row that ``--map`` would turn into a header: the row would be lost."""
    looks = _as_row(found)
    if not looks or any(map(field_of, found.names)):
        return
    places = {field: positions[0] + 1 for field, positions in names.candidates(found.names).items()}
    maps = " ".join(f"--map {field}={number}" for field, number in places.items())
    skip = f"; if it is the header, add --skip-lines {found.line} too" if found.line else ""
    raise InputError(
        f"it is taken for the header, but looks like a row: add --no-header {maps}{skip}", file=file, line=found.line
    )


def _as_row(header: Header) -> dict[Field, int]:
    """Return the number of each field's column if the line is a row; empty: it is no row."""
    cells = [cell.strip() for cell in header.names]
    keys = [number for number, cell in enumerate(cells, 1) if KEY_LIKE.fullmatch(cell) and not NAME_LIKE.search(cell)]
    if not keys:
        return {}
    others = [
        number
        for number, cell in enumerate(cells, 1)
        if number != keys[0] and cell and not BEYOND_MODULE_NAME.search(cell)
    ]
    if not others:
        return {}
    rest = [number for number in range(1, len(cells) + 1) if number not in {keys[0], others[0]}]
    return dict(zip(OF_MODULE, [keys[0], others[0], *rest], strict=False))


def _delimiter_flag(header: str) -> str:
    """Return the flag that divides a header into the required columns, if one does."""
    for mark in dict.fromkeys([*ODD_DELIMITERS.findall(header), "\t", " "]):
        found = {field_of(cell) for cell in header.split(mark)}
        if found.issuperset(REQUIRED):
            return "--delimiter tab" if mark == "\t" else f"--delimiter '{mark}'"
    return "--delimiter"
