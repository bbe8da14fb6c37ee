"""A new ledger and an upgraded one have the same layout; a newer one is refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerLayoutError
from bulk.ledger.sql import SCHEMA_VERSION, migrations, schema
from bulk.ledger.storage.database import open_for_reading, open_for_writing
from bulk.ledger.store import Ledger, check_ledger
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")


def laid_out(*scripts: str) -> dict[str, str]:
    """Return each thing's SQL, without its comments and however it is spaced."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in scripts:
            connection.executescript(script)
        things = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: re.sub(r"\s+|\"", "", re.sub(r"--[^\n]*", "", sql)) for name, sql in things}


def test_migrations_are_numbered_without_a_gap_up_to_the_present_layout() -> None:
    assert sorted(migrations()) == list(range(1, SCHEMA_VERSION + 1))


def test_migrations_lead_to_the_layout_of_a_new_ledger() -> None:
    steps = [migrations()[number] for number in sorted(migrations())]

    assert laid_out(*steps) == laid_out(schema())


def test_a_layout_that_was_released_never_changes() -> None:
    with closing(sqlite3.connect("file:tests/data/ledgers-0.1.0/empty/ledger.sqlite?immutable=1", uri=True)) as written:
        things = written.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()

    assert dict(things) == dict(_things(migrations()[1]))


def _things(script: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()


@pytest.mark.parametrize(
    "opening",
    [
        lambda path: Ledger.open(path, targets={"": TARGET}),
        lambda path: Ledger.scratch(path, targets={"": TARGET}),
        lambda path: check_ledger(path, targets=None),
        open_for_reading,
        open_for_writing,
    ],
)
def test_a_newer_layout_is_refused_by_name_and_left_as_it_is(
    opening: Callable[[Path], Any], path: Path, ledger: Ledger
) -> None:
    ledger.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    ledger.close()
    before = path.read_bytes()

    with pytest.raises(LedgerLayoutError, match=r"modules\.csv\.ledger\.db: a newer version of bulk wrote") as refused:
        opening(path)

    assert refused.value.exit_code == 4
    assert path.read_bytes() == before
