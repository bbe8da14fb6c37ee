"""Read a sheet of a workbook as lines of CSV, one for each row, so that all rules for tables of text apply to it.

A cell is read as a person sees it. A cell has a flaw if a person can't see its value, or if the value is not what was
entered. If a field comes from such a cell, the row is invalid. Hidden rows and columns are read, as by programs that
save CSV. Of merged cells only the first has the value. The others are flaws: the value may or may not be meant for all.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import itertools
import tempfile
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from bulk.distribution import DISTRIBUTION
from bulk.errors import InputError
from bulk.legible import legible
from bulk.rows.problems import Flaw
from bulk.rows.text.lines import Block
from bulk.rows.workbooks.cells import OddKind, has_content, look_through
from bulk.rows.workbooks.package import Package, broken
from bulk.rows.workbooks.shown import is_beyond_digits, shown, shown_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from bulk.rows.text.source import ByteStream
    from bulk.rows.workbooks.cells import Content, Odd
    from bulk.rows.workbooks.package import Sheet
    from bulk.rows.workbooks.shown import Value

__all__ = ["SheetSource", "open_sheet"]

AS_CSV = "save the sheet as CSV (UTF-8)"
IN_MEMORY_BYTES = 8 << 20
MAX_PACKED_BYTES = 256 << 20
ROWS_A_BLOCK = 480

ENCODING = "utf-8-sig"
"""Encoding of the rows written to try again: its mark tells spreadsheet programs that the CSV is UTF-8."""


AS_TEXT = "format the column as text and enter it again"
ERROR = Flaw("is the error of a formula: correct the formula, or clear the cell")
UNCALCULATED = Flaw("is a formula without a result: open the workbook in a spreadsheet program, save it and run again")
LOST_DIGITS = Flaw(f"is a number of more than 15 digits, and a cell keeps only 15: {AS_TEXT}")
DATE = Flaw(f"is a date or a time, which spreadsheet programs make of what looks like one: {AS_TEXT}", only_keys=True)
UNREAD_FORMAT = Flaw(f"is a number, shown in a format that is not read here: {AS_TEXT}")
MERGED = Flaw("is in a merged cell, of which only the first has the value: unmerge it and fill in each cell")


class SheetSource:
    """The rows of a sheet, in the form in which `bulk.rows.text.lines.LineSource` gives those of a text."""

    encoding = ENCODING

    def __init__(
        self,
        rows: Iterable[Sequence[Value]],
        content: Content,
        *,
        name: str,
        sheet: str,
        merged: Sequence[tuple[tuple[int, int], tuple[int, int]]] = (),
    ) -> None:
        """Take the contents of a sheet.

        Args:
            rows: The sheet's rows, from the first column on.
            content: What the reader does not tell about them.
            name: The input as the user named it.
            sheet: The sheet's name.
            merged: Ranges of merged cells: first and last cell of each, by row and column from 0.
        """
        self.name = name
        self.sheet = sheet
        self._merged = merged
        self._rows = rows
        self._content = content
        self._flaws: dict[int, dict[int, Flaw]] = {}

    @property
    def notices(self) -> Iterator[str]:
        """What the user should know about the sheet."""
        hidden = self._content.hidden_rows
        if hidden:
            yield f"Read like the others: {hidden:,} hidden row{'' if hidden == 1 else 's'} of sheet {self.sheet!r}"

    def blocks(self) -> Iterator[Block]:
        """Yield a line for each row, once. A line contains line breaks if a cell does."""
        lines: list[str] = []
        write = csv.writer(cast("Any", SimpleNamespace(write=lines.append)), lineterminator="\r\n").writerow
        merged = _Merged(self._merged)
        first = 1
        for number, row in enumerate(self._rows):
            write(self._cells(number, row, merged.columns(number)))
            if len(lines) == ROWS_A_BLOCK:
                yield Block(first, lines[:])
                first += len(lines)
                lines.clear()
        if lines:
            yield Block(first, lines[:])

    def damage_in(self, text: str) -> str | None:
        """Return ``None``: no text of a workbook is in a wrong encoding."""
        del text
        return None

    def require_sound(self, text: str, *, line: int | None = None) -> None:
        """Accept every header: see `damage_in`."""

    def is_flawless(self, first: int, lines: int, columns: Collection[int]) -> bool:
        """Say quickly that these lines have no flaw in these columns."""
        if not self._flaws:
            return True
        flawed = [line for line in range(first, first + lines) if line in self._flaws]
        if any(not self._flaws[line].keys().isdisjoint(columns) for line in flawed):
            return False
        for line in flawed:
            del self._flaws[line]
        return True

    def flaws_of(self, line: int) -> dict[int, Flaw]:
        """Return the flaws of a line by column. Call it once for each line."""
        return self._flaws.pop(line, {})

    def _cells(self, number: int, row: Sequence[Value], merged: Collection[int]) -> list[str]:
        cells = []
        flaws = dict.fromkeys(merged, MERGED)
        odd_in = self._content.odd_in if self._content.odd else None
        for column, value in enumerate(row):
            odd = odd_in(number, column) if odd_in else None
            if type(value) is str and odd is None and "_x" not in value:
                cells.append(value)
                continue
            text, flaw = _text_and_flaw(value, odd)
            cells.append(text)
            if flaw:
                flaws[column] = flaw
        if flaws:
            self._flaws[number + 1] = flaws
        return cells


def _text_and_flaw(value: Value, odd: Odd | None) -> tuple[str, Flaw | None]:
    code = "General"
    match odd:
        case (OddKind.ERROR, text):
            return text, ERROR
        case (OddKind.UNCALCULATED, _):
            return shown(value), UNCALCULATED
        case (OddKind.FORMAT, text):
            code = text
    text = shown(value, code)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return text, DATE
    if isinstance(value, float | int) and not isinstance(value, bool):
        if is_beyond_digits(value):
            return text, LOST_DIGITS
        if shown_number(value, code) is None:
            return text, UNREAD_FORMAT
    return text, None


class _Merged:
    """Tells for one row after the other which columns have no value of their own."""

    def __init__(self, ranges: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        self._coming = sorted(ranges, reverse=True)
        self._open: list[tuple[tuple[int, int], tuple[int, int]]] = []

    def columns(self, row: int) -> Collection[int]:
        """Return these columns of a row."""
        while self._coming and self._coming[-1][0][0] <= row:
            self._open.append(self._coming.pop())
        if not self._open:
            return ()
        self._open = [each for each in self._open if each[1][0] >= row]
        return {column for (top, left), (_, right) in self._open for column in range(left + (row == top), right + 1)}


@contextmanager
def open_sheet(
    stream: ByteStream, *, name: str, sheet: str | None, while_waiting: Callable[[], None]
) -> Iterator[SheetSource]:
    """Open a sheet of a workbook.

    Args:
        stream: The workbook's bytes.
        name: The input as the user named it.
        sheet: The sheet's name; ``None``: the only one with content.
        while_waiting: Called repeatedly; an exception from it ends the reading.

    Raises:
        InputError: It can't be read, or several sheets may be meant.
    """
    try:
        import python_calamine  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise InputError(
            f"to read a workbook, python-calamine is needed: `pip install '{DISTRIBUTION}[excel]'`, or {AS_CSV}",
            file=name,
        ) from exc
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
        _copy(stream, cast("BinaryIO", file), name=name)
        package = Package(cast("BinaryIO", file), name, while_waiting=while_waiting)
        chosen = _chosen(package, sheet, file=name)
        content = look_through(package, chosen, file=name)
        package.weigh_texts()
        while_waiting()
        file.seek(0)
        with _translated(python_calamine, name):
            workbook = python_calamine.CalamineWorkbook.from_filelike(file)
            read = workbook.get_sheet_by_index(chosen.place)
            merged = read.merged_cell_ranges or ()
        before = [""] * (read.start[1] if read.start else 0)

        def rows() -> Iterator[Sequence[Value]]:
            with _translated(python_calamine, name):
                for row in read.iter_rows():
                    yield before + row

        yield SheetSource(rows(), content, name=name, sheet=chosen.name, merged=merged)


@contextmanager
def _translated(library: Any, name: str) -> Iterator[None]:  # noqa: ANN401 - an extra: it may not be there
    """Translate the library's exceptions.

    Raises:
        InputError: The library raised one.
    """
    try:
        yield
    except library.PasswordError as exc:
        raise InputError(f"it is protected by a password: take the password away, or {AS_CSV}", file=name) from exc
    except (library.CalamineError, OverflowError, ValueError) as exc:
        raise broken(name, str(exc)) from exc
    except BaseException as exc:
        # A panic in the library, such as for a date in the year 300,000: its class can't be imported.
        if type(exc).__name__ != "PanicException":
            raise
        raise broken(name, str(exc)) from exc


def _copy(stream: ByteStream, file: BinaryIO, *, name: str) -> None:
    from bulk.rows.text.source import reading  # noqa: PLC0415 - it loads the table of file kinds, which covers workbooks

    size = 0
    with reading(name):
        while chunk := stream.read(1 << 20):
            size += len(chunk)
            if size > MAX_PACKED_BYTES:
                raise InputError(
                    f"a workbook of more than {MAX_PACKED_BYTES >> 20} MiB is not read; {AS_CSV}, which may be of any"
                    " size",
                    file=name,
                )
            file.write(chunk)
    file.seek(0)


def _chosen(package: Package, named: str | None, *, file: str) -> Sheet:
    sheets = package.sheets()
    if named is not None:
        return _named(sheets, named, file=file)
    full = [sheet for sheet in sheets if has_content(package, sheet, file=file)]
    seen = [sheet for sheet in full if not sheet.is_hidden]
    if len(seen) == 1:
        return seen[0]
    if not full:
        raise InputError("it is empty: no sheet of it has a cell with a value", file=file)
    if not seen:
        raise InputError(f"all its sheets are hidden: choose one with --sheet: {_listed(full)}", file=file)
    raise InputError(
        f"it has {len(seen)} sheets, and which one is meant is not clear: choose one with --sheet: {_listed(seen)}",
        file=file,
    )


def _named(sheets: Sequence[Sheet], named: str, *, file: str) -> Sheet:
    tables = [sheet for sheet in sheets if sheet.holds_cells]
    for same in (str, lambda name: name.strip().casefold()):
        found = next((sheet for sheet in tables if same(sheet.name) == same(named)), None)
        if found:
            return found
    close = difflib.get_close_matches(named, [sheet.name for sheet in tables], n=1)
    hint = f"did you mean {legible(close[0])!r}?" if close else f"its sheets are {_listed(tables)}"
    if close and len(tables) > 1:
        hint += f" Its sheets are {_listed(tables)}"
    raise InputError(f"there is no sheet {named!r}; {hint}", file=file)


def _listed(sheets: Sequence[Sheet]) -> str:
    shown_names = ", ".join(repr(sheet.name) for sheet in itertools.islice(sheets, 20))
    return shown_names + (f" and {len(sheets) - 20} more" if len(sheets) > 20 else "")  # noqa: PLR2004 - as above
