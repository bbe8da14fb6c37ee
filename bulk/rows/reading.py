"""Open an input as rows: choose the format, open the bytes, hand the rows out in batches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.errors import InputError, SettingsError
from bulk.model import InputFound, ReadRows
from bulk.rows.columns import ColumnNames
from bulk.rows.delimited import DelimitedReader
from bulk.rows.jsonlines import JsonLinesReader
from bulk.rows.layouts import likely_format, other_layout
from bulk.rows.lines import LineSource
from bulk.rows.source import STDIN, asks_a_person, open_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk.model import AccountNames
    from bulk.rows.shape import InputShape
    from bulk.rows.source import ByteStream
    from bulk.settings import ReadSettings

__all__ = ["RowReader", "open_input"]

FORMAT_BY_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
FORMAT_BY_NAME = {suffix.removeprefix("."): known for suffix, known in FORMAT_BY_SUFFIX.items()}


class RowReader:
    """The rows of an open input, to be read once."""

    def __init__(self, name: str, reader: DelimitedReader | JsonLinesReader) -> None:
        self.name = name
        """The input as the user named it."""

        self.shape: InputShape = reader.shape
        """How its records are laid out."""

        self._reader = reader

    @property
    def found(self) -> InputFound:
        """What was found of the input so far: all of it, once all rows are read."""
        return InputFound(
            format=self.shape.format,
            encoding=self.shape.encoding,
            delimiter=self.shape.delimiter,
            header_line=self.shape.header_line,
            columns=self.shape.columns,
            carried=self._reader.remarks.carried,
            notices=tuple(self._reader.remarks.notices()),
            accounts_column=self._reader.accounts.has_column,
        )

    def batches(self, size: int = 1000) -> Iterator[ReadRows]:
        """Yield all rows in file order, some more than ``size`` at a time, at the end what is left; none is empty.

        Raises:
            InputError: The file can't be read or decoded to its end; no such row is a row.
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
) -> Iterator[RowReader]:
    """Open an input and read its header.

    Args:
        path: A file's path, or ``-`` for stdin.
        settings: How it is read.
        accounts: Which accounts its rows may name; ``None``: the settings name none, so a column Account is carried.
        stdin: What stands for stdin; the process's own if not given.
        while_waiting: Called again and again while a pipe is silent; what it raises ends the reading.

    Raises:
        InputError: The input as a whole can't be read.
        SettingsError: Format, encoding, delimiter or ``--map`` can't be used.
    """
    said = _said_format(settings.format)
    if path == STDIN and said is None and asks_a_person(stdin):
        raise _no_format(path)
    with open_bytes(path, stdin=stdin, while_waiting=while_waiting) as opened:
        # Only now: what is no table of text has been refused under whatever name, and needs no advice on formats.
        chosen = said or _format_of_name(path)
        if chosen and path.lower().endswith(".gz") and opened.head and not opened.is_packed:
            message = "its name ends in .gz, but it holds no gzip data; rename it or fetch it again"
            raise InputError(message, file=path)
        source = LineSource(opened, name=path, encoding=settings.encoding, heading_lines=int(chosen != "jsonl"))
        layout = "csv" if chosen == "tsv" and settings.delimiter else chosen
        names = ColumnNames.parse(settings.columns)
        likely = chosen or likely_format(source.beginning, names)
        other = other_layout(source.beginning, names, chosen=layout or likely or "csv")
        if other:
            raise InputError(other, file=path)
        if chosen is None:
            raise _no_format(path, likely)
        if chosen == "jsonl":
            yield RowReader(path, JsonLinesReader(source, settings, accounts=accounts))
        else:
            yield RowReader(path, DelimitedReader(source, settings, format=chosen, accounts=accounts))


def _said_format(said: str | None) -> str | None:
    if said is not None and said.lower() not in FORMAT_BY_NAME:
        raise SettingsError(f"--format {said}: choose csv, tsv or jsonl")
    return said and FORMAT_BY_NAME[said.lower()]


def _format_of_name(path: str) -> str | None:
    name = path.lower().removesuffix(".gz")
    return next((known for suffix, known in FORMAT_BY_SUFFIX.items() if name.endswith(suffix)), None)


def _no_format(path: str, likely: str | None = None) -> InputError:
    why = "stdin has no name to tell its format" if path == STDIN else "its name does not tell its format"
    looks = f" (it looks like {likely})" if likely else ""
    return InputError(f"{why}; add --format csv, tsv or jsonl{looks}", file=path)
