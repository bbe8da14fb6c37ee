"""Read rows from CSV and TSV: the header, then record after record, none of them able to spoil another.

Records follow RFC 4180 strictly. Where one does not (text behind a closing quote, a quote that is never closed,
a field without end) its first line is an invalid row and reading goes on with the next line: a lost quote costs
one row, not the rest of the file. So it is where a quote closes only lines later and rows were swallowed: see
`bulk.rows.quotes`. A row may lack cells at its end that no required field needs, and have blank ones too many.
"""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.legible import legible
from bulk.model import ReadRows
from bulk.rows.columns import ColumnNames, Field
from bulk.rows.findings import Remarks
from bulk.rows.header import HEAD_LINES, find_header, first_rows, hint_of, reason
from bulk.rows.lines import LOOKED_AT_TOGETHER, MAX_RECORD_CHARS, Block
from bulk.rows.noise import noise_of
from bulk.rows.problems import Problem, RecordKind, record_problem
from bulk.rows.quotes import Taken, swallowed_rows, take_record, why_divided
from bulk.rows.record import CellRecords, of_cells, of_line
from bulk.rows.shape import InputShape
from bulk.rows.spoiled import TOTALS
from bulk.rows.stretches import Stretch, is_header, is_row_of_types, same_columns
from bulk.rows.validate import Rules
from bulk.settings import parse_delimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.model import InvalidRow, ValidRow
    from bulk.rows.header import Header
    from bulk.rows.lines import LineSource
    from bulk.settings import ReadSettings

__all__ = ["DelimitedReader"]

DEFAULT_ORDER = {str(field): f"{number}" for number, field in enumerate(Field, 1)}
"""Which columns hold the fields of a file without header, unless ``--map`` says it."""


class DelimitedReader:
    """The rows of a CSV or TSV file."""

    def __init__(self, source: LineSource, settings: ReadSettings, *, format: str) -> None:  # noqa: A002 - its name
        """Read the header.

        Raises:
            SettingsError: Delimiter or ``--map`` can't be used.
            InputError: The file is empty or its header lacks a column.
        """
        self._source = source
        self._rules = Rules.of(settings)
        self._lenient_keys = settings.lenient_keys
        self._names = ColumnNames.parse(settings.columns, numbered=True)
        self._stretch = Stretch()
        self._blocks = source.blocks()
        found, positions = self._find_columns(settings, _said_delimiter(settings, format))
        self._delimiter = found.delimiter
        self._header = found.names if found.line else None
        self._positions = tuple(positions.get(field, -1) for field in Field)
        self._header_key = found.names[positions[Field.PRODUCT_KEY]]
        self._width = len(found.names)
        self._records = CellRecords(self._positions, self._width)
        self._named_width = len(_without_blank_end(found.names))
        self._unnamed = [at for at, name in enumerate(found.names) if not name.strip() and at not in self._positions]
        self._needed_width = 1 + max(self._positions[:2])
        self._space_and_quote = f'{self._delimiter} "'
        above = tuple(map(legible, found.above))
        columns = {str(field): found.names[position] for field, position in positions.items()}
        self.shape = InputShape(
            format,
            source.encoding,
            self._delimiter,
            tuple(found.names),
            columns,
            above=above,
            header_line=found.line,
        )
        carried = [name for at, name in enumerate(found.names) if at not in self._positions and name.strip()]
        passed_over = tuple(map(legible, found.passed_over))
        self.remarks = Remarks(self._rules, carried=carried, above=passed_over)

    def blocks(self) -> Iterator[ReadRows]:
        """Yield the rows in portions of any size, once.

        Raises:
            InputError: The file can't be read to its end.
        """
        first = self._first
        lines: list[str] = []
        for block in self._blocks:
            rows, used = self._read(first, lines, final=block.cut)
            yield rows
            if block.cut:
                problem = record_problem(RecordKind.LENGTH, cause=f"is longer than {MAX_RECORD_CHARS:,} characters")
                yield ReadRows(invalid=[_malformed(block.first, block.lines[0], problem)])
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
            done = self._scan(first, lines, used, rows, final=final)
            if done == used:
                break
            used = done
        return rows, used

    def _plain(self, first: int, lines: list[str]) -> Iterator[ValidRow] | None:
        """Return the rows of lines each of which is a valid row as it stands; ``None``: look closer with `_scan`."""
        try:
            records = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        # Fewer records than lines are records of several lines.
        if self._stretch.problem or len(records) != len(lines) or set(map(len, records)) != {self._width}:
            return None
        columns = list(zip(*records, strict=True))
        if self._unnamed:
            self._note_unnamed(["".join(column) for column in columns])
        absent = ("",) * len(lines)
        keys, names, aliases, descs = (columns[position] if position >= 0 else absent for position in self._positions)
        if self._header_key in keys or not self._rules.accept(keys, names, aliases, descs):
            return None
        text = "".join(lines)
        # A NUL spoils its row wherever it stands, and no field may hold one.
        if self._space_and_quote in text or (not self._records.only_fields and "\0" in text):
            return None
        if self._source.damage_in(text):
            return None
        return zip(itertools.count(first), keys, names, aliases, descs, self._records.of_columns(columns))

    def _scan(self, first: int, lines: list[str], used: int, rows: ReadRows, *, final: bool) -> int:
        """Add the rows of the next lines one by one, of enough lines to begin a plain look behind them.

        Returns:
            The number of lines that are behind us; a record that is still open is not.
        """
        until = used + LOOKED_AT_TOGETHER
        while used < min(until, len(lines)):
            taken = take_record(lines, used, self._delimiter)
            if taken.problem and taken.reaches_end and not final and _chars(lines[used:]) <= MAX_RECORD_CHARS:
                break
            problem = self._problem_of_quotes(lines, used, taken)
            if problem:
                rows.invalid.append(_malformed(first + used, lines[used], problem))
                used += 1
                continue
            if "".join(taken.cells).strip():
                last = final and used + taken.lines == len(lines)
                self._judge(first + used, taken, rows, ended=not last or lines[-1].endswith(("\n", "\r")))
            used += taken.lines
        return used

    def _problem_of_quotes(self, lines: list[str], used: int, taken: Taken) -> Problem | None:
        if taken.problem:
            cause = reason(taken.problem, self._delimiter, lines[used])
            spread = f"; {taken.lines} lines were read as one" if taken.lines > 1 and "closing" in cause else ""
            return record_problem(RecordKind.QUOTE, cause=cause + spread)
        inside = swallowed_rows(
            lines[used : used + taken.lines],
            taken.cells,
            delimiter=self._delimiter,
            required=self._positions[:2],
            width=self._width,
        )
        if not inside:
            return None
        cause = (
            f"opens a quote that closes in another row: {taken.lines} lines were read as one, and {inside} of them "
            f"{'is a row of its' if inside == 1 else 'are rows of their'} own; inside a quoted cell write quotes twice"
        )
        return record_problem(RecordKind.QUOTE, cause=cause)

    def _judge(self, line: int, taken: Taken, rows: ReadRows, *, ended: bool) -> None:
        """Look closely at a record."""
        cells = taken.cells
        damage = self._source.damage_in("\t".join(cells))
        if damage:
            unread = record_problem(RecordKind.ENCODING, cause=damage)
            rows.invalid.append((line, of_cells(cells), unread.code, unread.text))
            return
        marked = self._stretch.mark_of_conflict(cells[0], line)
        noise = None if marked else noise_of(cells)
        if noise:
            self.remarks.leave_out(line, noise)
            return
        problem = (
            marked or self._header_in_between(cells, line) or self._stretch.problem or self._misfit(cells, ended=ended)
        )
        if problem:
            spread = f", read from {taken.lines} lines: is a quote missing?" if taken.lines > 1 else ""
            rows.invalid.append((line, of_cells(cells), problem.code, problem.text + spread))
            return
        self._note_unnamed(cells)
        padded = cells + [""] * (self._width - len(cells))
        key, name, alias, desc = (padded[position] if position >= 0 else "" for position in self._positions)
        judged = self._rules.judge((key, name, alias, desc))
        if isinstance(judged, Problem):
            rows.invalid.append((line, of_cells(cells), judged.code, judged.text))
        else:
            rows.valid.append((line, *judged, of_cells(cells)))

    def _header_in_between(self, cells: list[str], line: int) -> Problem | None:
        if cells == self._header:
            return record_problem(RecordKind.HEADER)
        if not is_header(cells, self._key_of(cells)):
            return None
        if same_columns(cells, self._header or (), self._positions):
            return record_problem(RecordKind.HEADER)
        return self._stretch.other_header(line)

    def _key_of(self, cells: list[str]) -> str:
        position = self._positions[0]
        return cells[position] if position < len(cells) else ""

    def _note_unnamed(self, texts: list[str]) -> None:
        """Have the columns carried that have no name and are not blank in these rows."""
        telling = [at for at in self._unnamed if at < len(texts) and texts[at].strip()]
        for at in telling:
            self.remarks.carry(f"column {at + 1}, without a name")
            self._unnamed.remove(at)

    def _misfit(self, cells: list[str], *, ended: bool) -> Problem | None:
        if "\0" in "".join(cells):
            return record_problem(RecordKind.NUL)
        if len(cells) < self._named_width:
            return self._too_few(cells, ended=ended)
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._named_width :]):
            return self._wrong_width(cells, f"too many for the {self._named_width} columns of {self._whose()}")
        return None if self._lenient_keys else self._no_module(cells)

    def _no_module(self, cells: list[str]) -> Problem | None:
        if is_row_of_types(cells):
            return record_problem(RecordKind.TYPES)
        if self._key_of(cells).strip(" \t:：").casefold() in TOTALS:
            return record_problem(RecordKind.TOTAL)
        return None

    def _too_few(self, cells: list[str], *, ended: bool) -> Problem | None:
        """Say what is wrong with a row that lacks cells at its end: nothing, if no required field is among them."""
        few = f"too few for the {self._named_width} columns of {self._whose()}"
        if len(cells) < self._needed_width:
            return self._wrong_width(cells, few)
        if not ended:
            return self._wrong_width(cells, f"{few}, and no line end: is the file cut off? Complete its last line")
        return None

    def _wrong_width(self, cells: list[str], cause: str) -> Problem:
        count = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}"
        return record_problem(RecordKind.WIDTH, cells=count, cause=cause + why_divided(cells, self._delimiter))

    def _whose(self) -> str:
        return "the header" if self._header is not None else "the first rows"

    def _find_columns(self, settings: ReadSettings, delimiter: str) -> tuple[Header, dict[Field, int]]:
        """Return the header and the position of each field's column."""
        head = self._read_head(HEAD_LINES + settings.skip_lines)
        try:
            found = self._read_header(head, settings, delimiter)
            line = found.line or found.body + 1
            positions = self._names.resolve(found.names, file=self._source.name, line=line, hint=hint_of(found))
        except InputError:
            # Column names in another encoding are not recognised: the encoding is what must be named then.
            self._source.require_sound("".join(text for block in head for text in block.lines))
            raise
        if found.line:
            self._source.require_sound("".join(found.names), line=found.line)
        return found, positions

    def _read_header(self, blocks: list[Block], settings: ReadSettings, delimiter: str) -> Header:
        """Return the header; what follows it in the lines that were read is kept for `blocks`."""
        head = [line for block in blocks for line in block.lines]
        if settings.no_header:
            found = first_rows(head, delimiter=delimiter, skip_lines=settings.skip_lines)
            if found and not settings.columns:
                order = dict(itertools.islice(DEFAULT_ORDER.items(), len(found.names)))
                self._names = ColumnNames.parse(order, numbered=True)
        else:
            found = find_header(
                head, self._names, delimiter=delimiter, skip_lines=settings.skip_lines, file=self._source.name
            )
        if found is None:
            what = "no row" if settings.no_header else "not even a header"
            raise InputError(f"it is empty: {what} is in it", file=self._source.name)
        self._first = found.body + 1
        behind = (_behind(block, found.body) for block in blocks)
        self._blocks = itertools.chain([block for block in behind if block.lines], self._blocks)
        return found

    def _read_head(self, least: int) -> list[Block]:
        """Return the first lines, in which the header is: at least so many, if the file has them."""
        head: list[Block] = []
        for block in self._blocks:
            if block.cut:
                if not any(line.strip() for before in head for line in before.lines):
                    problem = f"the header has more than {MAX_RECORD_CHARS:,} characters"
                    raise InputError(problem, file=self._source.name, line=block.first)
                self._blocks = itertools.chain([block], self._blocks)
                break
            head.append(block)
            if block.first + len(block.lines) > least:
                break
        return head


def _behind(block: Block, lines: int) -> Block:
    """Return what a block has behind the first so many lines of the file."""
    done = min(max(lines - block.first + 1, 0), len(block.lines))
    return Block(block.first + done, block.lines[done:])


def _malformed(line: int, text: str, problem: Problem) -> InvalidRow:
    return line, of_line(text), problem.code, problem.text


def _chars(lines: list[str]) -> int:
    return sum(map(len, lines))


def _said_delimiter(settings: ReadSettings, format: str) -> str:  # noqa: A002 - its name
    """Return the delimiter as asked for; empty: as the header says."""
    if settings.delimiter is None:
        return "\t" if format == "tsv" else ""
    return parse_delimiter(settings.delimiter)


def _without_blank_end(header: list[str]) -> list[str]:
    blank = sum(1 for _ in itertools.takewhile(lambda name: not name.strip(), reversed(header)))
    return header[: len(header) - blank]
