"""Read rows from CSV and TSV: the header, then record after record, none of them able to spoil another.

Records follow RFC 4180 strictly. Where one does not (text behind a closing quote, a quote that is never closed,
a field without end) its first line is an invalid row and reading goes on with the next line: a lost quote costs
one row, not the rest of the file.
"""

from __future__ import annotations

import csv
import itertools
import re
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.model import ReadRows
from bulk.rows.columns import ColumnNames, Field
from bulk.rows.lines import LOOKED_AT_TOGETHER, MAX_RECORD_CHARS
from bulk.rows.record import CellRecords, of_cells, of_line
from bulk.rows.shape import InputShape
from bulk.rows.validate import Rules
from bulk.settings import parse_delimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.model import InvalidRow, ValidRow
    from bulk.rows.lines import Block, LineSource
    from bulk.settings import ReadSettings

__all__ = ["DelimitedReader"]

DELIMITERS = (",", "\t", ";")
ANNOUNCED_DELIMITER = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
"""The line by which Excel is told the delimiter; it comes before the header."""

BLANK = ' \t,;"\r\n'
"""What a line without content is made of."""


UNCLOSED = "unexpected end of data"
"""What the csv module says of a quote that is never closed."""


class DelimitedReader:
    """The rows of a CSV or TSV file."""

    def __init__(self, source: LineSource, settings: ReadSettings, *, format: str) -> None:  # noqa: A002 - its name
        """Read the header.

        Raises:
            SettingsError: Delimiter or ``--map`` can't be used.
            InputError: The file is empty or its header lacks a column.
        """
        self._source = source
        self._names = ColumnNames.parse(settings.columns)
        self._rules = Rules(lenient_alias=settings.lenient_alias)
        self._delimiter = _said_delimiter(settings, format)
        self._header_line, self._first = 1, 1
        self._lines: list[str] = []
        self._blocks = source.blocks()
        self._header = header = self._read_header()
        positions = self._names.resolve(header, file=source.name, line=self._header_line)
        self._positions = tuple(positions.get(field, -1) for field in Field)
        self._width = len(header)
        self._records = CellRecords(self._positions, self._width)
        self._named_width = len(_without_blank_end(header))
        columns = {str(field): header[position] for field, position in positions.items()}
        self.shape = InputShape(format, source.encoding, self._delimiter, tuple(header), columns)

    def blocks(self) -> Iterator[ReadRows]:
        """Yield the rows in portions of any size, once.

        Raises:
            InputError: The file can't be read to its end.
        """
        first, lines = self._first, self._lines
        for block in self._blocks:
            rows, used = self._read(first, lines, final=block.cut)
            yield rows
            if block.cut:
                reason = f"is longer than {MAX_RECORD_CHARS:,} characters"
                yield ReadRows(invalid=[_malformed(block.first, block.lines[0], reason)])
                first, lines = block.first + 1, []
            else:
                first, lines = first + used, lines[used:] + block.lines
        yield self._read(first, lines, final=True)[0]

    def _read(self, first: int, lines: list[str], *, final: bool) -> tuple[ReadRows, int]:
        """Return the rows of these lines and how many lines they are; a record still open is left for later."""
        rows = ReadRows()
        used = 0
        while used < len(lines):
            plain = self._plain(first + used, lines[used : used + LOOKED_AT_TOGETHER])
            if plain is not None:
                rows.valid.extend(plain)
                used = min(used + LOOKED_AT_TOGETHER, len(lines))
                continue
            done, reached, problem = self._scan(first + used, lines[used:], rows, least=LOOKED_AT_TOGETHER)
            used += done
            if problem is None:
                continue
            open_lines = lines[used:]
            if not final and reached == len(open_lines) and sum(map(len, open_lines)) <= MAX_RECORD_CHARS:
                break
            rows.invalid.append(_malformed(first + used, lines[used], _reason(problem, self._delimiter)))
            used += 1
        return rows, used

    def _plain(self, first: int, lines: list[str]) -> Iterator[ValidRow] | None:
        """Return the rows of lines each of which is a valid row as it stands; ``None``: look closer with `_scan`."""
        try:
            records = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        # Fewer records than lines are records of several lines.
        if len(records) != len(lines) or set(map(len, records)) != {self._width} or self._header in records:
            return None
        columns = list(zip(*records, strict=True))
        absent = ("",) * len(lines)
        keys, names, aliases, descs = (columns[position] if position >= 0 else absent for position in self._positions)
        if not self._rules.accept(keys, names, aliases, descs):
            return None
        # A NUL spoils its row wherever it stands, and no field may hold one.
        if not self._records.only_fields and "\0" in "".join(lines):
            return None
        return zip(itertools.count(first), keys, names, aliases, descs, self._records.of_columns(columns))

    def _scan(self, first: int, lines: list[str], rows: ReadRows, *, least: int) -> tuple[int, int, str | None]:
        """Add the rows up to the first malformed record, or of ``least`` lines and what belongs to their last record.

        Returns:
            The number of lines done, the number of lines that were looked at behind them, and what is wrong there.
        """
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        done = 0
        try:
            for cells in reader:
                line, done = first + done, reader.line_num
                if not "".join(cells).isspace() and any(cells):
                    self._judge(line, cells, rows, lines=first + done - line)
                if done >= least:
                    break
        except csv.Error as exc:
            return done, reader.line_num - done, str(exc)
        return done, 0, None

    def _judge(self, line: int, cells: list[str], rows: ReadRows, *, lines: int) -> None:
        """Look closely at a record."""
        record = of_cells(cells)
        problem = self._misfit(cells)
        if problem:
            spread = f", read from {lines} lines: is a quote missing?" if lines > 1 else ""
            rows.invalid.append((line, record, problem + spread))
            return
        key, name, alias, desc = (cells[position] if position >= 0 else "" for position in self._positions)
        judged = self._rules.judge((key, name, alias, desc))
        if isinstance(judged, str):
            rows.invalid.append((line, record, judged))
        else:
            rows.valid.append((line, *judged, record))

    def _misfit(self, cells: list[str]) -> str | None:
        if cells == self._header:
            return "the row is the header again: several files were joined here"
        if "\0" in "".join(cells):
            return "the row holds a NUL character (U+0000): the file is damaged or not in this encoding"
        if len(cells) < self._named_width:
            return f"the row has {len(cells)} cells, too few for the {self._named_width} columns of the header"
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._named_width :]):
            return f"the row has {len(cells)} cells, too many for the {self._named_width} columns of the header"
        return None

    def _read_header(self) -> list[str]:
        """Return the header's names; what follows the header in its block is kept for `blocks`."""
        for block in self._blocks:
            for index, line in enumerate(block.lines):
                announced = ANNOUNCED_DELIMITER.fullmatch(line.rstrip("\r\n"))
                if announced:
                    self._delimiter = self._delimiter or announced[1]
                elif line.strip(BLANK + self._delimiter):
                    return self._take_header(block, index)
        raise InputError("it is empty: not even a header is in it", file=self._source.name)

    def _take_header(self, block: Block, index: int) -> list[str]:
        line = block.first + index
        if block.cut:
            raise InputError(
                f"the header has more than {MAX_RECORD_CHARS:,} characters", file=self._source.name, line=line
            )
        self._delimiter = self._delimiter or _likeliest_delimiter(block.lines[index], self._names)
        reader = csv.reader(block.lines[index:], delimiter=self._delimiter, strict=True)
        try:
            header = next(reader)
        except csv.Error as exc:
            problem = f"the header {_reason(str(exc), self._delimiter)}"
            raise InputError(problem, file=self._source.name, line=line) from exc
        self._header_line = line
        self._first, self._lines = line + reader.line_num, block.lines[index + reader.line_num :]
        return header


def _malformed(line: int, text: str, reason: str) -> InvalidRow:
    return line, of_line(text), f"the line {reason}"


def _said_delimiter(settings: ReadSettings, format: str) -> str:  # noqa: A002 - its name
    """Return the delimiter as asked for; empty: as the header says."""
    if settings.delimiter is None:
        return "\t" if format == "tsv" else ""
    return parse_delimiter(settings.delimiter)


def _likeliest_delimiter(line: str, names: ColumnNames) -> str:
    """Return the delimiter by which the header has most of our fields, then most columns."""

    def merit(delimiter: str) -> tuple[int, int]:
        try:
            header = next(csv.reader([line], delimiter=delimiter))
        except csv.Error:
            return 0, 0
        return len(names.candidates(header)), len(header)

    return max(DELIMITERS, key=merit)


def _reason(problem: str, delimiter: str) -> str:
    """Say for the operator what the csv module found."""
    if problem == UNCLOSED:
        return "opens a quote that is never closed"
    if problem.startswith("field larger"):
        return f"holds a cell of more than {csv.field_size_limit():,} characters, or opens a quote that is never closed"
    if "expected after" in problem:
        return f"has text between a closing quote and the next {delimiter!r}; inside a quoted cell write quotes twice"
    return f"is malformed ({problem})"


def _without_blank_end(header: list[str]) -> list[str]:
    blank = sum(1 for _ in itertools.takewhile(lambda name: not name.strip(), reversed(header)))
    return header[: len(header) - blank]
