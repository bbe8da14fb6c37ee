"""What the next input is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError
from bulk.ledger.good_inputs import KeyCounts, compare_keys, note_first_good_input, note_good_input
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.ledger.store import Ledger
    from bulk.model import ValidRow

AT = 1_800_000_000.0
ALL = {"also_shorter": True, "also_others": True}


def lengths(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.connection.execute("SELECT run_id, rows, products FROM good_syncs").fetchall()


@pytest.fixture
def read(read_in: Callable[..., None], valid: Callable[..., ValidRow]) -> Callable[..., None]:
    """Return what reads an input of modules, a product and a name each."""

    def make(*modules: str) -> None:
        read_in(*(valid(line, *module.split()) for line, module in enumerate(modules, 2)))

    return make


def begin_run(ledger: Ledger) -> None:
    rates = {Action.CREATE: 10.0, Action.LIST: 10.0}
    ledger.begin_run("r1", at=AT, version="1", input_name="m.csv", rates=rates)


def note(ledger: Ledger, path: Path, run_id: str, **compared: bool) -> None:
    note_good_input(ledger.connection, path, account="", run_id=run_id, at=AT, **(ALL | compared))


def test_a_good_input_is_what_the_next_one_is_compared_with(
    ledger: Ledger, path: Path, read: Callable[..., None]
) -> None:
    read("p1 m1", "p1 m2", "p2 m1")
    assert compare_keys(ledger.connection) == {"": KeyCounts(3, 0, 0)}

    note(ledger, path, "r1")
    read("p1 m1", "p3 m1")

    assert lengths(ledger) == [("r1", 3, 2)]
    assert compare_keys(ledger.connection) == {"": KeyCounts(keys=2, good=3, common=1)}


@pytest.mark.parametrize(
    ("compared", "length", "keys"),
    [
        ({}, (1, 1), KeyCounts(1, 1, 1)),
        ({"also_shorter": False}, (3, 2), KeyCounts(1, 1, 1)),
        ({"also_others": False}, (1, 1), KeyCounts(1, 3, 1)),
    ],
)
def test_length_and_keys_of_an_input_are_taken_over_each_on_its_own(
    ledger: Ledger,
    path: Path,
    read: Callable[..., None],
    compared: dict[str, bool],
    length: tuple[int, int],
    keys: KeyCounts,
) -> None:
    read("p1 m1", "p1 m2", "p2 m1")
    note(ledger, path, "r1")
    read("p1 m1")

    note(ledger, path, "r2", **compared)

    assert lengths(ledger) == [("r2", *length)]
    assert compare_keys(ledger.connection) == {"": keys}


def test_an_input_that_cannot_be_noted_as_a_whole_is_not_noted_at_all(
    ledger: Ledger, path: Path, read: Callable[..., None]
) -> None:
    read("p1 m1", "p1 m2")
    note(ledger, path, "r1")
    read("p1 m1")
    ledger.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE DELETE ON main.good_keys BEGIN SELECT raise(FAIL, 'disk is full'); END"
    )

    with pytest.raises(LedgerError, match="disk is full"):
        note(ledger, path, "r2")

    assert not ledger.connection.in_transaction
    assert (lengths(ledger), compare_keys(ledger.connection)) == ([("r1", 2, 1)], {"": KeyCounts(1, 2, 1)})


@pytest.mark.parametrize(
    ("exit_code", "stopped", "is_good"), [(0, None, True), (1, None, True), (3, "deadline", False), (1, "x", False)]
)
def test_before_the_first_good_sync_the_input_of_a_finished_run_counts(
    ledger: Ledger, read: Callable[..., None], exit_code: int, stopped: str | None, is_good: bool
) -> None:
    begin_run(ledger)
    read("p1 m1", "p2 m1")
    ledger.end_run("r1", at=AT, exit_code=exit_code, stopped=stopped, summary=None)

    note_first_good_input(ledger.connection, run_id="r2", at=AT)

    assert lengths(ledger) == ([("r2", 2, 2)] if is_good else [])
    assert compare_keys(ledger.connection)[""].good == (2 if is_good else 0)


def test_a_finished_run_does_not_replace_a_good_sync(ledger: Ledger, path: Path, read: Callable[..., None]) -> None:
    read("p1 m1", "p2 m1")
    note(ledger, path, "r0")
    begin_run(ledger)
    read("p1 m1")
    ledger.end_run("r1", at=AT, exit_code=0, stopped=None, summary=None)

    note_first_good_input(ledger.connection, run_id="r2", at=AT)

    assert lengths(ledger) == [("r0", 2, 2)]


def test_a_new_ledger_has_no_good_input(ledger: Ledger) -> None:
    note_first_good_input(ledger.connection, run_id="r1", at=AT)

    assert lengths(ledger) == []
