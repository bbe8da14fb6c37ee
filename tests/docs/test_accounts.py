"""docs/accounts.md, command by command, on a sandbox that plays its three accounts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import ROOT, Desk, fences_of
from tests.docs.test_commands import commands_of, matches, stable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "accounts.md"
SAMPLES = ROOT / "samples" / "accounts"
SHOWN_ENDPOINT = "http://127.0.0.1:8686"


@pytest.fixture
def endpoint() -> Iterator[str]:
    command = [sys.executable, "-m", "bulk", "sandbox", "--accounts", str(SAMPLES / "sandbox.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as serving:
        assert serving.stdout is not None
        yield serving.stdout.readline().partition("=")[2].strip().rstrip("/")
        serving.terminate()


@pytest.fixture
def desk(endpoint: str, tmp_path: Path) -> Iterator[Desk]:
    shutil.copytree(SAMPLES, tmp_path / "samples/accounts")
    settings = tmp_path / "samples/accounts/bulk.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(SHOWN_ENDPOINT, endpoint), encoding="utf-8")
    desk = Desk(tmp_path, {}, as_granted=True)
    yield desk
    desk.close()


def test_the_page_works_from_its_first_command_to_its_last(desk: Desk) -> None:
    sessions = [fence for fence in fences_of(PAGE) if fence.language == "console"]

    for session in sessions:
        for command, shown in commands_of(session):
            printed, exit_code = desk.run(command)

            assert exit_code == expected_exit_code(command, shown or []), (command, printed)
            expected, actual = stable(shown or [], counts=True), stable(printed, counts=True)
            assert matches(expected, actual), "\n".join([f"{session}: {command} prints", *actual, "not", *expected])
    assert sessions


def expected_exit_code(command: str, shown: list[str]) -> int:
    if any(line.startswith("Stopped: ") for line in shown):
        return 3
    if any(re.match(r"Finished: (\d+) of \1 rows", line) for line in shown):
        return 0
    return 1 if command.startswith(("bulk run", "bulk plan")) else 0


def test_the_page_shows_the_settings_and_rows_of_the_sample() -> None:
    blocks = [fence.text for fence in fences_of(PAGE) if fence.language == "text"]
    settings = (SAMPLES / "bulk.toml").read_text(encoding="utf-8")
    rows = (SAMPLES / "modules.csv").read_text(encoding="utf-8").splitlines()
    shown_rows = next(block for block in blocks if block.startswith("Account,")).splitlines()

    assert any(block in settings for block in blocks)
    assert set(shown_rows) <= set(rows)


def test_the_table_has_every_exit_code_that_an_account_can_have() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## What the exit code means")[2]
    codes = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ") and row[2].isdigit()]

    assert codes == ["130, 143", "3", "1", "0"]
