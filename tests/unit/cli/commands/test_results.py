from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path


def test_csv_is_one_record_a_row_in_the_inputs_order(ledger: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    exit_code = main(["results", str(ledger)])

    records = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert exit_code == 0
    assert [(record["line"], record["Owner"], record["outcome"]) for record in records] == [
        ("2", "=me", "pending"),
        ("3", "you", "invalid"),
        ("4", "them", "pending"),
    ]


def test_jsonl_of_one_outcome_holds_only_its_rows(ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    main(["results", str(ledger), "--format", "jsonl", "--outcome", "invalid", "-o", str(out)])

    (record,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert (record["line"], record["outcome"]) == (3, "invalid")


def test_excel_safe_disarms_the_inputs_own_cells(ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    main(["results", str(ledger), "--excel-safe", "-o", str(out)])

    assert "'=me" in out.read_text(encoding="utf-8")


def test_retry_file_is_written_and_counted(
    ledger: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    retry = tmp_path / "retry.csv"

    exit_code = main(["results", str(ledger), "--retry-file", str(retry)])

    printed = capfdbinary.readouterr()
    assert exit_code == 0
    assert retry.read_text(encoding="utf-8").splitlines()[0] == "ProductKey,ModuleName,Owner"
    assert (printed.out, printed.err.decode()) == (b"", f"3 rows to try again in {retry}\n")


@pytest.mark.parametrize("flag", ["-o", "--retry-file"])
def test_ledger_is_never_written_over(ledger: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = ledger.read_bytes()

    exit_code = main(["results", str(ledger), flag, str(ledger)])

    assert exit_code == 2
    assert "is the ledger itself" in capsys.readouterr().err
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("flag", ["-o", "--retry-file"])
def test_file_that_cannot_be_written_is_exit_2(
    ledger: Path, tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main(["results", str(ledger), flag, str(tmp_path / "no" / "out.csv")])

    assert exit_code == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_missing_ledger_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["results", str(tmp_path / "no.db")])

    assert exit_code == 3
    assert "no.db" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["results"],
        ["results", "--format", "jsonl"],
        ["results", "--outcome", "failed"],
        ["status"],
        ["status", "--json"],
    ],
)
def test_reader_that_leaves_early_is_no_error(ledger: Path, command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    child = subprocess.run(
        [sys.executable, "-m", "bulk", *command, str(ledger)], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (child.returncode, child.stderr) == (0, b"")


def test_summary_and_report_of_stdin_name_a_retry_file_that_run_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ProductKey,ModuleName\npk1,mod 1\n")))
    monkeypatch.chdir(tmp_path)

    main(["run", "-", "--sandbox", "--ledger", "s.db", "--format", "csv"])

    assert "results s.db --retry-file s.retry.csv" in capsys.readouterr().out
    main(["report", "s.db", "-o", "page.html"])
    assert "results s.db --retry-file s.retry.csv" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--retry-file", "-"), "--retry-file -: the rows to try again go to a file, not to stdout"),
        (("--retry-file", "again.xlsx"), "rows of a workbook are written as CSV; name a .csv file"),
    ],
)
def test_retry_file_that_a_run_could_not_read_is_refused(
    ledger: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(ledger.parent.iterdir())

    assert main(["results", str(ledger), *arguments]) == 2

    assert words in capsys.readouterr().err
    assert sorted(ledger.parent.iterdir()) == before


def test_results_and_retry_file_are_written_side_by_side(ledger: Path, tmp_path: Path) -> None:
    out, retry = tmp_path / "out.csv", tmp_path / "retry.csv"

    assert main(["results", str(ledger), "-o", str(out), "--retry-file", str(retry)]) == 0

    assert len(out.read_text(encoding="utf-8").splitlines()) == 4
    assert len(retry.read_text(encoding="utf-8").splitlines()) == 4


def test_reader_of_a_pipe_gets_every_row_and_the_ledger_is_closed_before(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reader:
        with os.fdopen(writing, "w", encoding="utf-8") as stdout:
            monkeypatch.setattr("sys.stdout", stdout)
            assert main(["results", str(ledger)]) == 0
            monkeypatch.undo()

        assert [record["line"] for record in csv.DictReader(reader)] == ["2", "3", "4"]
