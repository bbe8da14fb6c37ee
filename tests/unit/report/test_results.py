from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.store import Ledger
from bulk.ledger.views.reading import read_input
from bulk.model import AccountNames, Dialect, Outcome, Target
from bulk.report.results import write_results, write_retry_file
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")
OURS = ["outcome", "code", "message", "request_id", "attempts", "recovered", "settled_at"]


def read_in(source: Path, ledger: Path, *, accounts: AccountNames | None = None) -> Ledger:
    names = accounts.known if accounts else ("",)
    opened = Ledger.open(ledger, targets={name: replace(TARGET, instance_id=name) for name in names})
    with (
        open_input(str(source), ReadSettings(), accounts=accounts) as reader,
        opened.intake(name=str(source), shape=reader.shape.to_json(), at=0.0) as intake,
    ):
        for batch in reader.batches():
            intake.add(batch)
    return opened


def settle(ledger: Ledger, name: str, outcome: Outcome, message: str) -> None:
    ledger.connection.execute(
        "INSERT INTO modules (product_key, module_name, outcome, code, message, settled_at, run_id) "
        "VALUES ('p1', ?, ?, '+code', ?, '2026-01-01T00:00:00.000Z', 'r')",
        (name, outcome, message),
    )


def written(ledger: Path, **choices: object) -> str:
    out = io.BytesIO()
    write_results(ledger, out, **{"format": "csv", **choices})  # type: ignore[arg-type]  # the flags vary
    return out.getvalue().decode()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    source = tmp_path / "modules.csv"
    source.write_text(
        'ProductKey,ModuleName,note\np1,a,"=cmd()"\np1,b,"two\nlines, and\ra return"\np1,bad name,x\n', newline=""
    )
    opened = read_in(source, tmp_path / "x.db")
    settle(opened, "a", Outcome.FAILED, "=HYPERLINK(1)")
    opened.close()
    return tmp_path / "x.db"


def test_a_record_a_row_with_the_inputs_own_columns_as_they_were(ledger: Path) -> None:
    rows = list(csv.reader(io.StringIO(written(ledger), newline="")))

    assert rows[0] == ["line", "ProductKey", "ModuleName", "note", *OURS]
    assert [row[0] for row in rows[1:]] == ["2", "3", "6"]
    assert rows[2][3] == "two\nlines, and\ra return"
    assert [row[4] for row in rows[1:]] == ["failed", "pending", "invalid"]


def test_cells_that_we_write_are_no_formulas(ledger: Path) -> None:
    first = list(csv.reader(io.StringIO(written(ledger), newline="")))[1]

    assert first[3] == "=cmd()"
    assert first[5:7] == ["'+code", "'=HYPERLINK(1)"]


def test_excel_safe_also_covers_the_inputs_own_cells(ledger: Path) -> None:
    first = list(csv.reader(io.StringIO(written(ledger, excel_safe=True), newline="")))[1]

    assert first[3] == "'=cmd()"


def test_outcomes_narrow_the_rows(ledger: Path) -> None:
    rows = written(ledger, outcomes=[Outcome.INVALID]).splitlines()

    assert len(rows) == 2
    assert rows[1].startswith("6,p1,bad name,x,invalid")


def test_as_jsonl_a_record_is_an_object(ledger: Path) -> None:
    first = json.loads(written(ledger, format="jsonl").splitlines()[0])

    assert list(first) == ["line", "ProductKey", "ModuleName", "note", *OURS]
    assert first["message"] == "=HYPERLINK(1)"


def test_an_own_column_that_is_called_like_ours_is_kept_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "again.jsonl"
    source.write_text('{"ProductKey": "p1", "ModuleName": "a", "outcome": "mine", "line": 7}\n')
    read_in(source, tmp_path / "y.db").close()

    (row,) = written(tmp_path / "y.db", format="jsonl").splitlines()

    assert json.loads(row)["outcome"] == "pending"
    assert json.loads(row)["input.outcome"] == "mine"
    assert json.loads(row)["input.line"] == 7


def test_a_jsonl_input_as_csv_has_a_column_for_every_name(tmp_path: Path) -> None:
    source = tmp_path / "m.jsonl"
    source.write_text(
        '{"ProductKey": "p1", "ModuleName": "a", "tags": [1, 2]}\n{"ProductKey": "p1", "ModuleName": "b", "x": null}\n'
    )
    read_in(source, tmp_path / "z.db").close()

    rows = list(csv.reader(io.StringIO(written(tmp_path / "z.db"))))

    assert rows[0][:5] == ["line", "ProductKey", "ModuleName", "tags", "x"]
    assert [row[3:5] for row in rows[1:]] == [["[1,2]", ""], ["", ""]]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_numbers_of_a_jsonl_input_come_back_digit_by_digit(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "m.jsonl"
    source.write_text('{"ProductKey":"p1","ModuleName":"a","serial":123456789012345678901234,"ratio":1.10}\n')
    read_in(source, tmp_path / "n.db").close()

    text = written(tmp_path / "n.db", format=kind)

    assert "123456789012345678901234" in text
    assert "1.10" in text


def test_the_retry_file_has_the_rows_not_provisioned_as_they_were(ledger: Path, tmp_path: Path) -> None:
    retry = tmp_path / "retry.csv"

    rows = write_retry_file(ledger, retry)

    assert rows == 3
    with open_input(str(retry), ReadSettings()) as reader:
        (again,) = reader.batches()
    assert [row[1:3] for row in again.valid] == [("p1", "a"), ("p1", "b")]
    assert len(again.invalid) == 1
    assert "=cmd()" in retry.read_text()


def test_a_retry_file_keeps_the_inputs_encoding_and_mark(tmp_path: Path) -> None:
    source = tmp_path / "utf16.csv"
    source.write_bytes("ProductKey,ModuleName,AliasName\np1,a,主控\n".encode("utf-16"))
    read_in(source, tmp_path / "u.db").close()

    write_retry_file(tmp_path / "u.db", tmp_path / "retry.csv")

    assert (tmp_path / "retry.csv").read_bytes().decode("utf-16") == source.read_bytes().decode("utf-16")


def test_a_ledger_without_an_input_says_so(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "empty.db", targets={"": TARGET}).close()

    with pytest.raises(LedgerError, match="no input was read into this ledger yet"):
        written(tmp_path / "empty.db")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_excel_safe_covers_the_header_and_every_start_of_a_formula(tmp_path: Path, start: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f'ProductKey,ModuleName,"{start}cmd"\np1,a,"{start}1"\n', encoding="utf-8", newline="")
    read_in(source, tmp_path / "y.db").close()

    header, first = csv.reader(io.StringIO(written(tmp_path / "y.db", excel_safe=True), newline=""))

    assert header[3].startswith("'")
    assert first[3] == f"'{start}1"


def test_results_are_of_one_moment(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_change(connection: sqlite3.Connection, path: Path) -> str | None:
        shape = read_input(connection, path)
        other = sqlite3.connect(path)
        other.execute("DELETE FROM rows")
        other.commit()
        other.close()
        return shape

    monkeypatch.setattr("bulk.report.results.read_input", read_and_change)

    assert len(list(csv.reader(io.StringIO(written(ledger), newline="")))) == 4


def test_a_json_line_says_whose_its_row_is(tmp_path: Path) -> None:
    source = tmp_path / "modules.csv"
    source.write_text("Account,ProductKey,ModuleName\ncn,p1,a\neu,p2,b\nus,p3,c\n,p4,d\n")
    read_in(source, tmp_path / "x.db", accounts=AccountNames(("cn", "eu"), None)).close()

    lines = [json.loads(line) for line in written(tmp_path / "x.db", format="jsonl").splitlines()]

    assert [(line["account"], line["Account"]) for line in lines] == [
        ("cn", "cn"),
        ("eu", "eu"),
        (None, "us"),
        (None, ""),
    ]


def test_a_row_without_the_column_is_of_the_account_that_was_named(tmp_path: Path) -> None:
    source = tmp_path / "modules.csv"
    source.write_text("ProductKey,ModuleName\np1,a\n")
    read_in(source, tmp_path / "x.db", accounts=AccountNames(("cn", "eu"), "eu")).close()

    assert json.loads(written(tmp_path / "x.db", format="jsonl"))["account"] == "eu"
    assert written(tmp_path / "x.db").splitlines()[0] == f"line,ProductKey,ModuleName,{','.join(OURS)}"


def test_an_own_field_that_is_called_account_is_kept_beside_ours(tmp_path: Path) -> None:
    source = tmp_path / "modules.jsonl"
    source.write_text('{"account": " cn ", "ProductKey": "p1", "ModuleName": "a"}\n')
    read_in(source, tmp_path / "x.db", accounts=AccountNames(("cn", "eu"), None)).close()

    line = json.loads(written(tmp_path / "x.db", format="jsonl"))

    assert (line["account"], line["input.account"]) == ("cn", " cn ")


def test_without_accounts_a_json_line_has_no_account(ledger: Path) -> None:
    assert "account" not in json.loads(written(ledger, format="jsonl").splitlines()[0])


def test_a_retry_file_keeps_the_column_of_accounts(tmp_path: Path) -> None:
    source = tmp_path / "modules.csv"
    source.write_text("Account,ProductKey,ModuleName\ncn,p1,a\nus,p3,c\n")
    read_in(source, tmp_path / "x.db", accounts=AccountNames(("cn", "eu"), None)).close()

    write_retry_file(tmp_path / "x.db", tmp_path / "retry.csv")

    assert (tmp_path / "retry.csv").read_text() == source.read_text()
