"""Read the beginning of a table: its header, or what stands in for one, and which column holds which field."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.rows.columns import ColumnNames, Field
from bulk.rows.fields import OF_MODULE, field_of
from bulk.rows.header import HEAD_LINES, find_header, first_rows, hint_of
from bulk.rows.lines import MAX_RECORD_CHARS, Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk.rows.header import Header
    from bulk.rows.lines import LineSource
    from bulk.settings import ReadSettings

__all__ = ["Heading", "read_heading"]


@dataclass(frozen=True, slots=True)
class Heading:
    """The beginning of a table, and what follows it."""

    header: Header
    positions: Mapping[Field, int]
    """Of each field's column; fields without a column are left out."""

    unused: list[str]
    """Columns that say whose each row is, where the settings name no accounts."""

    body: Iterator[Block]
    """The lines behind the header."""

    @property
    def first(self) -> int:
        """The line of the file with which ``body`` begins."""
        return self.header.body + 1


def read_heading(source: LineSource, settings: ReadSettings, delimiter: str, *, accounts: bool = False) -> Heading:
    """Read the header and the lines above it.

    Args:
        source: Read from its first line on.
        settings: How it is read.
        delimiter: As asked for; empty: as the header says.
        accounts: The settings name accounts, so that a column Account is looked for.

    Raises:
        SettingsError: ``--map`` can't be used.
        InputError: The file is empty or its header lacks a column.
    """
    names = ColumnNames.parse(settings.columns, numbered=True, accounts=accounts)
    blocks = source.blocks()
    head, blocks = _read_head(blocks, HEAD_LINES + settings.skip_lines, file=source.name)
    try:
        found, names = _find(head, names, settings, delimiter, file=source.name)
        line = found.line or found.body + 1
        positions = names.resolve(found.names, file=source.name, line=line, hint=hint_of(found))
    except InputError:
        # Column names in another encoding are not recognised: the encoding is what must be named then.
        source.require_sound("".join(text for block in head for text in block.lines))
        raise
    if found.line:
        source.require_sound("".join(found.names), line=found.line)
    behind = (_behind(block, found.body) for block in head)
    unused = names.unused(found.names)
    return Heading(found, positions, unused, itertools.chain([block for block in behind if block.lines], blocks))


def _find(
    blocks: list[Block], names: ColumnNames, settings: ReadSettings, delimiter: str, *, file: str
) -> tuple[Header, ColumnNames]:
    """Return the header, and which column holds which field."""
    head = [line for block in blocks for line in block.lines]
    if settings.no_header:
        found = first_rows(head, delimiter=delimiter, skip_lines=settings.skip_lines)
        if found and all(field_of(name) is Field.ACCOUNT for name in settings.columns):
            order = _default_order(settings.columns, len(found.names))
            names = ColumnNames.parse(order, numbered=True, accounts=Field.ACCOUNT in names.fields)
    else:
        found = find_header(head, names, delimiter=delimiter, skip_lines=settings.skip_lines, file=file)
    if found is None:
        what = "no row" if settings.no_header else "not even a header"
        raise InputError(f"it is empty: {what} is in it", file=file)
    return found, names


def _default_order(columns: Mapping[str, str], width: int) -> dict[str, str]:
    """Return which columns hold the fields of a file without header; ``--map`` says at most which is the account's."""
    free = (number for number in map(str, range(1, width + 1)) if number not in columns.values())
    return {**columns, **{str(field): number for field, number in zip(OF_MODULE, free, strict=False)}}


def _read_head(blocks: Iterator[Block], least: int, *, file: str) -> tuple[list[Block], Iterator[Block]]:
    """Return the first lines, in which the header is, and the rest: at least so many, if the file has them."""
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
    """Return what a block has behind the first so many lines of the file."""
    done = min(max(lines - block.first + 1, 0), len(block.lines))
    return Block(block.first + done, block.lines[done:])
