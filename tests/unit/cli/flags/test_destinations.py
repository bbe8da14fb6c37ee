from __future__ import annotations

from pathlib import Path

import pytest

from bulk.cli.app import main

INPUT = "ProductKey,ModuleName\npk1,mod-1\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.csv"
    path.write_text(INPUT)
    return path


@pytest.mark.parametrize("flag", ["--metrics-file", "--log-file"])
@pytest.mark.parametrize(
    "suffix", ["", ".sandbox.db", ".sandbox.db-wal", ".sandbox.db.lock", ".sandbox.db.cloud.jsonl"]
)
def test_run_refuses_to_write_over_its_input_and_its_ledger(
    source: Path, flag: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main(["run", "in.csv", "--sandbox", flag, f"{source}{suffix}"])

    assert exit_code == 2
    assert f"in.csv{suffix} is " in (printed := capsys.readouterr().err)
    assert f"name another file with {flag}" in printed
    assert source.read_text() == INPUT
    assert list(source.parent.iterdir()) == [source]


def test_run_refuses_a_link_to_its_input(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link.prom").symlink_to(source)

    assert main(["run", "in.csv", "--sandbox", "--metrics-file", "link.prom"]) == 2

    assert "link.prom is the input" in capsys.readouterr().err


def test_run_refuses_one_file_for_log_and_metrics(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert source.exists()
    assert main(["run", "in.csv", "--sandbox", "--metrics-file", "x", "--log-file", "./x"]) == 2

    assert "--log-file and --metrics-file name the same file" in capsys.readouterr().err


def test_plan_does_not_log_into_its_input(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "in.csv", "--offline", "--sandbox", "--log-file", "in.csv"]) == 2

    assert "in.csv is the input" in capsys.readouterr().err
    assert source.read_text() == INPUT


@pytest.mark.parametrize("command", [["results", "-o"], ["results", "--retry-file"], ["report", "-o"]])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("in.csv", "the input"),
        ("in.csv.ledger.db", "the ledger itself"),
        ("in.csv.ledger.db-shm", "a file of the ledger"),
        ("in.csv.ledger.db.lock", "a file of the ledger"),
    ],
)
def test_what_is_read_is_not_written_over(
    ledger: Path, command: list[str], name: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger.with_name(name)
    before = path.read_bytes() if path.exists() else None
    command_name, flag = command

    exit_code = main([command_name, str(ledger), flag, str(path)])

    assert exit_code == 2
    assert f"{path} is {what}; name another file with {flag}" in capsys.readouterr().err
    assert (path.read_bytes() if path.exists() else None) == before


def test_input_is_known_beside_its_ledger_from_any_folder(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)

    assert main(["results", "../in.csv.ledger.db", "-o", "../in.csv"]) == 2

    assert ledger.with_name("in.csv").read_text().startswith("ProductKey")


@pytest.mark.parametrize("second", ["out.csv", "link.csv"])
def test_results_and_retry_file_are_two_files(
    ledger: Path, tmp_path: Path, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "out.csv")

    exit_code = main(["results", str(ledger), "-o", str(tmp_path / "out.csv"), "--retry-file", str(tmp_path / second)])

    assert exit_code == 2
    assert "-o and --retry-file name the same file" in capsys.readouterr().err


def test_missing_ledger_leaves_an_earlier_file(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("earlier results")

    assert main(["results", str(tmp_path / "no.db"), "-o", str(out)]) == 3

    assert out.read_text() == "earlier results"


def test_dash_is_stdout_for_results_and_refused_for_the_retry_file(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["results", str(ledger), "-o", "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"line,ProductKey")
    assert main(["results", str(ledger), "--retry-file", "-"]) == 2

    assert b"--retry-file -" in capfdbinary.readouterr().err
    assert not Path("-").exists()
