"""Read the beginning of a table: its header or a substitute for one, and which column holds which field."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.rows.columns import ColumnNames
from bulk.rows.fields import OF_MODULE, Field, field_of
from bulk.rows.tabular.header import HEAD_LINES, find_header, first_rows, hint_of
from bulk.rows.text.lines import MAX_RECORD_CHARS, Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk.rows.fields import Sought
    from bulk.rows.tabular.header import Header
    from bulk.rows.text.lines import TableSource
    from bulk.settings import ReadSettings

__all__ = ["Heading", "read_heading"]


@dataclass(frozen=True, slots=True)
class Heading:
    """The beginning of a table, and the lines after it."""

    header: Header
    positions: Mapping[Field, int]
    """Position of each field's column; fields without a column are left out."""

    body: Iterator[Block]
    """The lines after the header."""

    sought: Sought
    unused: list[str]
    """Columns that name accounts, if the settings name none."""

    is_sheet: bool
    """Whether its lines are made of a workbook's cells."""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The lines above the header that say something."""
        lines = self.header.passed_over
        if not self.is_sheet:
            return lines
        return tuple(said for line in lines if (said := line.rstrip(f"{self.header.delimiter} ")))

    @property
    def of_fields(self) -> tuple[int, int, int, int]:
        """The position of each field's column in the order of `OF_MODULE`, -1 for those without a column."""
        key, name, alias, desc = (self.positions.get(field, -1) for field in OF_MODULE)
        return key, name, alias, desc

    @property
    def first(self) -> int:
        """The line of the file with which ``body`` begins."""
        return self.header.body + 1


def read_heading(
    source: TableSource, settings: ReadSettings, delimiter: str, *, sought: Sought, is_sheet: bool
) -> Heading:
    """Read the header and the lines above it.

    Args:
        source: Source of the lines, read from the first on.
        settings: How to read it.
        delimiter: The requested one; empty: find it in the header.
        sought: Which fields to look for.
        is_sheet: Its cells are a workbook's.

    Raises:
        SettingsError: ``--map`` can't be used.
        InputError: The file is empty or its header lacks a column.
    """
    names = ColumnNames.parse(settings.columns, numbered=True, sought=sought)
    blocks = source.blocks()
    head, blocks = _read_head(blocks, HEAD_LINES + settings.skip_lines, file=source.name)
    try:
        found, names = _find(head, names, settings, delimiter, file=source.name)
        line = found.line or found.body + 1
        positions = names.resolve(found.names, file=source.name, line=line, hint=hint_of(found, is_sheet=is_sheet))
    except InputError:
        # In the wrong encoding, column names are not recognised. Then the message must be about the encoding.
        source.require_sound("".join(text for block in head for text in block.lines))
        raise
    if found.line:
        source.require_sound("".join(found.names), line=found.line)
    behind = (_behind(block, found.body) for block in head)
    body = itertools.chain([block for block in behind if block.lines], blocks)
    return Heading(found, positions, body, sought, names.unused(found.names), is_sheet)


def _find(
    blocks: list[Block], names: ColumnNames, settings: ReadSettings, delimiter: str, *, file: str
) -> tuple[Header, ColumnNames]:
    """Return the header, and which column holds which field."""
    head = [line for block in blocks for line in block.lines]
    if settings.no_header:
        found = first_rows(head, delimiter=delimiter, skip_lines=settings.skip_lines)
        if found and all(field_of(name) is Field.ACCOUNT for name in settings.columns):
            order = _default_order(settings.columns, names.sought, len(found.names))
            names = ColumnNames.parse(order, numbered=True, sought=names.sought)
    else:
        found = find_header(head, names, delimiter=delimiter, skip_lines=settings.skip_lines, file=file)
    if found is None:
        what = "no row" if settings.no_header else "not even a header"
        begin = "" if settings.no_header else " a header with ProductKey and ModuleName, and"
        raise InputError(f"it is empty: {what} is in it; write{begin} a line for each module", file=file)
    return found, names


def _default_order(columns: Mapping[str, str], sought: Sought, width: int) -> dict[str, str]:
    """Return which columns hold the fields of a file without header; ``--map`` gives at most the account's."""
    free = (number for number in map(str, range(1, width + 1)) if number not in columns.values())
    fields = (str(field) for field in OF_MODULE if field in sought.fields)
    return {**columns, **dict(zip(fields, free, strict=False))}


def _read_head(blocks: Iterator[Block], least: int, *, file: str) -> tuple[list[Block], Iterator[Block]]:
    """Return the first lines, for the header, and the rest. The first are at least ``least``, if there are so many."""
    head: list[Block] = []
    for block in blocks:
        if block.cut:
            if not any(line.strip() for before in head for line in before.lines):
                problem = f"the header has more than {MAX_RECORD_CHARS:,} characters"
                raise InputError(problem, file=file, line=block.first)
            return head, itertools.chain([block], blocks)
        head.append(block)
        if block.first + len(block.lines) > least:
            break
    return head, blocks


def _behind(block: Block, lines: int) -> Block:
    """Return the part of a block after the file's first ``lines`` lines."""
    done = min(max(lines - block.first + 1, 0), len(block.lines))
    return Block(block.first + done, block.lines[done:])
