"""Scan a sheet's XML for what its reader leaves out: errors, formats, formulas without a result, hidden rows.

python-calamine returns an error as an empty cell, and a number without its format. It also allocates memory for all
cells between the first and the last one. So the sheet is scanned first. A quick scan finds whether anything may be odd;
only then is the sheet parsed element by element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from bulk.errors import InputError
from bulk.rows.workbooks.package import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.rows.workbooks.package import Package, Sheet

__all__ = ["Content", "Odd", "OddKind", "has_content", "look_through"]

MAX_CELLS = 32_000_000
"""Most cells between the first row and column and the last: all rows that Excel allows, with 30 columns."""

SUSPECTS = (
    *(b'="e"', b"<f>", b"<f ", b'hidden="1', b'hidden="t'),  # errors, formulas, hidden rows
    *(b"='", b" =", b"= ", b":c ", b":c>", b"<c>", b"<c s", b"<c t", b"<!DOCTYPE", b"\0"),  # XML in another style
)
"""Bytes of XML that may mean something odd. XML in an unusual style is parsed too, to be safe."""

FAR = re.compile(
    rb'r="(?:(?:A[E-Z]|[B-Z][A-Z]|[A-Z]{3})[0-9]|[A-Z]+(?:[2-9][0-9]{6}|1[1-9][0-9]{5}|10[5-9][0-9]{4}|[0-9]{8}))'
)
"""A cell beyond the 30th column, or beyond the last possible row."""

OVERLAP_BYTES = 64
END = b"</worksheet>"

PLAIN_FORMATS = frozenset({"#0", "#49", "General", "@"})
"""Number formats that change nothing: general, and text."""

COLUMN_BITS = 14
"""A sheet has up to 16,384 columns."""


class OddKind(Enum):
    """What the reader does not tell about a cell."""

    ERROR = auto()  #: the text is the error
    FORMAT = auto()  #: a number; the text is its format
    UNCALCULATED = auto()  #: a formula without a stored result


class Odd(NamedTuple):
    """A cell about which the reader does not tell everything."""

    kind: OddKind
    text: str


UNCALCULATED = Odd(OddKind.UNCALCULATED, "")


@dataclass(slots=True)
class Content:
    """What was found in a sheet."""

    odd: dict[int, Odd] = field(default_factory=dict)
    """Odd cells by row and column in one number: a million keys need only the memory of a million numbers."""

    hidden_rows: int = 0
    last_row: int = -1
    """The last row with a value, starting at 0."""

    last_column: int = -1

    def odd_in(self, row: int, column: int) -> Odd | None:
        """Return what is odd about a cell, if anything."""
        return self.odd.get(row << COLUMN_BITS | column)


class _Enough(Exception):  # noqa: N818 - no error
    """The answer is known: parsing can stop."""


class _Look:
    """Handles a sheet's elements while it is parsed."""

    def __init__(self, parser: expat.XMLParserType, formats: Mapping[str, Odd], *, first_only: bool) -> None:
        self.content = Content()
        self._parser = parser
        self._formats = formats
        self._first_only = first_only
        self._row = self._column = -1
        self._is_hidden = False
        self._kind: str | None = None
        self._style = ""
        self._columns: dict[str, int] = {}
        self._errors: dict[str, Odd] = {}
        self._text: list[str] = []
        self._tags: dict[str, str] = {}
        parser.StartElementHandler = self._start

    def _start(self, tag: str, own: dict[str, str]) -> None:
        local = self._tags.get(tag) or self._tags.setdefault(tag, tag.rpartition(":")[2])
        if local == "c":
            reference = own.get("r")
            self._column = self._column_of(reference) if reference else self._column + 1
            self._kind, self._style = own.get("t"), own.get("s", "")
        elif local in {"v", "is"}:
            self._value(local)
        elif local == "f":
            if self._kind != "str":
                self.content.odd[self._row << COLUMN_BITS | self._column] = UNCALCULATED
        elif local == "row":
            number = own.get("r")
            self._row = int(number) - 1 if number else self._row + 1
            self._column = -1
            self._is_hidden = own.get("hidden") in {"1", "true"}
            self.content.hidden_rows += self._is_hidden

    def _value(self, local: str) -> None:
        if self._first_only:
            raise _Enough
        content, at = self.content, self._row << COLUMN_BITS | self._column
        content.last_row = max(content.last_row, self._row)
        content.last_column = max(content.last_column, self._column)
        if self._kind == "e" or (at in content.odd and local == "v"):
            self._text = []
            self._parser.CharacterDataHandler = self._text.append
            self._parser.EndElementHandler = self._end
        elif self._style in self._formats and self._kind in {None, "n"}:
            content.odd[at] = self._formats[self._style]

    def _end(self, tag: str) -> None:
        if self._tags.get(tag) != "v":
            return
        self._parser.CharacterDataHandler = self._parser.EndElementHandler = None
        odd, at = self.content.odd, self._row << COLUMN_BITS | self._column
        text = "".join(self._text).strip()
        if text or self._kind == "e":
            odd.pop(at, None)
        if self._kind == "e":
            odd[at] = self._errors.setdefault(text, Odd(OddKind.ERROR, text or "#N/A"))
        elif text and self._style in self._formats and self._kind in {None, "n"}:
            odd[at] = self._formats[self._style]

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            number = 0
            for letter in letters.upper():
                number = number * 26 + ord(letter) - ord("A") + 1
            found = self._columns[letters] = number - 1
        return found


def look_through(package: Package, sheet: Sheet, *, file: str) -> Content:
    """Return what the reader does not tell about a sheet.

    Raises:
        InputError: The sheet is damaged, or too large.
    """
    formats = package.formats()
    if not _may_be_odd(package.read(sheet.part), formats):
        return Content()
    content = _looked(package.read(sheet.part), formats, file=file)
    rows, columns = content.last_row + 1, content.last_column + 1
    if rows * columns > MAX_CELLS:
        raise InputError(
            f"the cells of sheet {sheet.name!r} are spread over {rows:,} rows and {columns:,} columns: clear what is"
            " far from the table, or save the sheet as CSV (UTF-8)",
            file=file,
        )
    return content


def has_content(package: Package, sheet: Sheet, *, file: str) -> bool:
    """Say whether a sheet has a cell with a value."""
    if not sheet.holds_cells:
        return False
    try:
        _looked(package.read(sheet.part), (), file=file, first_only=True)
    except _Enough:
        return True
    return False


def _may_be_odd(chunks: Iterator[bytes], formats: Sequence[str]) -> bool:
    """Say quickly whether anything in a sheet may be odd. If nothing is, the whole sheet is unpacked."""
    styles = [b' s="%d"' % style for style, code in enumerate(formats) if code not in PLAIN_FORMATS]
    suspects, before = (*SUSPECTS, *styles), b""
    for chunk in chunks:
        text = before + chunk
        if any(suspect in text for suspect in suspects) or FAR.search(text):
            return True
        before = text[-OVERLAP_BYTES:]
    return not before.rstrip().endswith(END)


def _looked(chunks: Iterator[bytes], formats: Sequence[str], *, file: str, first_only: bool = False) -> Content:
    telling = {str(style): Odd(OddKind.FORMAT, code) for style, code in enumerate(formats) if code not in PLAIN_FORMATS}
    parser = expat.ParserCreate()
    look = _Look(parser, telling, first_only=first_only)
    try:
        parse(parser, chunks, file=file)
    except ValueError as exc:
        raise InputError(f"sheet XML is damaged ({exc}): open the workbook, save it again", file=file) from exc
    return look.content
