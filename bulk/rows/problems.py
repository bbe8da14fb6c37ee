"""What can be wrong with a row: one table of kinds for its fields and one for its record, each with its message.

A problem has a code that never changes, such as ``alias_name.length`` or ``record.quote``, for programs, and a text for
the person who fixes the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bulk.rows.fields import Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FieldKind", "Flaw", "Problem", "RecordKind", "field_problem", "joined", "record_problem"]


class FieldKind(StrEnum):
    """What is wrong with a field. The code is the field's and this: never rename a value."""

    MISSING = "missing"  #: a required field is blank
    NULL = "null"  #: a word that databases write for an absent value
    SPREADSHEET = "spreadsheet"  #: a formula, an error, or a number as a spreadsheet shows it
    QUOTES = "quotes"  #: quotes of any form around or in a key
    FULL_WIDTH = "full_width"  #: letters or digits of the full-width forms
    CHARACTERS = "characters"  #: characters that the platform does not take
    LENGTH = "length"  #: too many characters
    MARKS = "marks"  #: marks between cells, parts of an address, a comment's beginning
    SWAPPED = "swapped"  #: a value that belongs in the other column
    RESERVED = "reserved"  #: the name of the whole device's firmware
    TYPE = "type"  #: JSON that is no text
    BLANK = "blank"  #: the column Account is blank
    UNKNOWN = "unknown"  #: an account that the settings don't name
    UNMAPPED = "unmapped"  #: a product that has no line in the map of products
    CELL = "cell"  #: a workbook's cell that is not what was entered: an error, a date, lost digits


class RecordKind(StrEnum):
    """What is wrong with a record as a whole. Never rename a value."""

    WIDTH = "record.width"  #: too few or too many cells
    QUOTE = "record.quote"  #: unpaired quotes, or quotes that swallow the rows after them
    HEADER = "record.header"  #: the header again
    BELOW = "record.other_header"  #: a header with other columns, and the rows below it
    TYPES = "record.types"  #: a line that says which values the columns hold
    CONFLICT = "record.conflict"  #: a merge conflict that nobody resolved
    TOTAL = "record.total"  #: a line that sums up others
    NUL = "record.nul"  #: a NUL character
    ENCODING = "record.encoding"  #: bytes that are not in the input's encoding
    LENGTH = "record.length"  #: longer than a record may be
    MALFORMED = "record.malformed"  #: CSV that can't be parsed for another reason
    JSON = "record.json"  #: no JSON, or no object
    KEYS = "record.keys"  #: keys of an object that contradict each other, or that look like a field's


CODE_OF_FIELD: Mapping[Field, str] = MappingProxyType(
    {
        Field.PRODUCT_KEY: "product_key",
        Field.MODULE_NAME: "module_name",
        Field.ALIAS_NAME: "alias_name",
        Field.DESC: "desc",
        Field.ACCOUNT: "account",
    }
)

FIELD_MESSAGES: Mapping[FieldKind, str] = MappingProxyType(
    {
        FieldKind.MISSING: "{field} is missing",
        FieldKind.NULL: ("{field} is {value!r}, which is how databases and programs write an empty value; {cause}"),
        FieldKind.SPREADSHEET: "{field} {value!r} {cause}; correct it in the source, or add --lenient-keys to send it",
        FieldKind.QUOTES: "{field} {value!r} has {cause}; take them out, or add --lenient-keys to send it",
        FieldKind.FULL_WIDTH: (
            "{field} {value!r} holds {cause}; write it in plain letters and digits, or add --lenient-keys to send it"
        ),
        FieldKind.MARKS: "{field} {value!r} {cause}; correct it, or add --lenient-keys to send it",
        FieldKind.SWAPPED: (
            "{field} {value!r} {cause}: are two columns swapped? Correct it, or add --lenient-keys to send it"
        ),
        FieldKind.CHARACTERS: "{field} holds {cause}",
        FieldKind.LENGTH: "{field} has {length} characters, the platform allows {most}",
        FieldKind.RESERVED: "{field} {value!r} is reserved for the firmware of the whole device",
        FieldKind.TYPE: "{field} is {cause}; write it as text, in quotes",
        FieldKind.BLANK: "{field} is blank: each row needs it; {cause}",
        FieldKind.UNKNOWN: "{field} {value!r} is not in the settings; {cause}",
        FieldKind.UNMAPPED: "{field} {value!r} is not in {cause}, so it has no product at the target",
        FieldKind.CELL: "{field}{value} {cause}",
    }
)

RECORD_MESSAGES: Mapping[RecordKind, str] = MappingProxyType(
    {
        RecordKind.WIDTH: "the row has {cells}, {cause}",
        RecordKind.QUOTE: "the line {cause}",
        RecordKind.HEADER: "the row is the header again: several files were joined here; take the line out",
        RecordKind.BELOW: (
            "the row {cause}, whose columns are not those of the first: put it and the rows below it into a file of "
            "their own"
        ),
        RecordKind.TYPES: (
            "the row describes the columns and is not a module; take it out, or add --lenient-keys to send it"
        ),
        RecordKind.CONFLICT: "the line {cause}; resolve the conflict in git, then run again",
        RecordKind.TOTAL: "the row looks like a total, not a module; take it out, or add --lenient-keys to send it",
        RecordKind.NUL: "the row holds a NUL character (U+0000): the file is damaged or not in this encoding",
        RecordKind.ENCODING: "{cause}",
        RecordKind.LENGTH: "the line {cause}",
        RecordKind.MALFORMED: "the line is malformed ({cause})",
        RecordKind.JSON: "the line is {cause}",
        RecordKind.KEYS: "{cause}",
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row."""

    code: str
    """Stable, for programs; of several problems, the code of the first."""

    text: str
    """Names the field and the reason, and if known, what to do."""


class Flaw(NamedTuple):
    """Why the value of a workbook's cell may not be what was meant."""

    cause: str
    only_keys: bool = False
    """The flaw matters only in a key: other fields may take the value as it is shown."""


def field_problem(field: Field, kind: FieldKind, **details: object) -> Problem:
    """Return a problem of a field; ``details`` fill the kind's message."""
    return Problem(f"{CODE_OF_FIELD[field]}.{kind}", FIELD_MESSAGES[kind].format(field=field, **details))


def record_problem(kind: RecordKind, **details: object) -> Problem:
    """Return a problem of a record; ``details`` fill the kind's message."""
    return Problem(kind, RECORD_MESSAGES[kind].format(**details))


def joined(problems: Sequence[Problem]) -> Problem:
    """Return one problem that names all of these."""
    return Problem(problems[0].code, "; ".join(problem.text for problem in problems))
