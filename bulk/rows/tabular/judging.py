"""Judge a record of a table by its cells: a valid row, an invalid row, or no row."""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.legible import legible
from bulk.rows.accounts import refused
from bulk.rows.columns import Field
from bulk.rows.fields import REQUIRED
from bulk.rows.findings import Remarks
from bulk.rows.problems import FieldKind, Problem, RecordKind, field_problem, joined, record_problem
from bulk.rows.record import of_cells
from bulk.rows.spoiled import TOTALS
from bulk.rows.stretches import Stretch, is_header, is_row_of_types, same_columns
from bulk.rows.tabular.noise import noise_of
from bulk.rows.tabular.quotes import why_divided
from bulk.rows.validate import BEYOND_MODULE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk.model import ReadRows
    from bulk.rows.accounts import RowAccounts
    from bulk.rows.problems import Flaw
    from bulk.rows.tabular.heading import Heading
    from bulk.rows.tabular.quotes import Taken
    from bulk.rows.validate import Rules

__all__ = ["RecordJudge"]

NO_FLAWS: Mapping[int, Flaw] = MappingProxyType({})


class RecordJudge:
    """Checks one record after the other, in the file's order."""

    def __init__(self, heading: Heading, rules: Rules, accounts: RowAccounts, *, lenient_keys: bool) -> None:
        """Learn the layout.

        Args:
            heading: The table's beginning.
            rules: The platform's rules for the fields.
            accounts: Finds each row's account.
            lenient_keys: Accept lines of types and totals as rows.
        """
        found = heading.header
        self._rules = rules
        self._accounts = accounts
        self._lenient_keys = lenient_keys
        self._delimiter = found.delimiter
        self._header = found.names if found.line else None
        self._positions = heading.of_fields
        self._sought = heading.sought
        self._account_at = heading.positions.get(Field.ACCOUNT, -1)
        self._told_apart = (*self._positions, self._account_at) if accounts.are_named else self._positions
        ours = frozenset(self._told_apart)
        self._width = len(found.names)
        self._named_width = len(_without_blank_end(found.names))
        self._needed_width = 1 + max(self._positions[:2])
        self._unnamed = [at for at, name in enumerate(found.names) if not name.strip() and at not in ours]
        carried = [name for at, name in enumerate(found.names) if at not in ours and name.strip()]
        above = tuple(map(legible, heading.passed_over))
        self.remarks = Remarks(rules, carried=carried, above=above, unused=heading.unused)
        self.stretch = Stretch()

    @property
    def awaits_unnamed(self) -> bool:
        """Whether there are columns without a name that have been blank so far: see `note_unnamed`."""
        return bool(self._unnamed)

    def note_unnamed(self, texts: Sequence[str]) -> None:
        """Carry the columns that have no name and are not blank in these rows.

        Args:
            texts: Each column's text in these rows, joined.
        """
        telling = [at for at in self._unnamed if at < len(texts) and texts[at].strip()]
        for at in telling:
            self.remarks.carry(f"column {at + 1}, without a name")
            self._unnamed.remove(at)

    def judge(
        self,
        line: int,
        taken: Taken,
        rows: ReadRows,
        *,
        damage: str | None = None,
        flaws: Mapping[int, Flaw] = NO_FLAWS,
        ended: bool = True,
    ) -> None:
        """Add a record to the rows, as a valid or an invalid one, unless it is no row.

        Args:
            line: Line of the file where the record begins.
            taken: The record.
            rows: Rows to which it is added.
            damage: What in it is not in the file's encoding.
            flaws: Why cells can't be used as they are, by column.
            ended: It has a line end.
        """
        cells = taken.cells
        if damage:
            unread = record_problem(RecordKind.ENCODING, cause=damage)
            rows.invalid.append((line, of_cells(cells), unread.code, unread.text, self._accounts.of_unread))
            return
        marked = self.stretch.mark_of_conflict(cells[0], line)
        noise = None if marked or self._may_be_alone(cells) else noise_of(cells)
        if noise:
            self.remarks.leave_out(line, noise)
            return
        problem = (
            marked or self._header_in_between(cells, line) or self.stretch.problem or self._misfit(cells, ended=ended)
        )
        if problem:
            spread = f", read from {taken.lines} lines: is a quote missing?" if taken.lines > 1 else ""
            text = problem.text + spread
            rows.invalid.append((line, of_cells(cells), problem.code, text, self._accounts.of_unread))
            return
        self._judge_fields(line, cells, flaws, rows)

    def _judge_fields(self, line: int, cells: list[str], flaws: Mapping[int, Flaw], rows: ReadRows) -> None:
        self.note_unnamed(cells)
        padded = cells + [""] * (self._width - len(cells))
        key, name, alias, desc = (
            padded[position] if position >= 0 else fill
            for position, fill in zip(self._positions, self._sought.fill, strict=True)
        )
        judged = self._flawed(padded, flaws) or self._rules.judge((key, name, alias, desc))
        whose = self._rules.trimmed(padded[self._account_at]) if self._account_at >= 0 else ""
        account = self._accounts.judge(whose)
        if isinstance(judged, Problem) or isinstance(account, Problem):
            owner, problem = refused(account, judged)
            rows.invalid.append((line, of_cells(cells), problem.code, problem.text, owner))
        else:
            rows.valid.append((line, *judged, of_cells(cells)))
            rows.accounts.extend([account] if self._accounts.are_named else [])

    def _flawed(self, cells: list[str], flaws: Mapping[int, Flaw]) -> Problem | None:
        problems = [
            field_problem(field, FieldKind.CELL, value=f" {cells[at]!r}" if cells[at] else "", cause=flaws[at].cause)
            for field, at in zip(Field, (*self._positions, self._account_at), strict=True)
            if at in flaws
            and not (flaws[at].only_keys and field not in REQUIRED)
            and not self._rules.stands_for_nothing(cells[at])
        ]
        return joined(problems) if problems else None

    def _header_in_between(self, cells: list[str], line: int) -> Problem | None:
        if cells == self._header:
            return record_problem(RecordKind.HEADER)
        if not is_header(cells, self._key_of(cells)):
            return None
        if same_columns(cells, self._header or (), self._told_apart):
            return record_problem(RecordKind.HEADER)
        return self.stretch.other_header(line)

    def _key_of(self, cells: list[str]) -> str:
        position = self._positions[0]
        return cells[position] if 0 <= position < len(cells) else ""

    def _may_be_alone(self, cells: list[str]) -> bool:
        """Say whether a single cell is a row: `end` may mark the end of a table, or be the name of a module."""
        if not self._sought.is_alone:
            return False
        cell = cells[max(self._positions[:2])].strip() if max(self._positions[:2]) < len(cells) else ""
        return any(map(str.isalnum, cell)) and not BEYOND_MODULE_NAME.search(cell)

    def _misfit(self, cells: list[str], *, ended: bool) -> Problem | None:
        if "\0" in "".join(cells):
            return record_problem(RecordKind.NUL)
        if len(cells) < self._named_width:
            return self._too_few(cells, ended=ended)
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._named_width :]):
            return self._wrong_width(cells, f"too many for the {self._named_width} columns of {self._whose()}")
        return None if self._lenient_keys else self._no_module(cells)

    def _no_module(self, cells: list[str]) -> Problem | None:
        if is_row_of_types(cells):
            return record_problem(RecordKind.TYPES)
        if self._key_of(cells).strip(" \t:：").casefold() in TOTALS:
            return record_problem(RecordKind.TOTAL)
        return None

    def _too_few(self, cells: list[str], *, ended: bool) -> Problem | None:
        """Return the problem of a row that lacks its last cells; ``None`` if no required field is among them."""
        few = f"too few for the {self._named_width} columns of {self._whose()}"
        if len(cells) < self._needed_width:
            return self._wrong_width(cells, few)
        if not ended:
            return self._wrong_width(cells, f"{few}, and no line end: is the file cut off? Complete its last line")
        return None

    def _wrong_width(self, cells: list[str], cause: str) -> Problem:
        count = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}"
        return record_problem(RecordKind.WIDTH, cells=count, cause=cause + why_divided(cells, self._delimiter))

    def _whose(self) -> str:
        return "the header" if self._header is not None else "the first rows"


def _without_blank_end(header: list[str]) -> list[str]:
    blank = sum(1 for _ in itertools.takewhile(lambda name: not name.strip(), reversed(header)))
    return header[: len(header) - blank]
