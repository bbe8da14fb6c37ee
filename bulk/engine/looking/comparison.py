"""Compare the rows of an input with existing modules. Many rows are kept on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bulk.control.diff import differences
from bulk.model import OtaModule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Comparison", "Finding", "Verdict"]

_SCHEMA = """
CREATE TABLE wanted (line INTEGER, account TEXT, key TEXT, folded TEXT, name TEXT, alias TEXT, "desc" TEXT);
CREATE TABLE there (
    account TEXT, key TEXT, folded TEXT, name TEXT, alias TEXT, "desc" TEXT, line INTEGER,
    PRIMARY KEY (account, key, folded)
) WITHOUT ROWID;
CREATE TABLE unread (account TEXT, key TEXT, reason TEXT, PRIMARY KEY (account, key)) WITHOUT ROWID;
CREATE TABLE invalid (line INTEGER, account TEXT, key TEXT, name TEXT, reason TEXT, of_other INTEGER);
CREATE INDEX invalid_of_other ON invalid (key, line) WHERE of_other;
"""
_JUDGED = """
SELECT w.line, w.account, w.key, w.name, w.alias, w."desc", t.name, t.alias, t."desc", u.reason
FROM wanted AS w
LEFT JOIN there AS t USING (account, key, folded)
LEFT JOIN unread AS u ON u.account = w.account AND u.key = w.key
UNION ALL SELECT line, account, key, name, NULL, NULL, NULL, NULL, NULL, reason FROM invalid
ORDER BY 1
"""
_HIDING = """
SELECT line, reason FROM invalid
WHERE of_other AND key = ? AND (name = '' OR lower(name) = ?) AND account IN ('', ?)
ORDER BY line LIMIT 1
"""
_TWIN = 'SELECT line, name, alias, "desc" FROM there WHERE account = ? AND key = ? AND folded = ?'
_SURPLUS = """
SELECT line, account, key, name FROM there
WHERE NOT EXISTS (
    SELECT 1 FROM wanted AS w WHERE w.account = there.account AND w.key = there.key AND w.folded = there.folded
) ORDER BY account, key, folded
"""


class Verdict(StrEnum):
    """Result of the comparison for a module."""

    MISSING = "missing"  #: a row asks for it, and it is not there
    DIFFERENT = "different"  #: it is there, with another alias, description or letter case
    UNREAD = "unread"  #: unknown: a row or a product could not be read
    SURPLUS = "surplus"  #: it is there, and no row asks for it


class Finding(NamedTuple):
    """One module that is not equal."""

    verdict: Verdict
    line: int | None
    """Line of the row; ``None``: a module that was listed."""

    account: str
    product_key: str
    module_name: str
    reason: str
    """Which fields differ, and how; or why it is unread."""


class Comparison:
    """Wanted rows, and existing modules."""

    def __init__(self) -> None:
        """Begin without any. Each account is added by its own thread, one after the other."""
        self._turn = threading.Lock()
        # A database without a name is a file that disappears when it is closed; a small one never leaves memory.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self.rows = 0
        """Rows that ask for modules, also those that can't be read."""

        self.unread_of_other = 0

    def want(self, rows: Iterable[tuple[int, str, OtaModule]]) -> None:
        """Add rows: line, account, module."""
        added = [(line, account, *_cells(module)) for line, account, module in rows]
        self._database.executemany("INSERT INTO wanted VALUES (?, ?, ?, ?, ?, ?, ?)", added)
        self.rows += len(added)

    def invalid(self, rows: Iterable[Finding], *, of_other: bool = False) -> None:
        """Add rows that can't be read; ``of_other``: of the other file. They ask for nothing, but hide what exists."""
        added = [(*row[1:], of_other) for row in rows]
        self._database.executemany("INSERT INTO invalid VALUES (?, ?, ?, ?, ?, ?)", added)
        if of_other:
            self.unread_of_other += len(added)
        else:
            self.rows += len(added)

    def add(self, account: str, modules: Iterable[tuple[int | None, OtaModule]]) -> None:
        """Add existing modules that were listed, or are of a file, each with its line there."""
        added = [(account, *_cells(module), line) for line, module in modules]
        with self._turn:
            self._database.executemany("INSERT OR IGNORE INTO there VALUES (?, ?, ?, ?, ?, ?, ?)", added)

    def add_row(self, account: str, line: int, module: OtaModule, *, file: str) -> None:
        """Add a row of the other file. If it contradicts an earlier one, it can't be read, as in a run."""
        before = self._database.total_changes
        self.add(account, [(line, module)])
        if self._database.total_changes > before:
            return
        key, folded, *texts = _cells(module)
        first, *others = self._database.execute(_TWIN, (account, key, folded)).fetchone()
        if texts != others:
            reason = f"{file}: contradicts line {first}, which has other texts for the same module"
            self.invalid(
                [Finding(Verdict.UNREAD, line, account, module.product_key, module.module_name, reason)], of_other=True
            )

    def leave_unread(self, account: str, product_key: str, reason: str) -> None:
        """Note that the modules of a product are unknown."""
        with self._turn:
            self._database.execute("INSERT OR REPLACE INTO unread VALUES (?, ?, ?)", (account, product_key, reason))

    def forget_accounts(self) -> None:
        """Compare products by their keys alone: one of the sides does not name accounts."""
        self._database.execute("UPDATE wanted SET account = ''")
        self._database.execute("UPDATE OR REPLACE there SET account = ''")

    def products(self) -> list[tuple[str, str]]:
        """Return account and ProductKey of all products that rows name."""
        return self._database.execute("SELECT DISTINCT account, key FROM wanted ORDER BY 1, 2").fetchall()

    def findings(self, *, surplus: bool) -> Iterator[Finding]:
        """Yield what is not equal: rows in the order of their lines, then modules without a row if asked for."""
        for line, account, key, name, alias, desc, *there, reason in self._database.execute(_JUDGED):
            if reason is not None:
                yield Finding(Verdict.UNREAD, line, account, key, name, reason)
            elif there[0] is None:
                yield self._not_there(line, account, key, name)
            elif found := differences(OtaModule(key, name, alias, desc), OtaModule(key, *there)):
                words = "; ".join(f"{each.field}: wanted {each.wanted!r}, found {each.found!r}" for each in found)
                yield Finding(Verdict.DIFFERENT, line, account, key, name, words)
        if surplus:
            for line, account, key, name in self._database.execute(_SURPLUS):
                where = f"line {line} of the other file" if line else "on the platform"
                yield Finding(Verdict.SURPLUS, None, account, key, name, f"{where}, and no row asks for it")

    def _not_there(self, line: int, account: str, key: str, name: str) -> Finding:
        hiding = None
        for hidden in (key, "") if self.unread_of_other else ():  # a row whose product can't be told may be of any
            hiding = hiding or self._database.execute(_HIDING, (hidden, name.casefold(), account)).fetchone()
        if hiding is None:
            return Finding(Verdict.MISSING, line, account, key, name, "not there")
        reason = f"it may be there, in line {hiding[0]}, which can't be read: {hiding[1]}"
        return Finding(Verdict.UNREAD, line, account, key, name, reason)

    def close(self) -> None:
        """Discard the comparison."""
        self._database.close()


def _cells(module: OtaModule) -> tuple[str | None, ...]:
    folded = module.module_name.casefold()
    return module.product_key, folded, module.module_name, module.alias_name, module.desc
