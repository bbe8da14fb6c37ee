"""Find the columns that hold a row's fields: by ``--map``, else by their names. Pure."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import InputError, SettingsError
from bulk.rows.fields import REQUIRED, ROWS, Field, Sought, closeness, field_of, normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ColumnNames", "Field", "listed"]

MAX_LISTED_COLUMNS = 12
MAX_LISTED_CHARS = 60
NO_COLUMN = ""
"""A field mapped to this has no column, even if a column has its name."""


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column holds which field: by ``--map`` if it names one, else by the column's name."""

    mapped: Mapping[Field, str]

    numbered: bool = False
    """Columns have an order: ``--map`` may give a column's number if no column has that name."""

    sought: Sought = ROWS

    of_account: str = NO_COLUMN
    """The column that ``--map`` gives to the account, even if no account is sought."""

    @classmethod
    def parse(cls, columns: Mapping[str, str], *, numbered: bool = False, sought: Sought = ROWS) -> ColumnNames:
        """Read ``--map``. Fields in it may be spelled as freely as columns.

        Raises:
            SettingsError: A field is unknown, is mapped twice, or is required and mapped to no column.
        """
        mapped: dict[Field, str] = {}
        for name, column in columns.items():
            known = field_of(name)
            if known is None:
                hint = _nearest(name, Field) or f"the fields are {', '.join(Field)}"
                raise SettingsError(f"--map {name}={column}: there is no field {name!r}; {hint}")
            if known in mapped:
                raise SettingsError(f"--map gives {known} two columns: {mapped[known]!r} and {column!r}")
            if column == NO_COLUMN and known in REQUIRED:
                raise SettingsError(f"--map {name}=: every row needs a {known}; name its column")
            mapped[known] = column
        found = {field: column for field, column in mapped.items() if field in sought.fields}
        return cls(found, numbered, sought, mapped.get(Field.ACCOUNT, NO_COLUMN))

    def candidates(self, header: Sequence[str]) -> dict[Field, list[int]]:
        """Return for each field the positions of all columns that may hold it.

        A column that is mapped to a field is no longer a candidate for the field that its name means.
        """
        found = {field: self._positions(column, header) for field, column in self.mapped.items()}
        taken = {position for positions in found.values() for position in positions}
        for position, column in enumerate(header):
            field = field_of(column)
            if field in self.sought.fields and field not in self.mapped and position not in taken:
                found.setdefault(field, []).append(position)
        return {field: found[field] for field in Field if found.get(field)}

    def unused(self, header: Sequence[str]) -> list[str]:
        """Return the columns that name accounts, if the settings name none."""
        if self.sought != ROWS:
            return []
        mapped = self._positions(self.of_account, header)
        ours = {position for positions in self.candidates(header).values() for position in positions}
        return [
            column
            for position, column in enumerate(header)
            if position not in ours and (position in mapped or field_of(column) is Field.ACCOUNT)
        ]

    def near_misses(self, header: Sequence[str]) -> dict[Field, int]:
        """Return, for each field without a column, the position of the column that looks most like it."""
        found = self.candidates(header)
        taken = {position for positions in found.values() for position in positions}
        near = {}
        for field in (field for field in Field if field in self.sought.fields - self.mapped.keys() - found.keys()):
            scores = {
                position: score
                for position, column in enumerate(header)
                if position not in taken and (score := closeness(column, field))
            }
            if scores:
                near[field] = max(scores, key=lambda position: scores[position])
                taken.add(near[field])
        return near

    def require(self, header: Sequence[str], *, file: str, line: int, hint: str = "") -> None:
        """Make sure that no column is missing, and that no column that looks like a field is ignored.

        Args:
            header: Names of the columns.
            file: The input as the user named it.
            line: Line of the header.
            hint: Another possible cause if a required column is missing.

        Raises:
            InputError: The header lacks a required column or one that ``--map`` names, or has a near miss of a field.
        """
        found = self.candidates(header)
        for field, column in self.mapped.items():
            if field not in found and column != NO_COLUMN:
                nearest = _nearest(column, header) or _listed(header)
                message = f"--map {field}={column}: there is no column {column!r}; {nearest}"
                raise InputError(message, file=file, line=line, field=field)
        # A header of a single cell looks like every field in that cell.
        near = self.near_misses(header) if len(header) > 1 else {}
        missing = [field for field in self.sought.required if field not in found]
        if missing:
            placed = [self._flag(field, header, near.get(field)) for field in dict.fromkeys([*missing, *near])]
            way = f"{hint} or " if hint else ""
            message = f"no column for {' and '.join(missing)}; {_listed(header)}; {way}add {' '.join(placed)}"
            raise InputError(message, file=file, line=line, field=missing[0])
        if near:
            raise InputError(self.near_problem(near, header), file=file, line=line, field=next(iter(near)))

    def resolve(self, header: Sequence[str], *, file: str, line: int, hint: str = "") -> dict[Field, int]:
        """Return the position of each field's column; optional fields without a column are left out.

        Raises:
            InputError: A column is missing, one looks like a field, or two mean the same field.
        """
        self.require(header, file=file, line=line, hint=hint)
        found = self.candidates(header)
        for field in found:
            problem = self.ambiguity(field, found[field], header)
            if problem:
                raise InputError(problem, file=file, line=line, field=field)
        return {field: positions[0] for field, positions in found.items()}

    def near_problem(self, near: Mapping[Field, int], header: Sequence[str]) -> str:
        """Say which columns look like fields, and how you use or ignore them."""
        looks = ", ".join(f"{_quoted(header[position])} looks like {field}" for field, position in near.items())
        flags = " ".join(self._flag(field, header, position) for field, position in near.items())
        without = " ".join(f"--map {field}=" for field in near)
        use = "use" if set(near) == {Field.ACCOUNT} else "send"
        return f"{looks}; to {use} it add {flags}; to keep it for the results without sending it add {without}"

    def ambiguity(self, field: Field, positions: Sequence[int], header: Sequence[str]) -> str | None:
        """Say which columns contradict each other, if more than one means the field."""
        if len(positions) == 1:
            return None
        names = " and ".join(repr(header[position]) for position in positions)
        flag = self._flag(field, header, positions[0])
        return f"{names} both mean {field}; rename one, or choose, such as {flag}"

    def _flag(self, field: Field, header: Sequence[str], position: int | None) -> str:
        """Return the flag that maps a field to a column, quoted for a shell."""
        if position is None:
            return f"--map {field}=COLUMN"
        column = header[position]
        by_name = self._positions(column, header) == [position] and column.isprintable()
        return f"--map {shlex.quote(f'{field}={column if by_name or not self.numbered else position + 1}')}"

    def _positions(self, column: str, header: Sequence[str]) -> list[int]:
        if column == NO_COLUMN:
            return []
        exact = [position for position, name in enumerate(header) if name.strip() == column.strip()]
        alike = exact or [position for position, name in enumerate(header) if normal(name) == normal(column)]
        if alike or not (self.numbered and column.strip().isdecimal()):
            return alike
        return [int(column) - 1] if 1 <= int(column) <= len(header) else []


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted, and the number of the others."""
    shown = ", ".join(_quoted(name) for name in names[:MAX_LISTED_COLUMNS])
    more = len(names) - MAX_LISTED_COLUMNS
    return shown + (f" and {more} more" if more > 0 else "")


def _nearest(name: str, choices: Iterable[str]) -> str | None:
    by_normal_name = {normal(choice): choice for choice in choices}
    close = difflib.get_close_matches(normal(name), by_normal_name, n=1)
    return f"did you mean {str(by_normal_name[close[0]])!r}?" if close else None


def _listed(header: Sequence[str]) -> str:
    return f"the columns are {listed(header)}"


def _quoted(column: str) -> str:
    return repr(column if len(column) <= MAX_LISTED_CHARS else column[:MAX_LISTED_CHARS] + "...")
