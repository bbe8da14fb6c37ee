from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.views.reading import open_for_reading, read_results
from bulk.model import ReadRows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.ledger.store import Ledger
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
