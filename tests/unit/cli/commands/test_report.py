from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_report_stands_beside_the_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["report", str(ledger)])

    page = ledger.with_name("in.csv.ledger.db.html")
    assert exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert capsys.readouterr() == ("", f"The report is in {page}\n")


def test_report_replaces_an_earlier_one_and_leaves_nothing_else(ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("an earlier report")
    before = {each.name for each in tmp_path.iterdir()}

    main(["report", str(ledger), "-o", str(page)])

    assert "in.csv" in page.read_text(encoding="utf-8")
    assert {each.name for each in tmp_path.iterdir()} == before


def test_report_goes_to_stdout_where_that_is_asked_for(ledger: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    exit_code = main(["report", str(ledger), "-o", "-"])

    out, err = capfdbinary.readouterr()
    assert (exit_code, err) == (0, b"")
    assert out.startswith(b"<!DOCTYPE html>")
    assert out.endswith(b"</html>")


def test_report_names_the_rows_that_a_person_must_mend(ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    main(["report", str(ledger), "-o", str(page)])

    text = re.sub(r"</?bdi>", "", page.read_text(encoding="utf-8"))
    assert "pk1, mod 2, you" in text
    assert "2 rows were not sent yet; the next run sends them." in text


def test_report_is_never_written_over_its_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ledger.read_bytes()

    exit_code = main(["report", str(ledger), "-o", str(ledger)])

    assert exit_code == 2
    assert "is the ledger itself; name another file with -o" in capsys.readouterr().err
    assert ledger.read_bytes() == before


def test_report_says_which_file_can_not_be_written(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main(["report", str(ledger), "-o", str(tmp_path / "no" / "page.html")])

    assert exit_code == 2
    assert "page.html: it can't be written (No such file or directory)" in capsys.readouterr().err


def test_report_of_a_missing_ledger_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["report", str(tmp_path / "no.db")])

    assert exit_code == 3
    assert "there is no such ledger" in capsys.readouterr().err


def test_metrics_file_that_can_not_be_written_stops_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName\npk1,mod-1\n")

    exit_code = main(["run", str(source), "--sandbox", "--metrics-file", str(tmp_path / "no" / "a.prom")])

    assert exit_code == 2
    assert "--metrics-file" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"]


def test_report_goes_where_a_link_leads(ledger: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest.html"
    link.symlink_to(tmp_path / "page.html")

    main(["report", str(ledger), "-o", str(link)])

    assert link.is_symlink()
    assert "in.csv" in (tmp_path / "page.html").read_text(encoding="utf-8")
