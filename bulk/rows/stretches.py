"""Stretches of an input whose rows can't be trusted: below a header with other columns, and in a merge conflict.

Each such row looks like a good one. If it were sent, a description might be used as a name, or one side of a conflict
would reach the platform before anybody chose it. So the whole stretch is invalid; messages name its first line.
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
"""Texts in a line that may be a header. Other headers fail the quick check, since they can't be keys."""

CONFLICT = re.compile(r"(?P<begin><{7}(?:\s|$))|\|{7}(?:\s|$)|={7}\s*$|(?P<end>>{7}(?:\s|$))")
"""The lines that git writes around the two sides of a conflict."""

TYPE = re.compile(
    r"(?:n?var)?char2?(?:\(\d+\))?|string|str|text|(?:big)?int(?:eger)?(?:\(\d+\))?|float|double|number|object|bool(?:ean)?"
    r"|date(?:time)?|required|optional|mandatory|必填|选填|可选|非必填|字符串|文本|字符型",
    re.IGNORECASE,
)
"""Words in a line below the header that describe a column's values."""


class Stretch:
    """Whether the present line of an input is in a stretch of rows that can't be trusted."""

    __slots__ = ("_below", "_conflict")

    def __init__(self) -> None:
        self._below: Problem | None = None
        self._conflict: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """What is wrong with every row from here on."""
        return self._conflict or self._below

    def mark_of_conflict(self, text: str, line: int) -> Problem | None:
        """Note a line that git writes into a conflict, and return its problem; ``None``: it is no such line."""
        mark = CONFLICT.match(text)
        if mark is None or not (mark["begin"] or self._conflict):
            return None
        if mark["begin"]:
            self._conflict = record_problem(RecordKind.CONFLICT, cause=f"is in the merge conflict of line {line}")
        elif mark["end"]:
            self._conflict = None
        return record_problem(RecordKind.CONFLICT, cause="is git's mark of a merge conflict")

    def other_header(self, line: int) -> Problem:
        """Note a header with other columns, and return its problem."""
        self._below = record_problem(RecordKind.BELOW, cause=f"is below another header, line {line}")
        return record_problem(RecordKind.BELOW, cause="is another header")


def is_header(cells: Sequence[str], key: str) -> bool:
    """Say whether a row names columns.

    Args:
        cells: Cells of the row.
        key: The cell in the ProductKey's column.
    """
    if field_of(key) is Field.PRODUCT_KEY:
        return True
    text = "\t".join(cells)
    return any(trace in text for trace in HEADER_TRACES) and {*REQUIRED} <= set(map(field_of, cells))


def same_columns(cells: Sequence[str], names: Sequence[str], positions: Sequence[int]) -> bool:
    """Say whether a header has our fields in the same columns as the first one.

    Args:
        cells: Cells of the header.
        names: Names of the first header.
        positions: Positions of our fields in the first, -1 for those without a column; four if no account is sought.
    """
    wanted = dict(zip(positions, Field, strict=False))
    known = [*names, *[""] * len(cells)]
    return all(
        not cell.strip() or cell.strip() == known[at].strip() or _ours(cell, len(positions)) is wanted.get(at)
        for at, cell in enumerate(cells)
    )


def _ours(name: str, fields: int) -> Field | None:
    """Return the field that a column's name means, if it is one of the first ``fields`` fields."""
    found = field_of(name)
    return found if found in tuple(Field)[:fields] else None


def is_row_of_types(cells: Sequence[str]) -> bool:
    """Say whether a row has only names of types, or words such as "required"."""
    telling = [cell.strip() for cell in cells if cell.strip()]
    return len(telling) > 1 and all(map(TYPE.fullmatch, telling))
