"""Standard streams that are full, closed, or read by nobody: each in a process of its own, as by a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

RUN = "run m.csv --sandbox --qps 0 --list-qps 0"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m.csv").write_text("ProductKey,ModuleName\na1Streams,main\n")
    return tmp_path


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BULK_")}
    return subprocess.run(
        ["bash", "-c", command.replace("bulk", f"{sys.executable} -m bulk", 1)],
        cwd=folder,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@needs_full
@pytest.mark.parametrize("flag", ["", "--json"])
def test_stdout_on_a_full_disk_is_said_and_the_rows_are_done(folder: Path, flag: str) -> None:
    ended = shell(f"bulk {RUN} {flag} >/dev/full", folder)

    assert ended.returncode == 3
    assert "Error: stdout can't be written: No space left on device" in ended.stderr
    assert "bug" not in ended.stderr
    assert '"created":1' in shell(f"bulk {RUN} --json", folder).stdout


@needs_full
def test_both_streams_on_a_full_disk_are_no_bug(folder: Path) -> None:
    assert shell(f"bulk {RUN} >/dev/full 2>&1", folder).returncode == 3


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_keep_nobody_from_working(folder: Path, closed: str) -> None:
    ended = shell(f"bulk {RUN} --json {closed}", folder)

    assert ended.returncode == 0
    assert ">&-" in closed.split() or orjson.loads(ended.stdout)["outcomes"]["created"] == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [(RUN, 0), (f"{RUN} --plan --yes", 0), (RUN.replace("m.csv", "nosuch.csv"), 2), (f"{RUN} --qps x", 2)],
)
def test_a_stderr_that_nobody_reads_changes_neither_stdout_nor_exit_code(folder: Path, command: str, code: int) -> None:
    ended = shell(f"bulk {command} --json 2> >(exec true); echo $?", folder)

    summary, printed = ended.stdout.splitlines()
    assert printed == str(code)
    assert orjson.loads(summary)["exit_code"] == code
