from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bulk.cli.app import main
from bulk.ledger.lock import hold

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_status_says_what_stands_in_the_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["status", str(ledger)])

    screen = capsys.readouterr().out
    assert exit_code == 0
    assert "No run is at work on it." in screen
    assert "  2  pending" in screen
    assert "exit 130, stopped: interrupted by Ctrl-C" in screen


def test_json_status_is_one_object(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", str(ledger), "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert printed["target"] == "https://h (tuya)"
    assert (printed["rows"], printed["outcomes"]["pending"], printed["holder"]) == (3, 2, None)
    assert [run["exit_code"] for run in printed["runs"]] == [130]


def test_ledger_at_work_can_be_looked_at(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = hold(ledger)
    try:
        exit_code = main(["status", str(ledger)])
    finally:
        lock.release()

    assert exit_code == 0
    assert "2  pending" in capsys.readouterr().out
