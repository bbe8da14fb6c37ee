"""Open a workbook as an archive of XML files: its sheets and number formats, within limits of size.

Sizes that the archive claims are not trusted: each part is unpacked here before any other code unpacks it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from xml.parsers import expat

from bulk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Package", "Sheet", "broken", "parse"]

MAX_UNPACKED_BYTES = 1 << 30
"""Limit for each part that is read: a sheet with all rows that Excel allows, ten cells each, is smaller."""

CHUNK_BYTES = 256 * 1024

WORKBOOK = "xl/workbook.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
STYLES = "xl/styles.xml"
TEXTS = "xl/sharedstrings.xml"

CLAIM = re.compile(rb"""[cC]ount\s*=\s*["']\s*\+?([0-9]+)""")
"""The number of texts that a table claims to have."""


class Sheet(NamedTuple):
    """A sheet of a workbook."""

    name: str
    place: int
    """Position among all sheets of the workbook, starting at 0."""

    part: str
    """Its name in the archive."""

    is_hidden: bool
    holds_cells: bool
    """Whether it is a sheet of cells: no chart and no dialog."""


class Package:
    """The archive."""

    def __init__(self, file: BinaryIO, name: str, *, while_waiting: Callable[[], None]) -> None:
        """Open it.

        Args:
            file: The workbook, which can be read at any place.
            name: The input as the user named it.
            while_waiting: Called repeatedly while it is unpacked; an exception from it ends the reading.

        Raises:
            InputError: It is no workbook, or a damaged one.
        """
        self._name = name
        self._while_waiting = while_waiting
        with self._reading():
            self._archive = zipfile.ZipFile(file)
        self._parts = {part.filename.replace("\\", "/").casefold(): part for part in self._archive.infolist()}
        if WORKBOOK not in self._parts:
            is_binary = "xl/workbook.bin" in self._parts
            kind = "a binary workbook (.xlsb)" if is_binary else "no Excel workbook that can be read (.xlsx)"
            raise InputError(f"this is {kind}; save it as .xlsx, or as CSV (UTF-8)", file=name)

    def sheets(self) -> list[Sheet]:
        """Return all sheets in the workbook's order."""
        targets = self._targets()
        sheets: list[Sheet] = []

        def start(tag: str, own: dict[str, str]) -> None:
            if _local(tag) == "sheet":
                relation = next((own[key] for key in own if _local(key) == "id" and key != "id"), "")
                part, kind = targets.get(relation, ("", ""))
                hidden = own.get("state", "visible") != "visible"
                sheets.append(Sheet(own.get("name", ""), len(sheets), part, hidden, kind.endswith("/worksheet")))

        self.parse(WORKBOOK, start)
        return sheets

    def formats(self) -> list[str]:
        """Return the number format of each style of cells; a built-in format is ``#`` and its number."""
        named: dict[str, str] = {}
        used: list[str] = []
        above = [""]

        def start(tag: str, own: dict[str, str]) -> None:
            local = _local(tag)
            if local in {"cellXfs", "cellStyleXfs", "dxfs"}:
                above[0] = local
            elif local == "numFmt" and above[0] != "dxfs":
                named[own.get("numFmtId", "")] = own.get("formatCode", "")
            elif local == "xf" and above[0] == "cellXfs":
                used.append(own.get("numFmtId", "0"))

        if STYLES in self._parts:
            self.parse(STYLES, start)
        return [named.get(number, f"#{number}") for number in used]

    def weigh_texts(self) -> None:
        """Make sure that the table of texts is within limits.

        Raises:
            InputError: It is too large, or damaged, or claims more texts than it has bytes: the reader allocates
                memory for as many as it claims.
        """
        if TEXTS not in self._parts:
            return
        size, beginning = 0, b""
        for chunk in self.read(TEXTS):
            beginning = beginning or chunk
            size += len(chunk)
        if any(int(claimed) > size for claimed in CLAIM.findall(beginning)):
            raise broken(self._name, "its table of texts is shorter than it claims")

    def parse(self, part: str, start: Callable[[str, dict[str, str]], None]) -> None:
        """Call back for each element of a part."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parse(parser, self.read(part), file=self._name)

    def read(self, part: str) -> Iterator[bytes]:
        """Yield the contents of a part.

        Raises:
            InputError: It is missing, too large, or damaged.
        """
        found = self._parts.get(part.casefold())
        if found is None:
            raise broken(self._name, f"it has no part {part!r}")
        if found.flag_bits & 1:
            raise InputError(
                "it is protected by a password: take the password away, or save the sheet as CSV (UTF-8)",
                file=self._name,
            )
        unpacked = copy(found)
        left = MAX_UNPACKED_BYTES
        unpacked.file_size = left + 2 * CHUNK_BYTES
        with self._reading(), self._archive.open(unpacked) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self._while_waiting()
                left -= len(chunk)
                if left < 0:
                    raise InputError(
                        f"it holds more than {MAX_UNPACKED_BYTES >> 20:,} MiB when it is unpacked; save the sheet as"
                        " CSV (UTF-8), which may be of any size",
                        file=self._name,
                    )
                yield chunk

    def _targets(self) -> dict[str, tuple[str, str]]:
        """Return for each relation of the workbook its target part and its kind."""
        targets: dict[str, tuple[str, str]] = {}

        def start(tag: str, own: dict[str, str]) -> None:
            if _local(tag) == "Relationship":
                target = own.get("Target", "")
                part = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
                targets[own.get("Id", "")] = part, own.get("Type", "")

        self.parse(RELATIONS, start)
        return targets

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as exc:
            raise broken(self._name, str(exc)) from exc


def parse(parser: expat.XMLParserType, chunks: Iterator[bytes], *, file: str) -> None:
    """Parse a part in pieces. Definitions of entities are refused, since no workbook needs them.

    Raises:
        InputError: It is no sound XML.
    """

    def refuse(*_: object) -> None:
        raise broken(file, "its XML has a document type")

    parser.StartDoctypeDeclHandler = refuse
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - by position alone
        parser.Parse(b"", True)  # noqa: FBT003 - by position alone
    except (expat.ExpatError, LookupError) as exc:  # LookupError: there is no such encoding
        raise broken(file, str(exc)) from exc


def broken(file: str, why: str) -> InputError:
    """Return the error for a workbook that can't be read."""
    return InputError(
        f"this is an Excel workbook that is damaged ({why}): fetch it again, or open it in a spreadsheet program and"
        " save the sheet as CSV (UTF-8)",
        file=file,
    )


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
