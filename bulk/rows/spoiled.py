"""Values that a spreadsheet, a database or a word processor spoiled: the table of kinds. Pure.

A ProductKey has no documented form, so only values that must be a trace of such a program are refused here. Legal
values are accepted: a ModuleName may be `1.0` or `2024-01-02`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bulk.rows.fields import SPELLINGS
from bulk.rows.problems import FieldKind, Problem, field_problem

if TYPE_CHECKING:
    from bulk.rows.fields import Field

__all__ = ["HARD_NULLS", "NOT_KEYS", "NULLS", "TOTALS", "spoiled", "unwrapped"]

HARD_NULLS = frozenset(
    {"NULL", "null", "Null", "\\N", "NaN", "nan", "NAN", "#N/A", "#n/a", "(null)", "(NULL)", "<null>", "<NULL>"}
    | {"[NULL]", "[null]", "<NA>"}
)
"""Words that databases and data frames write for an absent value: never sent unless you ask for it."""

NULLS = HARD_NULLS | {"None", "none", "NONE", "NA", "N/A", "n/a", "undefined", "nil", "-", "--"}
"""Also words that people write for nothing. An alias or a description may be such a word: it is sent, with a notice."""

TOTALS = frozenset({"total", "totals", "subtotal", "grandtotal", "grand total", "合计", "总计", "小计", "共计", "总数"})

NAMES_OF_COLUMNS = {name for names in SPELLINGS.values() for name in names} | {
    "product_key",
    "module_name",
    "alias_name",
}
TYPES = {"string", "str", "text", "varchar", "nvarchar", "char", "object", "required", "optional", "mandatory"}

NOT_KEYS = TOTALS | {word.casefold() for word in NULLS} | {"true", "false"} | NAMES_OF_COLUMNS | TYPES
"""Words that are no ProductKey, casefolded; some are names of columns."""


class _Spoiled(NamedTuple):
    """A kind of spoiled value."""

    kind: FieldKind
    pattern: re.Pattern[str]
    """Matches the whole value."""

    cause: str


def _kind(kind: FieldKind, pattern: str, cause: str) -> _Spoiled:
    return _Spoiled(kind, re.compile(pattern, re.IGNORECASE | re.DOTALL), cause)


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"

KINDS = (
    _kind(
        FieldKind.SPREADSHEET,
        r"#(?:[A-Z/_0-9]{2,}[!?]|N/?A|NV|NAN|REF|NAME|VALUE|DIV/0|NULL|NUM|SPILL|CALC|GETTING_DATA|BEZUG|WERT|ZAHL)",
        "is the error of a spreadsheet's formula",
    ),
    _kind(FieldKind.SPREADSHEET, r"#{2,}", "is what a spreadsheet shows where a column is too narrow"),
    _kind(FieldKind.MARKS, r"(?:#|//|--|;|/\*).+", "begins as a comment does (a row to be left out?)"),
    _kind(FieldKind.SPREADSHEET, r"=.*", "is a spreadsheet's formula, not its result"),
    _kind(
        FieldKind.SPREADSHEET,
        r"[+-]?\d+(?:[.,]\d+E[+-]?\d+|E[+-]\d+)",
        "is a number that a spreadsheet rounded: format the column as text and enter it again",
    ),
    _kind(FieldKind.SPREADSHEET, r"[+-]?\d{1,3}(?:[,'’٬，]\d{3})+(?:\.\d+)?", "is a number with thousands separators"),
    _kind(FieldKind.SPREADSHEET, r"[+-]?\d+[.,]\d+", "is a number with decimals: format the column as text"),
    _kind(FieldKind.SPREADSHEET, r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}(?:[ T].*)?|\d+年.*", "is a date"),
    _kind(
        FieldKind.SPREADSHEET,
        rf"\d{{1,2}}[-/ ]{_MONTH}(?:[-/ ]\d+)?|{_MONTH}[-/ ]\d+",
        "is a date, as spreadsheets make",
    ),
    _kind(FieldKind.SPREADSHEET, r"true|false", "is what a spreadsheet or a program writes for yes or no"),
    _kind(FieldKind.SPREADSHEET, r"'.*(?<!')", "begins with the apostrophe by which spreadsheets mark text"),
    _kind(FieldKind.QUOTES, r".*[\"'`´].*", "quotes"),
    _kind(FieldKind.QUOTES, r".*[“”„‟‘’‚‛«»‹›「」『』＂＇].*", "a word processor's quotes"),
    _kind(FieldKind.MARKS, r"[a-z]+://.*", "is an address"),
    _kind(FieldKind.MARKS, r".*[,;:|<>，；、。：].*", "has a delimiter in it or around it"),
    _kind(FieldKind.FULL_WIDTH, r".*[\uff01-\uff5e].*", "full-width characters"),
)
"""Tried in this order; the first match is reported."""

_FORMULA_TEXT = re.compile(r'="((?:[^"]|"")*)"')


def unwrapped(value: str) -> str:
    """Return the text of a cell written as ``="text"``, which keeps spreadsheets from reading it as a number."""
    found = _FORMULA_TEXT.fullmatch(value)
    return found[1].replace('""', '"').strip() if found else value


def spoiled(field: Field, value: str) -> Problem | None:
    """Say which program spoiled a ProductKey, or a ModuleName that the platform would refuse."""
    found = next((each for each in KINDS if each.pattern.fullmatch(value)), None)
    return field_problem(field, found.kind, value=value, cause=found.cause) if found else None
