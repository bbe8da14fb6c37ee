"""Write the input that restores what the updates and deletes of a run replaced."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bulk.errors import SettingsError
from bulk.ledger.binding import read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.views.reading import at_one_moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = ["Undo", "write_undo_file"]

_COLUMNS = ("ProductKey", "ModuleName", "AliasName", "Desc")


@dataclass(frozen=True, slots=True)
class Undo:
    """What was written."""

    run_id: str
    rows: int
    not_restored: tuple[str, ...]
    """Fields that were empty. A blank cell can't make them empty again: ``product module field``."""

    sandbox: tuple[str, ...]
    """Options that lead to the sandbox on which the run worked; none: it worked on a real platform."""

    names_accounts: bool
    """Whether the ledger has accounts by name: then only settings with them lead to where the run worked."""


class _Replaced(NamedTuple):
    account: str
    product_key: str
    module_name: str
    kind: str
    wanted_alias: str | None
    wanted_desc: str | None
    found_alias: str | None
    found_desc: str | None


def write_undo_file(ledger: Path, path: Path, *, run: str = "") -> Undo:
    """Write a CSV file with the modules as they were, readable by its owner alone.

    Args:
        ledger: Also one that a run is at work on.
        path: Where to write it.
        run: The run's id, or its beginning; empty: the last run that updated or deleted anything.

    Raises:
        SettingsError: No such run updated or deleted anything.
        LedgerError: There is no such ledger, or it can't be read.
        OSError: The file can't be written.
    """
    part = Path(f"{path}.part")
    with at_one_moment(ledger) as connection:
        run_id = _run_id(connection, ledger, run)
        with suppress(FileNotFoundError):
            part.unlink()
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline=""
        ) as out:
            rows, lost = _write(csv.writer(out, lineterminator="\n"), _replaced(connection, ledger, run_id))
            out.flush()
            os.fsync(out.fileno())
        with translated(ledger):
            targets = read_targets(connection)
    part.replace(path)
    sandbox = next((target.sandbox_options for target in targets.values() if target.is_sandbox), ())
    return Undo(run_id, rows, lost, sandbox, names_accounts=any(targets))


def _run_id(connection: sqlite3.Connection, ledger: Path, run: str) -> str:
    with translated(ledger):
        found = connection.execute(query("last_changing_run"), {"run": run}).fetchone()
    if found is None:
        which = f"no run {run}… of it" if run else "no run of it"
        raise SettingsError(
            f"{ledger}: {which} has updated or deleted anything: there is nothing to undo; `bulk status` lists the runs"
        )
    return str(found[0])


def _replaced(connection: sqlite3.Connection, ledger: Path, run_id: str) -> Iterator[_Replaced]:
    with translated(ledger):
        for record in connection.execute(query("undo"), {"run": run_id}):
            yield _Replaced(*record)


def _write(writer: csv._writer, replaced: Iterator[_Replaced]) -> tuple[int, tuple[str, ...]]:  # type: ignore[name-defined]  # csv's own type has no public name
    rows = 0
    not_restored: list[str] = []
    first = next(replaced, None)
    with_account = first is not None and bool(first.account)
    writer.writerow(("Account", *_COLUMNS) if with_account else _COLUMNS)
    while first is not None:
        cells = (first.product_key, first.module_name, first.found_alias or "", first.found_desc or "")
        writer.writerow((first.account, *cells) if with_account else cells)
        rows += 1
        not_restored += _lost_fields(first)
        first = next(replaced, None)
    return rows, tuple(not_restored)


def _lost_fields(one: _Replaced) -> Iterator[str]:
    if one.kind != "update":
        return  # a module that is made again gets no text if the file has none

    for field, before, now in (
        ("AliasName", one.found_alias, one.wanted_alias),
        ("Desc", one.found_desc, one.wanted_desc),
    ):
        if not before and now:
            yield f"{one.product_key} {one.module_name} {field}"
