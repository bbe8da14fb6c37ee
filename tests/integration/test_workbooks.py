"""A workbook goes the whole way: planned, run, its rows written again as CSV. Each was written by a real program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.forked import BULK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.forked import ForkHost

    Bulk = Callable[..., subprocess.CompletedProcess[bytes]]

BOOKS = Path(__file__).parents[1] / "data" / "workbooks"
UNPACED = ("--sandbox", "--qps", "0", "--list-qps", "0")


@pytest.fixture(params=["openpyxl.xlsx", "xlsxwriter.xlsx"])
def book(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    pytest.importorskip("python_calamine", reason="the extra excel is not installed")
    return Path(shutil.copy(BOOKS / request.param, tmp_path / "book.xlsx"))


@pytest.fixture
def bulk(fork_host: ForkHost) -> Bulk:
    return lambda folder, *words: fork_host.run(BULK, *words, folder=folder)


def bulk_reading(stdin: bytes, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bulk", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, check=False)


def test_workbook_is_run_and_what_is_left_is_written_as_csv(book: Path, bulk: Bulk) -> None:
    planned = bulk(book.parent, "plan", book.name, "--offline", "--endpoint", "http://127.0.0.1:9", "--json")
    ran = bulk(book.parent, "run", book.name, *UNPACED)
    wrote = bulk(book.parent, "results", "book.xlsx.sandbox.db", "--retry-file", "book.retry.csv")
    again = bulk(book.parent, "run", "book.retry.csv", *UNPACED, "--json")

    found = json.loads(planned.stdout)["found"]
    assert (found["format"], found["sheet"], found["header_line"]) == ("xlsx", "模块", 3)
    assert ran.returncode == 1, ran.stderr
    assert b"--retry-file book.retry.csv" in ran.stdout
    assert wrote.returncode == 0
    retry = (book.parent / "book.retry.csv").read_bytes()
    assert retry.startswith(b"\xef\xbb\xbf")
    assert len(retry.decode("utf-8-sig").splitlines()) == 3 + 3
    # What the workbook lost is not found again in the CSV: these rows are still invalid or refused by name.
    assert json.loads(again.stdout)["outcomes"]["invalid"] >= 1


def test_rows_are_those_that_a_person_sees(book: Path, bulk: Bulk) -> None:
    ran = bulk(book.parent, "run", book.name, *UNPACED, "--json")
    listed = bulk(book.parent, "results", "book.xlsx.sandbox.db", "--format", "jsonl")

    rows = {row["line"]: row for row in map(json.loads, listed.stdout.splitlines())}
    assert json.loads(ran.stdout)["outcomes"]["created"] == 4
    assert {line: row["outcome"] for line, row in rows.items()} == {
        **dict.fromkeys([4, 5, 6, 7], "created"),
        **dict.fromkeys([8, 9, 10], "invalid"),
    }
    assert [rows[line]["ModuleName"] for line in (4, 5, 6, 7)] == ["mcu", "12", "led.main", "007"]
    assert (rows[4]["Desc"], rows[4]["数量"], rows[5]["数量"]) == ('two\nlines, "quoted"', "3", "1.5")
    assert [rows[line]["code"] for line in (8, 9, 10)] == ["desc.cell", "module_name.cell", "product_key.cell"]


def test_workbook_comes_from_stdin_and_its_sheet_from_the_settings_file(book: Path, bulk: Bulk) -> None:
    (book.parent / "bulk.toml").write_text('sheet = "模块"\n', encoding="utf-8")

    ran = bulk_reading(book.read_bytes(), book.parent, "run", "-", "--format", "xlsx", "--ledger", "L", *UNPACED)
    shown = bulk(book.parent, "settings")

    assert ran.returncode == 1, ran.stderr
    assert b"--retry-file L.retry.csv" in ran.stdout
    assert "sheet" in shown.stdout.decode()
    assert "模块" in shown.stdout.decode()


def test_workbook_is_not_written_again_under_its_own_ending(book: Path, bulk: Bulk) -> None:
    bulk(book.parent, "run", book.name, *UNPACED)
    refused = bulk(book.parent, "results", "book.xlsx.sandbox.db", "--retry-file", "again.xlsx")

    assert refused.returncode == 2
    assert b"rows of a workbook are written as CSV; name a .csv file" in refused.stderr
