"""Stretches of an input whose rows can't be trusted: below a header of other columns, and within a merge conflict.

Each such row looks like a good one. Sent, it would put a description where a name belongs, or one side of a conflict
on the platform before anybody chose it. So all of a stretch is invalid, with the line where it begins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk.rows.fields import REQUIRED, Field, field_of
from bulk.rows.problems import Problem, RecordKind, record_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stretch", "is_header", "is_row_of_types", "same_columns"]

HEADER_TRACES = ("roductKey", "roduct_key", "RODUCT_KEY", "roductkey", "RODUCTKEY", "roduct Key", "产品标识", "产品K")
"""What a line holds that may be a header; others that mean the same are no keys in a quick look at all."""

CONFLICT = re.compile(r"(?P<begin><{7}(?:\s|$))|\|{7}(?:\s|$)|={7}\s*$|(?P<end>>{7}(?:\s|$))")
"""The lines that git writes around the two sides of a conflict."""

TYPE = re.compile(
    r"(?:n?var)?char2?(?:\(\d+\))?|string|str|text|(?:big)?int(?:eger)?(?:\(\d+\))?|float|double|number|object|bool(?:ean)?"
    r"|date(?:time)?|required|optional|mandatory|必填|选填|可选|非必填|字符串|文本|字符型",
    re.IGNORECASE,
)
"""What a line below the header says of a column's values."""


class Stretch:
    """Where in an input we are: in a stretch of rows that can't be trusted, or not."""

    __slots__ = ("_below", "_conflict")

    def __init__(self) -> None:
        self._below: Problem | None = None
        self._conflict: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """What is wrong with every row from here on."""
        return self._conflict or self._below

    def mark_of_conflict(self, text: str, line: int) -> Problem | None:
        """Take note of a line that git writes into a conflict, and say so; ``None``: it is none."""
        mark = CONFLICT.match(text)
        if mark is None or not (mark["begin"] or self._conflict):
            return None
        if mark["begin"]:
            self._conflict = record_problem(RecordKind.CONFLICT, cause=f"is in the merge conflict of line {line}")
        elif mark["end"]:
            self._conflict = None
        return record_problem(RecordKind.CONFLICT, cause="is git's mark of a merge conflict")

    def other_header(self, line: int) -> Problem:
        """Take note of a header of other columns."""
        self._below = record_problem(RecordKind.BELOW, cause=f"is below another header, line {line}")
        return record_problem(RecordKind.BELOW, cause="is another header")


def is_header(cells: Sequence[str], key: str) -> bool:
    """Say whether a row names columns.

    Args:
        cells: Of the row.
        key: The cell in the place of its ProductKey.
    """
    if field_of(key) is Field.PRODUCT_KEY:
        return True
    text = "\t".join(cells)
    return any(trace in text for trace in HEADER_TRACES) and {*REQUIRED} <= set(map(field_of, cells))


def same_columns(cells: Sequence[str], names: Sequence[str], positions: Sequence[int]) -> bool:
    """Say whether a header has our fields where the first one has them.

    Args:
        cells: Of the header.
        names: Of the first header.
        positions: Of our fields in the first, -1 for those without a column; four where no accounts are looked for.
    """
    wanted = dict(zip(positions, Field, strict=False))
    known = [*names, *[""] * len(cells)]
    return all(
        not cell.strip() or cell.strip() == known[at].strip() or _ours(cell, len(positions)) is wanted.get(at)
        for at, cell in enumerate(cells)
    )


def _ours(name: str, fields: int) -> Field | None:
    """Return the field that a column's name means, if it is one of the first so many."""
    found = field_of(name)
    return found if found in tuple(Field)[:fields] else None


def is_row_of_types(cells: Sequence[str]) -> bool:
    """Say whether all that a row says are names of types, or which columns have to be filled in."""
    telling = [cell.strip() for cell in cells if cell.strip()]
    return len(telling) > 1 and all(map(TYPE.fullmatch, telling))
