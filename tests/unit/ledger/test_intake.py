from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.store import Ledger
from bulk.ledger.views.reading import open_for_reading, read_input_name, read_results, read_results_without_row
from bulk.model import Dialect, Outcome, ReadRows, Target

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import ValidRow


def given_out(path: Path) -> list[tuple[str, tuple[str | None, ...]]]:
    with closing(open_for_reading(path)) as connection:
        return [(result.record, result.values) for result in read_results(connection, path)]


def test_a_record_is_given_out_as_it_came_with_its_fields_beside_it(path: Path, ledger: Ledger) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(2, "p1", "a", "主控", "", '[3,"0",1,0,"x"]')]))

    assert given_out(path) == [('[3,"0",1,0,"x"]', ("p1", "a", "主控", None))]


@pytest.mark.parametrize("record", ["[0,1]", '["0",""]', '"a line"', "not JSON"])
def test_an_invalid_rows_record_is_given_out_as_it_is(path: Path, ledger: Ledger, record: str) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows(invalid=[(2, record, "record.json", "wrong", "")]))

    assert given_out(path) == [(record, (None, None, None, None))]


def test_a_repeated_rows_record_is_given_out_with_its_own_fields(path: Path, ledger: Ledger) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(2, "p1", "a", "x", "", "[0,1,2]"), (3, "p1", "A", "y", "", "[0,1,2]")]))

    assert [values for _, values in given_out(path)] == [("p1", "a", "x", None), ("p1", "A", "y", None)]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 300])
def test_every_row_is_written_once_however_many_come_together(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow], count: int
) -> None:
    read_in(*(valid(line, "p1", f"m{line}") for line in range(2, 2 + count)))

    found = ledger.connection.execute("SELECT line, module_name FROM rows ORDER BY line").fetchall()
    assert found == [(line, f"m{line}") for line in range(2, 2 + count)]


def test_an_absent_field_is_null(ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]) -> None:
    read_in(valid(2, "p1", "a"))

    assert ledger.connection.execute('SELECT alias_name, "desc", outcome, message FROM rows').fetchall() == [
        (None, None, None, None)
    ]


def test_product_of_two_accounts_on_one_platform_is_that_ones_whose_line_is_first(tmp_path: Path) -> None:
    one, other = (Target(Dialect.TUYA, f"https://{name}.test") for name in ("one", "other"))
    targets = {"a": one, "b": one, "c": other}
    valid = [(2, "p1", "m1"), (3, "p1", "m2"), (4, "p1", "m3"), (5, "p2", "m1"), (6, "p1", "m4")]
    rows = [(line, key, name, "", "", "[]") for line, key, name in valid]
    with closing(Ledger.open(tmp_path / "it.db", targets=targets)) as ledger:
        with ledger.intake(name="x", shape="{}", at=0.0) as intake:
            intake.add(ReadRows(rows, accounts=["a", "b", "c", "b", "a"]))

        standing = ledger.connection.execute("SELECT line, outcome FROM standing ORDER BY line").fetchall()
        (why,) = ledger.connection.execute("SELECT message FROM standing WHERE line = 3").fetchone()

    assert standing == [(2, "pending"), (3, "invalid"), (4, "pending"), (5, "pending"), (6, "pending")]
    assert "line 2 has this ProductKey under account 'a'" in why


def test_rows_of_the_input_before_are_there_until_they_are_looked_at_and_come_back_where_a_check_refuses(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"))
    before: list[int] = []

    def look(connection: sqlite3.Connection) -> None:
        before.extend(line for (line,) in connection.execute("SELECT line FROM rows"))

    def refuse(connection: sqlite3.Connection) -> None:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (2,)
        raise LedgerError("another job's rows")

    ledger.before_intake, ledger.check_intake = look, refuse

    with pytest.raises(LedgerError, match="another job's rows"):
        read_in(valid(5, "p2", "b"), valid(6, "p2", "c"))

    assert before == [2]
    assert ledger.connection.execute("SELECT line FROM rows").fetchall() == [(2,)]


def test_modules_that_no_row_asks_for_any_more_are_given_with_the_record_of_their_product(
    path: Path, ledger: Ledger
) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(2, "p1", "a", "", "", '["p1","a"]')]))
    ledger.connection.executemany(
        "INSERT INTO modules (product_key, module_name, outcome, settled_at, run_id) VALUES (?, ?, ?, '', 'r')",
        [("p1", "gone", "deleted"), ("p2", "stays", "surplus"), ("p2", "made", "created")],
    )

    with closing(open_for_reading(path)) as connection:
        every = [*read_results_without_row(connection, path)]
        some = [*read_results_without_row(connection, path, outcomes=[Outcome.SURPLUS])]

    assert [(one.line, one.record, one.values[:2], one.outcome) for one in every] == [
        (0, '["p1","a"]', ("p1", "gone"), "deleted"),
        (0, "", ("p2", "stays"), "surplus"),
    ]
    assert some == every[1:]


def test_name_of_the_input_is_known_once_one_was_read(path: Path, ledger: Ledger) -> None:
    before = read_input_name(path)
    with ledger.intake(name="nightly.csv", shape="{}", at=0.0):
        pass

    assert (before, read_input_name(path)) == (None, "nightly.csv")
