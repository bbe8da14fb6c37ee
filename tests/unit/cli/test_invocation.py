from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bulk.cli.invocation import Invocation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bulk"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return program


def test_program_on_the_path_is_called_by_its_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed)])

    assert Invocation.here(["run", "my file.csv"]).again == "bulk run 'my file.csv'"


def test_program_off_the_path_is_called_by_its_place(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed)])
    monkeypatch.setenv("PATH", "/nonexistent")

    assert Invocation.here(["run", "-"]).again == f"{installed} run -"


def test_module_is_called_by_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bulk/__main__.py"])
    monkeypatch.setenv("PATH", "/nonexistent")

    assert Invocation.here(["run", "-"]).again == f"{sys.executable} -m bulk run -"


@pytest.mark.parametrize(
    "tried", [("--limit", "5"), ("--limit=5",), ("--only", "a1*", "--only=b1*"), ("--limit", "5", "--only", "x")]
)
def test_what_goes_on_after_a_try_is_the_whole_job(tried: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bulk"])

    again = Invocation.here(["run", "--qps", "5", *tried, "my file.csv"]).again_without(["--limit", "--only"])

    assert again.endswith("bulk run --qps 5 'my file.csv'")


@pytest.mark.parametrize(
    ("typed", "platform"),
    [
        ("sync m.csv --prune --region cn-shanghai --ledger l.db", "--region cn-shanghai"),
        ("sync m.csv --sandbox --max-updates 5 --json", "--sandbox"),
        ("apply P --endpoint=https://e --max-age 72h --metrics-file m.prom", "--endpoint=https://e"),
        (
            "sync m.csv --map Desc=d --settings s.toml --lenient-alias --qps 5",
            "--settings s.toml --lenient-alias --qps 5",
        ),
        ("sync m.csv", ""),
    ],
)
def test_what_names_the_platform_is_known(typed: str, platform: str) -> None:
    assert " ".join(Invocation(("bulk",), tuple(typed.split())).platform) == platform


def test_secrets_of_the_environment_are_known_but_not_shown() -> None:
    invocation = Invocation.here(["run"], {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "hidden", "HOME": "/root"})

    assert invocation.secrets == ("hidden",)
    assert "hidden" not in repr(invocation)


@pytest.mark.parametrize(
    ("arguments", "command", "wants_json", "is_verbose"),
    [
        ((), None, False, False),
        (("run", "in.csv"), "run", False, False),
        (("plan", "--json", "in.csv", "-vv"), "plan", True, True),
    ],
)
def test_what_was_wanted_is_known_before_options_are_read(
    arguments: tuple[str, ...], command: str | None, wants_json: bool, is_verbose: bool
) -> None:
    invocation = Invocation.here(arguments)

    assert (invocation.command, invocation.wants_json, invocation.is_verbose) == (command, wants_json, is_verbose)


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (["run", "m.csv"], "bulk run --account eu --account=-x m.csv"),
        (["run", "--account", "cn", "m.csv", "--limit", "5"], "bulk run --account eu --account=-x m.csv"),
        (["run", "--account=cn", "--", "-m.csv"], "bulk run --account eu --account=-x -- -m.csv"),
        (["-v", "run", "m.csv"], "bulk -v run --account eu --account=-x m.csv"),
    ],
)
def test_accounts_are_named_where_options_are_read(arguments: list[str], again: str) -> None:
    invocation = Invocation(("bulk",), tuple(arguments))

    assert invocation.again_with("--account", ["eu", "-x"], without=("--limit",)) == again


def test_program_is_called_by_its_place_where_the_working_folder_is_gone(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bin/bulk"])
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert installed.exists()
    assert Invocation.here(["run", "-"]).again == "bin/bulk run -"
