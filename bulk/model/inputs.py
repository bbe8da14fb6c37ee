"""How an input is named, and the values that reading it gives: its rows, and facts about the input."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WORKBOOK_SUFFIXES", "AccountNames", "InputFound", "InvalidRow", "ReadRows", "ValidRow", "has_no_place"]

WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
"""File name endings of workbooks; the second may hold macros, which bulk never runs."""

_DESCRIPTOR = re.compile(r"-|/dev/(?:stdin|fd/\d+)|/proc/(?:self|thread-self|\d+)/fd/\d+")

ValidRow = tuple[int, str, str, str, str, str]
"""A row as it was read: ``(line, product_key, module_name, alias_name, desc, record)``; a tuple, for speed.

``line`` is the line of the file on which the record starts, starting at 1; an optional field that is absent is empty;
``record`` is the row as it was: the line, or a JSON array of the cells, in which 0 to 3 may stand for the four fields.
"""

InvalidRow = tuple[int, str, str, str, str | None]
"""A row that fails validation: ``(line, record, code, problem, account)``; ``problem`` says field and reason.

``code`` is stable, such as ``alias_name.length``; `bulk.rows.problems` has them all. ``account`` is ``None`` if the row
does not name one.
"""


@dataclass(frozen=True, slots=True)
class AccountNames:
    """What the rows of an input may have in their column Account."""

    known: tuple[str, ...]
    """All accounts that the settings name, used by this job or not."""

    of_all: str | None = None
    """The account of all rows if the input has no such column; ``None``: it must have one."""


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Some rows as they were read; each list is in file order."""

    valid: list[ValidRow] = field(default_factory=list)
    invalid: list[InvalidRow] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    """The account of each valid row; empty if the settings name none, so that most inputs have no cost."""

    def __len__(self) -> int:
        """Return how many rows there are, valid and invalid."""
        return len(self.valid) + len(self.invalid)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFound:
    """Facts about an input that were found while it was read."""

    format: str
    """``csv``, ``tsv``, ``jsonl`` or ``xlsx``."""

    encoding: str
    delimiter: str | None
    """``None`` for JSONL and workbooks."""

    header_line: int | None
    """Line of the file; ``None``: it has no header."""

    columns: Mapping[str, str]
    """Field → the column that it is taken from."""

    carried: tuple[str, ...]
    """Columns that are kept beside each row and not sent."""

    notices: tuple[str, ...]
    """Notes for the user, one sentence each."""

    accounts_column: bool = False
    """A column names each row's account. False too if the settings name no accounts: the column is only kept then."""

    sheet: str | None = None
    """For a workbook: the sheet that is read."""

    sha256: str = ""
    """Of the file's bytes, once a job has read them all; empty: it is no file."""


def has_no_place(path: str) -> bool:
    """Say whether an input is a descriptor, such as stdin: it has no folder, and it can't be read twice."""
    return _DESCRIPTOR.fullmatch(path) is not None
