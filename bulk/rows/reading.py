"""Open an input as rows: choose the format, open the bytes, yield the rows in batches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.errors import InputError, SettingsError
from bulk.model import InputFound, ReadRows
from bulk.model.inputs import WORKBOOK_SUFFIXES
from bulk.rows.columns import ColumnNames
from bulk.rows.fields import ACCOUNT_ROWS, ROWS
from bulk.rows.jsonlines import JsonLinesReader
from bulk.rows.tabular.delimited import DelimitedReader
from bulk.rows.text.layouts import likely_format, other_layout
from bulk.rows.text.lines import LineSource
from bulk.rows.text.source import STDIN, asks_a_person, is_zip, open_bytes
from bulk.rows.workbooks.sheet import open_sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk.model import AccountNames
    from bulk.rows.fields import Sought
    from bulk.rows.shape import InputShape
    from bulk.rows.text.source import ByteStream, Opened
    from bulk.rows.workbooks.sheet import SheetSource
    from bulk.settings import ReadSettings

__all__ = ["RowReader", "open_input"]

WORKBOOK = "xlsx"
FORMAT_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    **dict.fromkeys(WORKBOOK_SUFFIXES, WORKBOOK),
}
FORMAT_BY_NAME = {suffix.removeprefix("."): known for suffix, known in FORMAT_BY_SUFFIX.items()}


class RowReader:
    """The rows of an open input, to be read once."""

    def __init__(
        self,
        name: str,
        reader: DelimitedReader | JsonLinesReader,
        *,
        sha256: Callable[[], str],
        sheet: SheetSource | None = None,
    ) -> None:
        self.name = name
        """The input as the user named it."""

        self.shape: InputShape = reader.shape
        """Layout of its records."""

        self.sha256 = sha256
        """Returns the SHA-256 of the input's bytes, if it is a file. Call it after the rows were read."""

        self._reader = reader
        self._sheet = sheet

    @property
    def found(self) -> InputFound:
        """What was found in the input so far: complete once all rows are read."""
        return InputFound(
            format=self.shape.format,
            encoding=self.shape.encoding,
            delimiter=None if self._sheet else self.shape.delimiter,
            header_line=self.shape.header_line,
            columns=self.shape.columns,
            carried=self._reader.remarks.carried,
            notices=(*(self._sheet.notices if self._sheet else ()), *self._reader.remarks.notices()),
            accounts_column=self._reader.accounts.has_column,
            sheet=self._sheet.sheet if self._sheet else None,
        )

    def batches(self, size: int = 1000) -> Iterator[ReadRows]:
        """Yield all rows in file order, in batches of ``size`` or more; the last has the rest. None is empty.

        Raises:
            InputError: The file can't be read or decoded to its end.
        """
        waiting = ReadRows()
        for rows in self._reader.blocks():
            waiting.valid.extend(rows.valid)
            waiting.invalid.extend(rows.invalid)
            waiting.accounts.extend(rows.accounts)
            if len(waiting) >= size:
                yield waiting
                waiting = ReadRows()
        if waiting:
            yield waiting


@contextmanager
def open_input(
    path: str,
    settings: ReadSettings,
    *,
    accounts: AccountNames | None = None,
    stdin: ByteStream | None = None,
    while_waiting: Callable[[], None] = lambda: None,
    sought: Sought = ROWS,
) -> Iterator[RowReader]:
    """Open an input and read its header.

    Args:
        path: A file's path, or ``-`` for stdin.
        settings: How to read it.
        accounts: Which accounts its rows may name; ``None``: the settings name none, so a column Account is carried.
        stdin: Used instead of the process's own stdin, if given.
        while_waiting: Called repeatedly while a pipe is silent; an exception from it ends the reading.
        sought: Which fields to look for.

    Raises:
        InputError: The whole input can't be read.
        SettingsError: Format, encoding, delimiter or ``--map`` can't be used.
    """
    said = _said_format(settings.format)
    if path == STDIN and said is None and asks_a_person(stdin):
        raise _no_format(path)
    expected = said or _format_of_name(path)
    sought = ACCOUNT_ROWS if accounts else sought
    with open_bytes(path, stdin=stdin, while_waiting=while_waiting, format=expected) as opened:
        # Checked only now: an input that is no table is refused first, and advice on formats would not help there.
        if expected != WORKBOOK or not is_zip(opened.head):
            chosen = None if expected == WORKBOOK else expected
            text = _text_reader(opened, path, settings, chosen=chosen, sought=sought, accounts=accounts)
            yield RowReader(path, text, sha256=opened.sha256)
            return
        with open_sheet(opened.stream, name=path, sheet=settings.sheet, while_waiting=while_waiting) as sheet:
            reader = DelimitedReader(sheet, settings, format=WORKBOOK, sought=sought, accounts=accounts)
            yield RowReader(path, reader, sha256=opened.sha256, sheet=sheet)


def _text_reader(
    opened: Opened,
    path: str,
    settings: ReadSettings,
    *,
    chosen: str | None,
    sought: Sought,
    accounts: AccountNames | None,
) -> DelimitedReader | JsonLinesReader:
    if settings.sheet is not None:
        raise SettingsError("--sheet is for workbooks, and this is none: leave it out")
    if chosen and path.lower().endswith(".gz") and opened.head and not opened.is_packed:
        message = "its name ends in .gz, but it holds no gzip data; rename it or fetch it again"
        raise InputError(message, file=path)
    source = LineSource(opened, name=path, encoding=settings.encoding, heading_lines=int(chosen != "jsonl"))
    layout = "csv" if chosen == "tsv" and settings.delimiter else chosen
    names = ColumnNames.parse(settings.columns, sought=sought)
    likely = chosen or likely_format(source.beginning, names)
    other = other_layout(source.beginning, names, chosen=layout or likely or "csv")
    if other:
        raise InputError(other, file=path)
    if chosen is None:
        raise _no_format(path, likely, is_no_workbook=settings.format is not None)
    if chosen == "jsonl":
        return JsonLinesReader(source, settings, sought=sought, accounts=accounts)
    return DelimitedReader(source, settings, format=chosen, sought=sought, accounts=accounts)


def _said_format(said: str | None) -> str | None:
    if said is not None and said.lower() not in FORMAT_BY_NAME:
        raise SettingsError(f"--format {said}: choose csv, tsv or jsonl, or xlsx for a workbook")
    return said and FORMAT_BY_NAME[said.lower()]


def _format_of_name(path: str) -> str | None:
    name = path.lower().removesuffix(".gz")
    return next((known for suffix, known in FORMAT_BY_SUFFIX.items() if name.endswith(suffix)), None)


def _no_format(path: str, likely: str | None = None, *, is_no_workbook: bool = False) -> InputError:
    why = "stdin has no name to tell its format" if path == STDIN else "its name does not tell its format"
    if is_no_workbook or path.lower().endswith(WORKBOOK_SUFFIXES):
        why = "it is no workbook, but text"
    looks = f" (it looks like {likely})" if likely else ", or xlsx for a workbook" if path == STDIN else ""
    return InputError(f"{why}; add --format csv, tsv or jsonl{looks}", file=path)
