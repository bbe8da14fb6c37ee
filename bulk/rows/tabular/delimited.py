"""Read rows from CSV and TSV: the header, then record after record, and no bad record spoils another.

Records must follow RFC 4180 strictly. A record may break it: text after a closing quote, a quote that is never closed,
a field without end. Then its first line is an invalid row, and reading goes on with the next line. So a lost quote
costs one row, not the rest of the file. The same applies if a quote closes only lines later and swallowed rows: see
`bulk.rows.tabular.quotes`. A row may lack its last cells if no required field is in them. It may also have extra blank
cells.
"""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING

from bulk.legible import legible
from bulk.model import ReadRows
from bulk.rows.accounts import RowAccounts
from bulk.rows.fields import ROWS, Field
from bulk.rows.problems import RecordKind, record_problem
from bulk.rows.record import CellRecords, of_line
from bulk.rows.shape import InputShape
from bulk.rows.tabular.header import reason
from bulk.rows.tabular.heading import read_heading
from bulk.rows.tabular.judging import RecordJudge
from bulk.rows.tabular.quotes import swallowed_rows, take_record
from bulk.rows.text.lines import LOOKED_AT_TOGETHER, MAX_RECORD_CHARS
from bulk.rows.validate import Rules
from bulk.settings import parse_delimiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.model import AccountNames, InvalidRow, ValidRow
    from bulk.rows.fields import Sought
    from bulk.rows.problems import Problem
    from bulk.rows.tabular.quotes import Taken
    from bulk.rows.text.lines import TableSource
    from bulk.settings import ReadSettings

__all__ = ["DelimitedReader"]


class DelimitedReader:
    """The rows of a CSV or TSV file, or of a workbook's sheet that is read like one."""

    def __init__(
        self,
        source: TableSource,
        settings: ReadSettings,
        *,
        format: str,  # noqa: A002 - its name
        sought: Sought = ROWS,
        accounts: AccountNames | None = None,
    ) -> None:
        """Read the header.

        Raises:
            SettingsError: Delimiter or ``--map`` can't be used.
            InputError: The file is empty or its header lacks a column.
        """
        self._source = source
        heading = read_heading(
            source, settings, _said_delimiter(settings, format), sought=sought, is_sheet=format == "xlsx"
        )
        found, self._delimiter = heading.header, heading.header.delimiter
        self._first, self._blocks = heading.first, heading.body
        self._rules = Rules.of(settings)
        self._account_at = heading.positions.get(Field.ACCOUNT)
        self.accounts = RowAccounts(accounts, has_column=self._account_at is not None)
        self.accounts.require(found.names, file=source.name, line=found.line or heading.first)
        self._judge = RecordJudge(heading, self._rules, self.accounts, lenient_keys=settings.lenient_keys)
        self._positions = heading.of_fields
        self._fill = sought.fill
        self._telling = heading.positions[sought.required[0]]
        self._telling_name = found.names[self._telling]
        self._width = len(found.names)
        self._records = CellRecords(self._positions, self._width)
        self._space_and_quote = f'{self._delimiter} "'
        self.remarks = self._judge.remarks
        self.shape = InputShape(
            format,
            source.encoding,
            self._delimiter,
            tuple(found.names),
            {str(field): found.names[position] for field, position in heading.positions.items()},
            above=tuple(map(legible, found.above)),
            header_line=found.line,
        )

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
                yield ReadRows(invalid=[self._malformed(block.first, block.lines[0], problem)])
                first, lines = block.first + 1, []
            else:
                first, lines = first + used, lines[used:] + block.lines
        yield self._read(first, lines, final=True)[0]

    def _read(self, first: int, lines: list[str], *, final: bool) -> tuple[ReadRows, int]:
        """Return the rows of these lines and how many lines were used. A record still open is left for later."""
        rows = ReadRows()
        used = 0
        while used < len(lines):
            plain = self._plain(first + used, lines[used : used + LOOKED_AT_TOGETHER])
            if plain is not None:
                rows.valid.extend(plain[0])
                rows.accounts.extend(plain[1])
                used = min(used + LOOKED_AT_TOGETHER, len(lines))
                continue
            done = self._scan(first, lines, used, rows, final=final)
            if done == used:
                break
            used = done
        return rows, used

    def _plain(self, first: int, lines: list[str]) -> tuple[Iterator[ValidRow], Sequence[str]] | None:
        """Return the rows and their accounts if all lines are valid as they are; ``None``: use `_scan`."""
        if self._judge.stretch.problem or not self._source.is_flawless(first, len(lines), self._positions):
            return None
        try:
            records = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        # If there are fewer records than lines, some records have several lines.
        if len(records) != len(lines) or set(map(len, records)) != {self._width}:
            return None
        columns = list(zip(*records, strict=True))
        if self._judge.awaits_unnamed:
            self._judge.note_unnamed(["".join(column) for column in columns])
        keys, names, aliases, descs = (
            columns[position] if position >= 0 else (fill,) * len(lines)
            for position, fill in zip(self._positions, self._fill, strict=True)
        )
        accounts = self.accounts.accept(None if self._account_at is None else columns[self._account_at], len(lines))
        is_header = self._telling_name in columns[self._telling]
        if accounts is None or is_header or not self._rules.accept(keys, names, aliases, descs):
            return None
        text = "".join(lines)
        # A NUL in any cell makes its row invalid, and no field may contain one.
        has_nul = not self._records.only_fields and "\0" in text
        if self._space_and_quote in text or has_nul or self._source.damage_in(text):
            return None
        return zip(itertools.count(first), keys, names, aliases, descs, self._records.of_columns(columns)), accounts

    def _scan(self, first: int, lines: list[str], used: int, rows: ReadRows, *, final: bool) -> int:
        """Add the rows of the next lines one by one, until a quick check can start again.

        Returns:
            The number of lines used so far, without a record that is still open.
        """
        until = used + LOOKED_AT_TOGETHER
        while used < min(until, len(lines)):
            taken = take_record(lines, used, self._delimiter)
            if taken.problem and taken.reaches_end and not final and _chars(lines[used:]) <= MAX_RECORD_CHARS:
                break
            problem = self._problem_of_quotes(lines, used, taken)
            if problem:
                rows.invalid.append(self._malformed(first + used, lines[used], problem))
                used += 1
                continue
            if "".join(taken.cells).strip():
                last = final and used + taken.lines == len(lines)
                ended = not last or lines[-1].endswith(("\n", "\r"))
                damage = self._source.damage_in("\t".join(taken.cells))
                flaws = self._source.flaws_of(first + used)
                self._judge.judge(first + used, taken, rows, damage=damage, flaws=flaws, ended=ended)
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

    def _malformed(self, line: int, text: str, problem: Problem) -> InvalidRow:
        return line, of_line(text), problem.code, problem.text, self.accounts.of_unread


def _chars(lines: list[str]) -> int:
    return sum(map(len, lines))


def _said_delimiter(settings: ReadSettings, format: str) -> str:  # noqa: A002 - its name
    """Return the requested delimiter; empty: find it in the header."""
    if format == "xlsx":
        return ","
    if settings.delimiter is None:
        return "\t" if format == "tsv" else ""
    return parse_delimiter(settings.delimiter)
