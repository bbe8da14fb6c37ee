"""Lines around a table that are no rows, written by tools and people: the table of kinds. Pure.

Only lines that can't be rows are left out: a line of dashes, or a single cell with the number of rows or a mark of the
end. A row needs two cells, so no row is lost. A line that looks like a row is judged as one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMENT", "Noise", "noise_of"]


class Noise(NamedTuple):
    """A line that is no row, and was left out."""

    line: int
    kind: str


RULE = re.compile(r"[\s\-=+|:*_~─━═│┃┼┬┴├┤┌┐└┘╋╪╬]+")
"""Characters of a line drawn between header and rows; it has at least three dashes."""

DASHES = re.compile(r"[-=_─━═]")
LEAST_DASHES = 3

COMMENT = re.compile(r"\s*(?:#|//|--|;\s)")
"""Beginning of a comment line above the header."""

_COUNT = r"(?:total|count|records?|rows?|sum|合计|总计|共计|总数|记录数|行数|总记录数)"
_ROWS = r"(?:rows?|records?|items?|lines?|行|条记录|条|项|个)"
_END = r"(?:end|eof|end of \w+|结束|完)"

KINDS = (
    ("a line of dashes", RULE),
    (
        "a footer",
        re.compile(
            rf"\(?\d[\d,]* ?{_ROWS}\b.*|\(?\d[\d,]* ?{_ROWS}.*受影响.*|no rows.*"
            rf"|{_COUNT}(?: {_ROWS})?\s*[:：=]?\s*\d[\d,]*\s*{_ROWS}?\.?"
            rf"|{_ROWS} (?:affected|selected|returned)\s*[:：]?\s*\d*.*"
            rf"|(?:共|总共|合计|总计)\s*\d[\d,]*\s*{_ROWS}.*"
            rf"|[-=*#<\[\s]*{_END}[-=*#>\]\s.!]*"
            r"|(?:completion )?time\s*:.*|elapsed.*|query ok.*|page \d+.*|第 ?\d+ ?页.*"
            r"|(?:generated|exported|created|printed)(?: (?:by|on|at|from)\b|:).*"
            r"|(?:制表|导出|生成|打印|审核|签名|签字|备注)\S*\s*[:：].*",
            re.IGNORECASE,
        ),
    ),
)
"""The name of each kind of line, and the form of its text."""


def noise_of(cells: Sequence[str]) -> str | None:
    """Say what kind of line these cells are; ``None``: they may be a row."""
    telling = [cell.strip() for cell in cells if cell and not cell.isspace()]
    if telling and all(map(RULE.fullmatch, telling)):
        drawn = len(DASHES.findall("".join(telling))) >= LEAST_DASHES
        return KINDS[0][0] if drawn else None
    if len(telling) == 1 and KINDS[1][1].fullmatch(telling[0]):
        return KINDS[1][0]
    return None
