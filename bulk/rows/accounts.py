"""Find each row's account: from its column Account, or the one account that all rows belong to."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.rows.columns import listed
from bulk.rows.fields import Field
from bulk.rows.problems import FieldKind, Problem, field_problem, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.model import AccountNames

__all__ = ["RowAccounts", "refused"]

NO_ACCOUNT = ""
"""Account of every row if the settings name no accounts."""


class RowAccounts:
    """Finds the account of each row of an input."""

    __slots__ = ("_known", "_of_all", "are_named", "has_column")

    def __init__(self, names: AccountNames | None, *, has_column: bool) -> None:
        """Take the names of the settings.

        Args:
            names: Names of accounts; ``None``: there are none, and a column Account is carried like any other.
            has_column: The input has such a column.
        """
        self._known = tuple(names.known) if names else ()
        self._of_all = NO_ACCOUNT if names is None else names.of_all
        self.are_named = names is not None
        """Whether the settings name accounts."""

        self.has_column = has_column and names is not None

    @property
    def of_unread(self) -> str | None:
        """The account of a row that could not be parsed; ``None``: unknown, only the row itself could say."""
        return None if self.has_column else self._of_all

    def require(self, columns: Sequence[str], *, file: str, line: int) -> None:
        """Make sure that every row has an account.

        Raises:
            InputError: There is no column for it, and there is more than one account.
        """
        if self.has_column or self._of_all is not None:
            return
        message = (
            f"no column for {Field.ACCOUNT}, and the settings name accounts {listed(self._known)}; the columns are "
            f"{listed(columns)}; add --map {Field.ACCOUNT}=COLUMN, or, if all rows are of one account, --account NAME"
        )
        raise InputError(message, file=file, line=line, field=Field.ACCOUNT)

    def accept(self, cells: Sequence[str] | None, rows: int) -> Sequence[str] | None:
        """Return the accounts of some rows if a quick check finds them; ``None``: use `judge`.

        Args:
            cells: The column's cells; ``None``: there is no column.
            rows: Number of rows.
        """
        if not self.are_named:
            return ()
        if cells is None:
            return None if self._of_all is None else (self._of_all,) * rows
        return cells if set(cells) <= {*self._known} else None

    def judge(self, text: str) -> str | Problem:
        """Return the account of a row, or what is wrong with its name.

        Args:
            text: The row's cell, trimmed; empty: it says nothing.
        """
        if not text and not self.has_column and self._of_all is not None:
            return self._of_all
        if not text:
            return field_problem(Field.ACCOUNT, FieldKind.BLANK, cause=self._known_ones())
        if text in self._known:
            return text
        return field_problem(Field.ACCOUNT, FieldKind.UNKNOWN, value=text, cause=self._nearest(text))

    def _nearest(self, text: str) -> str:
        by_plain_name = {name.casefold(): name for name in self._known}
        close = difflib.get_close_matches(text.casefold(), by_plain_name, n=1)
        return f"did you mean {by_plain_name[close[0]]!r}?" if close else self._known_ones()

    def _known_ones(self) -> str:
        return f"the accounts are {listed(self._known)}" if len(self._known) > 1 else f"it knows {listed(self._known)}"


def refused(account: str | Problem, judged: object) -> tuple[str | None, Problem]:
    """Return an invalid row's account, ``None`` if that itself is wrong, and all its problems as one.

    Args:
        account: Result of `RowAccounts.judge`.
        judged: Result of `Rules.judge`; at least one of the two is a problem.
    """
    whose = None if isinstance(account, Problem) else account
    return whose, joined([problem for problem in (account, judged) if isinstance(problem, Problem)])
