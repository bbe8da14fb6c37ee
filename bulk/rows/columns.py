"""Find the columns that hold a module's fields, however their names are spelled. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bulk.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ColumnNames", "Field"]


class Field(StrEnum):
    """The fields of a module, by the names that the platform's API gives them."""

    PRODUCT_KEY = "ProductKey"
    MODULE_NAME = "ModuleName"
    ALIAS_NAME = "AliasName"
    DESC = "Desc"


REQUIRED = (Field.PRODUCT_KEY, Field.MODULE_NAME)

FIELD_BY_NORMAL_NAME = {
    "productkey": Field.PRODUCT_KEY,
    "modulename": Field.MODULE_NAME,
    "aliasname": Field.ALIAS_NAME,
    "alias": Field.ALIAS_NAME,
    "desc": Field.DESC,
    "description": Field.DESC,
}

MAX_LISTED_COLUMNS = 12
MAX_LISTED_CHARS = 60
NOT_OF_THE_NAME = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column holds which field: by ``--map`` where that says it, by the column's name elsewhere."""

    mapped: Mapping[Field, str]

    @classmethod
    def parse(cls, columns: Mapping[str, str]) -> ColumnNames:
        """Read ``--map``, in which fields may be spelled as freely as columns.

        Raises:
            SettingsError: A field is not one of ours, or is mapped twice.
        """
        mapped: dict[Field, str] = {}
        for name, column in columns.items():
            known = FIELD_BY_NORMAL_NAME.get(_normal(name))
            if known is None:
                hint = _nearest(name, Field) or f"the fields are {', '.join(Field)}"
                raise SettingsError(f"--map {name}={column}: there is no field {name!r}; {hint}")
            if known in mapped:
                raise SettingsError(f"--map gives {known} two columns: {mapped[known]!r} and {column!r}")
            mapped[known] = column
        return cls(mapped)

    def candidates(self, header: Sequence[str]) -> dict[Field, list[int]]:
        """Return for each field the positions of all columns that may hold it.

        A column that is mapped to a field no longer stands for the field that its name says.
        """
        found = {field: _positions(column, header) for field, column in self.mapped.items()}
        taken = {position for positions in found.values() for position in positions}
        for position, column in enumerate(header):
            field = FIELD_BY_NORMAL_NAME.get(_normal(column))
            if field is not None and field not in self.mapped and position not in taken:
                found.setdefault(field, []).append(position)
        return {field: found[field] for field in Field if found.get(field)}

    def require(self, header: Sequence[str], *, file: str, line: int, divided: bool = False) -> None:
        """Make sure that no column is missing.

        Args:
            header: Names of the columns.
            file: The input as the user named it.
            line: Of the header.
            divided: A delimiter stands between the names, and might be another one.

        Raises:
            InputError: The header lacks a required column, or one that ``--map`` names.
        """
        found = self.candidates(header)
        for field, column in self.mapped.items():
            if field not in found:
                hint = _nearest(column, header) or _listed(header)
                message = f"--map {field}={column}: there is no column {column!r}; {hint}"
                raise InputError(message, file=file, line=line, field=field)
        missing = [field for field in REQUIRED if field not in found]
        if missing:
            mend = f"name it with --map {missing[0]}=COLUMN"
            if divided and len(header) == 1:
                mend = f"it is one cell: name what stands between the cells with --delimiter, or {mend}"
            message = f"no column for {' and '.join(missing)}; {_listed(header)}; {mend}"
            raise InputError(message, file=file, line=line, field=missing[0])

    def resolve(self, header: Sequence[str], *, file: str, line: int) -> dict[Field, int]:
        """Return the position of each field's column; optional fields without a column are left out.

        Raises:
            InputError: A column is missing, or two stand for the same field.
        """
        self.require(header, file=file, line=line, divided=True)
        found = self.candidates(header)
        for field in found:
            problem = self.ambiguity(field, found[field], header)
            if problem:
                raise InputError(problem, file=file, line=line, field=field)
        return {field: positions[0] for field, positions in found.items()}

    @staticmethod
    def ambiguity(field: Field, positions: Sequence[int], header: Sequence[str]) -> str | None:
        """Say which columns contradict each other, if more than one stands for the field."""
        if len(positions) == 1:
            return None
        names = " and ".join(repr(header[position]) for position in positions)
        return f"{names} both stand for {field}; rename one, or choose with --map {field}=COLUMN"


def _normal(name: str) -> str:
    return NOT_OF_THE_NAME.sub("", name).casefold()


def _positions(column: str, header: Sequence[str]) -> list[int]:
    exact = [position for position, name in enumerate(header) if name.strip() == column.strip()]
    return exact or [position for position, name in enumerate(header) if _normal(name) == _normal(column)]


def _nearest(name: str, choices: Iterable[str]) -> str | None:
    by_normal_name = {_normal(choice): choice for choice in choices}
    close = difflib.get_close_matches(_normal(name), by_normal_name, n=1)
    return f"did you mean {str(by_normal_name[close[0]])!r}?" if close else None


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(_quoted(column) for column in header[:MAX_LISTED_COLUMNS])
    more = len(header) - MAX_LISTED_COLUMNS
    return f"the columns are {shown}" + (f" and {more} more" if more > 0 else "")


def _quoted(column: str) -> str:
    return repr(column if len(column) <= MAX_LISTED_CHARS else column[:MAX_LISTED_CHARS] + "...")
