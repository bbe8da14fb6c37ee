from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import COMMANDS, main
from bulk.model import Outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_asks_the_program_itself(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert f"_BULK_COMPLETE={shell}_complete" in script
    assert "bulk" in script


def offered(*words: str, folder: Path) -> list[str]:
    """Return what the program offers where a bash asks it, the last word being typed just now."""
    script = "import sys; from bulk.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "_BULK_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["bulk", *words]),
            "COMP_CWORD": str(len(words)),
            "PATH": "/usr/bin:/bin",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_are_offered(tmp_path: Path) -> None:
    assert offered("", folder=tmp_path) == [f"plain,{name}" for name in COMMANDS]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--settings-p"), ["plain,--settings-profile"]),
        (("run", "in.csv", "--dialect", ""), ["plain,tuya", "plain,alibaba"]),
        (("run", "in"), ["file,in"]),
        (("results", "l.db", "--outcome", "fa"), ["plain,failed"]),
        (("results", "l.db", "--outcome", "failed,invalid,un"), ["plain,failed,invalid,unknown"]),
        (("run", "in.csv", "--settings-profile", "ni"), ["plain,night"]),
        (("completion", "z"), ["plain,zsh"]),
    ],
)
def test_values_are_offered(words: tuple[str, ...], expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "bulk.toml").write_text("[profiles.night]\n[profiles.day]\n", encoding="utf-8")

    assert offered(*words, folder=tmp_path) == expected


def test_outcome_that_is_named_is_not_offered_again(tmp_path: Path) -> None:
    rest = offered("results", "l.db", "--outcome", "failed,", folder=tmp_path)

    assert rest == [f"plain,failed,{outcome}" for outcome in Outcome if outcome != "failed"]


def test_mistake_in_the_settings_file_does_not_spoil_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "bulk.toml").write_text("qsp = 1\n", encoding="utf-8")

    assert offered("run", "--qp", folder=tmp_path) == ["plain,--qps"]


def test_broken_settings_file_offers_no_profile(tmp_path: Path) -> None:
    (tmp_path / "bulk.toml").write_text("[profiles", encoding="utf-8")

    assert offered("run", "in.csv", "--settings-profile", "", folder=tmp_path) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_bash_takes_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = tmp_path / "bulk.bash"
    script.write_text(capsys.readouterr().out, encoding="utf-8")

    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script} && complete -p bulk"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "complete -o nosort -F _bulk_completion bulk"


def test_shell_that_this_click_can_not_complete_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bulk.cli.commands.completion.get_completion_class", lambda _shell: None)

    assert main(["completion", "fish"]) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "this version of click has no completion for fish" in printed.err
