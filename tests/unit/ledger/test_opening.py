"""What a run finds before it begins: a ledger of its target or of another, none at all, and who it is itself."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError, LedgerTargetError
from bulk.ledger.store import Ledger, check_ledger
from bulk.ledger.views.status import read_status
from bulk.model import Action, Dialect, Outcome, ReadRows, Target

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")


def test_ledger_of_another_target_is_refused_before_a_run_and_one_that_is_not_there_is_fine(
    path: Path, ledger: Ledger
) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(2, "p1", "a", "", "", "[]")]))
    ledger.connection.execute(
        "INSERT INTO modules (product_key, module_name, outcome, settled_at, run_id) "
        "VALUES ('p1', 'a', 'exists', '', 'r')"
    )
    ledger.close()
    other = {"": Target(Dialect.TUYA, "https://other.test")}

    check_ledger(path.with_name("none.db"), targets=other)
    check_ledger(path, targets={"": TARGET})
    check_ledger(path, targets=None)
    with pytest.raises(LedgerTargetError):
        check_ledger(path, targets=other)


def test_file_with_nothing_in_it_yet_may_become_any_targets_ledger(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()

    check_ledger(empty, targets={"": TARGET})
    with closing(Ledger.scratch(empty, targets={"": TARGET})) as copy:
        assert copy.outcomes()["pending"] == 0


def test_plan_without_a_folder_for_its_copy_is_told_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    with pytest.raises(LedgerError, match="a plan needs a copy of the ledger"):
        Ledger.scratch(path, targets={"": TARGET})


@pytest.mark.parametrize(
    ("name", "user"), [("ana", "ana"), (KeyError("uid not found"), None), (OSError("no uid"), None)]
)
def test_run_notes_its_user_where_the_system_knows_one(
    name: str | Exception, user: str | None, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> str:
        if isinstance(name, Exception):
            raise name
        return name

    monkeypatch.setattr("getpass.getuser", ask)

    ledger.begin_run("r", at=0.0, version="1", input_name="x", rates={Action.CREATE: 10.0, Action.LIST: 10.0})

    assert read_status(ledger.path).runs[0].user == user


def test_rows_of_some_outcomes_are_given_in_the_files_order(ledger: Ledger) -> None:
    with ledger.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(
            ReadRows([(4, "p1", "b", "", "", "[]"), (2, "p1", "a", "", "", "[]")], [(3, "[]", "empty", "nothing", "")])
        )

    assert [row.line for row in ledger.rows([Outcome.PENDING])] == [2, 4]
    assert [row.line for row in ledger.rows([Outcome.INVALID])] == [3]
