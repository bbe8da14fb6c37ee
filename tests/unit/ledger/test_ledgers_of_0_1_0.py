"""Ledgers that 0.1.0 wrote say the same to this version, looked at or upgraded. tests/data says how they were made."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulk.errors import LedgerError
from bulk.ledger.lanes import LaneReader
from bulk.ledger.sql import SCHEMA_VERSION
from bulk.ledger.storage.database import NotBegunError, open_for_reading
from bulk.ledger.store import Ledger
from bulk.ledger.views.reading import read_results
from bulk.ledger.views.status import read_status
from bulk.model import Dialect, Target
from bulk.report.status import status_json

LEDGERS = Path("tests/data/ledgers-0.1.0")
BEGUN = ("all-outcomes", "finished", "in-doubt", "jsonl", "killed", "killed-checkpointed", "stdin")
OF_A_SYNC = ("updated", "moved", "withheld")
SANDBOX = Target(Dialect.TUYA, "sandbox")


@pytest.fixture
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a copy of a ledger of 0.1.0."""
    folder: Path = tmp_path / request.param
    shutil.copytree(LEDGERS / request.param, folder)
    return folder / "ledger.sqlite"


def files_of(ledger: Path) -> dict[str, bytes]:
    """Return what is in its files; the memory that its users share, -shm, tells nothing."""
    files = (file for file in ledger.parent.glob("ledger.sqlite*") if file.is_file())
    return {file.name: file.read_bytes() for file in files if not file.name.endswith("-shm")}


def said_of(ledger: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((ledger.parent / "status.json").read_bytes())
    # What only a sync makes of a row, 0.1.0 did not know.
    said["outcomes"] |= dict.fromkeys(OF_A_SYNC, 0)
    return said


def shown(ledger: Path) -> list[tuple[str, ...]]:
    """Return what became of the rows, as 0.1.0 wrote it behind the columns of the input."""
    with closing(open_for_reading(ledger)) as connection:
        results = list(read_results(connection, ledger))
    return [
        (str(result.line), result.outcome, result.code or "", result.message or "", str(result.attempts))
        for result in results
    ]


def results_of_0_1_0(ledger: Path) -> list[tuple[str, ...]]:
    columns = ("line", "outcome", "code", "message", "attempts")
    with (ledger.parent / "results.csv").open(newline="", encoding="utf-8") as file:
        return [tuple(row[column] for column in columns) for row in csv.DictReader(file)]


@pytest.mark.parametrize("written", BEGUN, indirect=True)
def test_status_is_as_0_1_0_said_and_the_files_stay_as_they_are(written: Path) -> None:
    before = files_of(written)

    status = status_json(read_status(written), None)

    said = said_of(written)
    shown_now = json.loads(json.dumps(status | {"path": "ledger.sqlite"}))
    assert shown_now == said | {"now": None}
    assert files_of(written) == before


@pytest.mark.parametrize("written", BEGUN, indirect=True)
def test_results_are_as_0_1_0_said_before_and_after_the_upgrade(written: Path) -> None:
    said = results_of_0_1_0(written)

    assert shown(written) == said
    with closing(Ledger.open(written, targets={"": SANDBOX})) as ledger:
        assert ledger.upgrade is not None
    assert shown(written) == said
    assert read_status(written).outcomes == said_of(written)["outcomes"]


@pytest.mark.parametrize("written", BEGUN, indirect=True)
def test_lanes_and_plan_are_the_same_before_and_after_the_upgrade(written: Path) -> None:
    with closing(Ledger.scratch(written, targets={"": SANDBOX})) as scratch:
        planned = {key: rows for _, key, rows in scratch.open_products([""])}
        with closing(LaneReader(scratch.path)) as reader:
            before = [lane for batch in iter(reader.next_lanes, []) for lane in batch]

    Ledger.open(written, targets={"": SANDBOX}).close()

    with closing(LaneReader(written)) as reader:
        assert [lane for batch in iter(reader.next_lanes, []) for lane in batch] == before
    assert [lane.product_key for lane in before] == list(planned)


@pytest.mark.parametrize("written", BEGUN, indirect=True)
def test_the_copy_is_what_0_1_0_goes_on_with(written: Path) -> None:
    written.chmod(0o640)
    with closing(sqlite3.connect(written)) as connection:
        things = list(connection.iterdump())
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    with closing(Ledger.open(written, targets={"": SANDBOX})) as ledger:
        assert ledger.upgrade is not None
        copy = ledger.upgrade.copy

    assert copy == written.with_name("ledger.sqlite.v1.bak")
    assert copy.stat().st_mode & 0o777 == 0o640
    with closing(sqlite3.connect(copy)) as connection:
        assert list(connection.iterdump()) == things
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("written", ["killed"], indirect=True)
def test_the_copy_has_what_is_only_in_the_log(written: Path) -> None:
    """The file of this ledger alone knows of no module."""
    with closing(Ledger.open(written, targets={"": SANDBOX})) as ledger:
        assert ledger.upgrade is not None
        with closing(sqlite3.connect(ledger.upgrade.copy)) as connection:
            assert connection.execute("SELECT count(*) FROM modules WHERE outcome = 'created'").fetchone() == (14,)


@pytest.mark.parametrize("written", ["finished"], indirect=True)
def test_what_0_1_0_created_is_owned_also_where_it_drifted_since(written: Path) -> None:
    Ledger.open(written, targets={"": SANDBOX}).close()

    with closing(open_for_reading(written)) as connection:
        ours = connection.execute("SELECT outcome, owned, written_alias FROM modules WHERE NOT outcome = 'created'")
        assert ours.fetchall() == [("drifted", 1, None)]
        assert connection.execute(
            "SELECT count(*) FROM modules WHERE outcome = 'created' AND owned AND written_alias = alias_name"
        ).fetchone() == (18,)


@pytest.mark.parametrize("written", ["all-outcomes"], indirect=True)
def test_what_0_1_0_found_or_failed_to_make_is_not_owned(written: Path) -> None:
    Ledger.open(written, targets={"": SANDBOX}).close()

    with closing(open_for_reading(written)) as connection:
        owned = {outcome for (outcome,) in connection.execute("SELECT outcome FROM modules WHERE owned")}
    assert owned == {"created"}


@pytest.mark.parametrize("written", ["in-doubt"], indirect=True)
def test_a_claim_of_0_1_0_is_that_of_a_create(written: Path) -> None:
    Ledger.open(written, targets={"": SANDBOX}).close()

    with closing(open_for_reading(written)) as connection:
        claimed = connection.execute("SELECT DISTINCT outcome, claimed FROM modules ORDER BY outcome").fetchall()
    assert claimed == [("created", None), ("failed", None), ("sending", "create"), ("unknown", None)]


@pytest.mark.parametrize("written", ["empty"], indirect=True)
def test_a_ledger_that_never_began_is_as_good_as_none(written: Path) -> None:
    with pytest.raises(NotBegunError):
        read_status(written)

    with closing(Ledger.open(written, targets={"": SANDBOX})) as ledger:
        assert ledger.outcomes()["pending"] == 0
        assert ledger.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


@pytest.mark.parametrize("written", ["finished"], indirect=True)
def test_an_upgrade_happens_once(written: Path) -> None:
    Ledger.open(written, targets={"": SANDBOX}).close()
    before = files_of(written)

    with closing(Ledger.open(written, targets={"": SANDBOX})) as ledger:
        assert ledger.upgrade is None

    assert files_of(written) == before


@pytest.mark.parametrize("written", ["finished"], indirect=True)
def test_a_ledger_of_another_target_is_not_upgraded(written: Path) -> None:
    before = files_of(written)

    with pytest.raises(LedgerError, match="belongs to sandbox"):
        Ledger.open(written, targets={"": Target(Dialect.ALIBABA, "https://elsewhere")})

    assert {name: content for name, content in files_of(written).items() if not name.endswith(".lock")} == before


@pytest.mark.parametrize("written", ["killed"], indirect=True)
def test_who_only_reads_leaves_nothing_in_the_folder_for_temporary_files(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "temporary"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    with closing(open_for_reading(written)) as connection:
        assert list(scratch.iterdir()) == []
        assert connection.execute("SELECT count(*) FROM standing").fetchone() == (36,)


@pytest.mark.parametrize("written", ["finished"], indirect=True)
def test_a_temporary_copy_that_cannot_be_made_is_named(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(LedgerError, match=r"a temporary copy, which can't be written .*TMPDIR"):
        read_status(written)


@pytest.mark.parametrize("written", ["finished"], indirect=True)
def test_a_copy_that_cannot_be_made_leaves_the_ledger_as_it_was(written: Path) -> None:
    before = files_of(written)
    written.with_name("ledger.sqlite.v1.bak").mkdir()

    with pytest.raises(LedgerError, match=r"the ledger must be upgraded .* the ledger is as it was"):
        Ledger.open(written, targets={"": SANDBOX})

    assert written.read_bytes() == before["ledger.sqlite"]
    assert not written.with_name("ledger.sqlite.v1.bak.part").exists()
