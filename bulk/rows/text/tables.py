"""Layouts of tables that no delimiter can divide into rows and columns, and how to read each. Pure."""

from __future__ import annotations

import re

from bulk.rows.fields import REQUIRED, field_of

__all__ = ["aligned", "pairs", "quoted_lines", "sideways"]

LINES = 20
"""Number of lines that are examined."""

DELIMITERS = ",\t;|"
PAIR = re.compile(r"(?:^|[\s,;{])[\"']?([A-Za-z_\u4e00-\u9fff]+)[\"']?\s*[=:]\s*\S")
GAP = re.compile(r"\S {2,}\S")

EXPORT = "export it again as CSV or JSON lines"


def quoted_lines(lines: list[str]) -> str | None:
    """Say how to read lines that are each one quoted cell: some programs quote whole lines as text."""
    inner = lines[0].strip()[1:-1] if lines else ""
    if len(lines[0].strip()) < len('""') or not all(line.strip()[:1] == line.strip()[-1:] == '"' for line in lines[:2]):
        return None
    if '"' in inner or not any(_has_required(inner.split(mark)) for mark in DELIMITERS):
        return None
    return (
        "each line is one quoted cell; take the quotes around the lines away: "
        """`sed -e 's/^"//' -e 's/"[[:space:]]*$//' -e 's/""/"/g' FILE > TABLE`"""
    )


def sideways(lines: list[str]) -> str | None:
    """Say that the fields' names are in the first column."""
    for mark in DELIMITERS:
        firsts = [line.split(mark)[0].strip(' "') for line in lines[:LINES] if mark in line]
        if _has_required(firsts) and not any(_has_required(line.split(mark)) for line in lines[:LINES]):
            return (
                "the table lies on its side, with the names in its first column; transpose it: in a spreadsheet copy "
                "it, and paste it with Paste Special, Transpose"
            )
    return None


def pairs(lines: list[str]) -> str | None:
    """Say that names and values come in pairs."""
    found = [name for line in lines[:LINES] for name in PAIR.findall(line)]
    if not _has_required(found) or any(_has_required(re.split(r"[,\t;|]", line)) for line in lines[:LINES]):
        return None
    return f"it holds pairs of name and value, not a table; {EXPORT}"


def aligned(lines: list[str]) -> str | None:
    """Say that spaces align the columns: if a cell is blank, nothing shows which one."""
    header = next((line for line in lines[:LINES] if _has_required(line.split())), "")
    if not GAP.search(header) or any(mark in header for mark in DELIMITERS):
        return None
    return f"its columns are aligned with spaces, which are no delimiter; {EXPORT} (sqlcmd: -W -s ',')"


def _has_required(names: list[str]) -> bool:
    return {*REQUIRED} <= set(map(field_of, names))
