"""A ledger that is made of others appears whole, or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError
from bulk.ledger.merging import merged_ledger
from bulk.ledger.storage.files import log_of, memory_of, unfinished_merge_of
from bulk.ledger.storage.lock import is_held
from bulk.ledger.store import Ledger
from bulk.ledger.views.status import read_status
from bulk.model import Action, Dialect, ReadRows, Target

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.ledger.merging import MergedLedger

TARGETS = {"eu": Target(Dialect.ALIBABA, "https://platform")}
RATES = {Action.CREATE: 10.0, Action.LIST: 10.0}


def fill(merged: MergedLedger, *lines: int, run_id: str = "m") -> None:
    merged.begin_run(run_id, at=0.0, version="1", input_name="in.csv", rates=RATES, command="merge")
    rows = [("eu", line, "pk", f"m{line}", "", "", "[]") for line in lines]
    with merged.intake(name="in.csv", shape="{}", at=0.0) as intake:
        intake.add_slice(rows, [])


def merge(path: Path, *lines: int, run_id: str = "m") -> None:
    with merged_ledger(path, run_id=run_id, targets=TARGETS) as merged:
        fill(merged, *lines, run_id=run_id)


def record(line: int, outcome: str = "created", *, owned: Any = "", **more: Any) -> list[object]:
    said = {"request_id": "", "attempts": 1, "recovered": 0, "in_doubt": 0, "at": "2026-01-01T00:00:00.000Z"} | more
    return [line, "eu", "pk", f"m{line}", "", "", *said.values(), outcome, "", "", owned]


def left(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


def test_merge_that_fails_leaves_the_one_before(path: Path) -> None:
    merge(path, 2, 3)
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="UNIQUE"):
        merge(path, 4, 4)

    assert path.read_bytes() == before
    assert left(path) == {path.name, f"{path.name}.lock"}
    assert is_held(path) is False


@pytest.mark.parametrize("refusing", ["os.fsync", "pathlib.Path.replace"])
def test_disk_that_fails_at_the_end_leaves_no_half_ledger(
    refusing: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(refusing, refuse)

    with pytest.raises(LedgerError, match=r"the ledger can't be written .*Input/output error"):
        merge(path, 2)

    assert not path.exists()
    assert not unfinished_merge_of(path).exists()
    assert is_held(path) is False


def test_file_with_nothing_in_it_yet_is_replaced(path: Path) -> None:
    path.touch()

    merge(path, 2, 3)

    assert read_status(path).rows == 2


def test_ledger_of_a_run_is_refused_and_its_rows_stay(path: Path) -> None:
    with closing(Ledger.open(path, targets=TARGETS)) as ledger:
        ledger.begin_run("r", at=0.0, version="1", input_name="x", rates=RATES)
        with ledger.intake(name="x", shape="{}", at=0.0) as intake:
            intake.add(ReadRows([(2, "pk", "a", "", "", "[]")], accounts=["eu"]))

    with pytest.raises(LedgerError, match="it is more than a merge of this fleet: name another with -o"):
        merge(path, 2, 3)

    assert read_status(path).input == "x"


def test_merge_of_another_fleet_is_refused(path: Path) -> None:
    merge(path, 2, 3, run_id="m")

    with pytest.raises(LedgerError, match="more than a merge of this fleet"):
        merge(path, 2, run_id="other")

    assert read_status(path).rows == 2


def test_log_of_a_ledger_that_was_removed_is_not_taken_for_the_new_ones(path: Path) -> None:
    with closing(Ledger.open(path, targets=TARGETS)) as ledger:
        with ledger.intake(name="x", shape="{}", at=0.0) as intake:
            intake.add(
                ReadRows([(line, "pk", f"x{line}", "", "", "[]") for line in range(2, 900)], accounts=["eu"] * 898)
            )
        ledger.connection.execute("UPDATE input SET name = 'another'")
        log, memory = log_of(path).read_bytes(), memory_of(path).read_bytes()
    path.unlink()
    log_of(path).write_bytes(log)
    memory_of(path).write_bytes(memory)

    merge(path, 2, 3, 4)

    assert not log_of(path).exists()
    assert (read_status(path).rows, read_status(path).input) == (3, "in.csv")


def test_outcomes_are_of_this_ledger_unless_a_record_says_that_they_are_not(path: Path) -> None:
    with merged_ledger(path, run_id="m", targets=TARGETS) as merged:
        fill(merged, 2, 3, 4, 5)
        merged.add_last_words([record(5, "exists"), record(3, owned=0, recovered=1), record(4, owned=1), record(2)])
        owned = dict(merged.connection.execute("SELECT module_name, owned FROM modules").fetchall())

        assert merged.outcomes()["created"] == 3
        assert merged.strange_word() is None
        assert merged.shared_product() is None
    assert owned == {"m2": 1, "m3": 0, "m4": 1, "m5": 0}


def test_later_word_on_a_module_replaces_an_earlier_one(path: Path) -> None:
    with merged_ledger(path, run_id="m", targets=TARGETS) as merged:
        fill(merged, 2)
        for outcome in ("sending", "failed", "created"):
            merged.add_last_words([record(2, outcome)])

        outcomes = {outcome: rows for outcome, rows in merged.outcomes().items() if rows}
    assert outcomes == {"created": 1}


def test_word_on_a_module_that_no_row_asks_for_is_found(path: Path) -> None:
    with merged_ledger(path, run_id="m", targets=TARGETS) as merged:
        fill(merged, 2)
        merged.add_last_words([record(2), record(9)])

        assert merged.strange_word() == ("eu", "pk", "m9")


def test_word_about_a_row_that_wants_another_spelling_is_strange(path: Path) -> None:
    with merged_ledger(path, run_id="m", targets=TARGETS) as merged:
        fill(merged, 2)
        merged.add_last_words([record(2), [*record(2)[:3], "M2x", *record(2)[4:]]])

        assert merged.strange_word() == ("eu", "pk", "M2x")


def test_link_to_a_ledger_stays_a_link(path: Path) -> None:
    real = path.with_name("real.db")
    path.symlink_to(real)

    merge(path, 2, 3)

    assert path.is_symlink()
    assert read_status(real).rows == 2
