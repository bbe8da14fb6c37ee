from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.ledger.sql import query
from bulk.ledger.storage.lock import hold
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    from pathlib import Path


def open_run(ledger: Path) -> None:
    """Record a run that has not ended."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(query("begin_run"), ("r2", iso_utc(time.time()), 1, "h", "1", "in.csv", 10.0, 10.0))
        connection.commit()


def test_status_says_what_stands_in_the_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["status", str(ledger)])

    screen = capsys.readouterr().out
    assert exit_code == 0
    assert "No run is at work on it." in screen
    assert "  2  pending" in screen
    assert "exit code 130, stopped: interrupted by Ctrl-C" in screen


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


@pytest.mark.parametrize("flags", [["--watch"], ["--watch", "0.5"], ["--watch=0.5"]])
@pytest.mark.parametrize("ledger_first", [True, False])
def test_watch_keeps_on_until_the_run_ends(
    ledger: Path,
    flags: list[str],
    ledger_first: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = hold(ledger)
    open_run(ledger)
    slept_s: list[float] = []

    def run_ends_meanwhile(seconds: float) -> None:
        slept_s.append(seconds)
        if len(slept_s) == 2:
            lock.release()

    monkeypatch.setattr("time.sleep", run_ends_meanwhile)

    exit_code = main(["status", *([str(ledger), *flags] if ledger_first else [*flags, str(ledger)])])

    printed = capsys.readouterr().out.splitlines()
    assert exit_code == 0
    assert slept_s == [2.0 if flags == ["--watch"] else 0.5] * 2
    assert [line.split("; ")[0] for line in printed[:2]] == ["3 rows: invalid 1, pending 2"] * 2
    assert "No run is at work on it." in printed


def test_watch_of_a_ledger_at_rest_looks_once(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(ledger), "--watch"]) == 0

    assert capsys.readouterr().out.count("No run is at work on it.") == 1


def test_ctrl_c_leaves_the_run_alone_and_is_no_error(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = hold(ledger)
    open_run(ledger)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    try:
        assert main(["status", str(ledger), "--watch"]) == 0
    finally:
        lock.release()

    assert capsys.readouterr().err == ""


def test_watch_on_a_terminal_redraws_in_place(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    lock = hold(ledger)
    open_run(ledger)
    monkeypatch.setattr("time.sleep", lambda _: lock.release())

    assert main(["status", str(ledger), "--watch"]) == 0

    screen = capsys.readouterr().out
    assert "At work: run r2" in screen
    assert "\x1b[2K" in screen
    assert "No run is at work on it." in screen


def test_json_watch_is_one_object_a_line(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = hold(ledger)
    open_run(ledger)
    monkeypatch.setattr("time.sleep", lambda _: lock.release())

    main(["status", str(ledger), "--watch", "--json"])

    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["holder"]["run_id"], first["now"]["creates_per_s"]) == ("r2", 0.0)
    assert (last["holder"], last["now"]) == (None, None)


def test_every_so_many_seconds_must_be_some(ledger: Path) -> None:
    assert main(["status", str(ledger), "--watch", "0"]) == 2
