"""A process reads what a shell gives it, obeys while it waits, and prints commands that work when they are pasted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

UNPACED = ("--sandbox", "--qps", "0", "--list-qps", "0")
BULK = (sys.executable, "-m", "bulk")
ROWS = "ProductKey,ModuleName\na1Lamp00001,mcu\na1Lamp00001,mo dule\n"


def bash(command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=os.environ | environ, capture_output=True, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_ends_a_run_whose_fifo_nobody_writes_to(tmp_path: Path, number: signal.Signals) -> None:
    os.mkfifo(tmp_path / "m.csv")
    command = [*BULK, "run", "m.csv", *UNPACED, "--ledger", "L"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            # The ledger is taken right before the input is opened, and signals are obeyed by then.
            wait_until(lambda: (tmp_path / "L.lock").exists() or run.poll() is not None, "no ledger is taken")
            os.kill(run.pid, number)

            assert run.wait(30) == 128 + number
        finally:
            run.kill()


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
@pytest.mark.parametrize(
    "name",
    [
        b"a b'$HOME.csv",
        b"two\nlines.csv",
        b"-x.csv",
        "模块.csv".encode(),
        "模块".encode("gbk") + b"\x1b[31m.csv",
    ],
)
def test_printed_commands_work_when_they_are_pasted(tmp_path: Path, name: bytes, locale: dict[str, str]) -> None:
    (tmp_path / os.fsdecode(name)).write_text(ROWS)
    run = [*BULK, "run", *UNPACED, "--", os.fsdecode(name)]
    ended = subprocess.run(run, cwd=tmp_path, env=os.environ | locale, capture_output=True, check=False)
    said = ended.stdout.decode()
    again = said.partition("Run again with:")[2].partition("Rows not provisioned:")[0].strip()
    retry = said.partition("Rows not provisioned:")[2].strip()
    page = bash(
        retry.replace(" results ", " report ").partition(" --retry-file")[0] + " -o page.html", tmp_path, **locale
    )

    went_on, wrote = bash(again, tmp_path, **locale), bash(retry, tmp_path, **locale)

    assert (ended.returncode, page.returncode, went_on.returncode, wrote.returncode) == (1, 0, 1, 0), wrote.stderr
    assert [path.read_text() for path in tmp_path.iterdir() if ".retry" in path.name] == [
        "ProductKey,ModuleName\na1Lamp00001,mo dule\n"
    ]


def test_damaged_row_is_tried_again_in_the_encoding_that_it_is_in(tmp_path: Path) -> None:
    head = "ProductKey,ModuleName,Desc\na1Lamp00001,mcu,灯\n".encode()
    (tmp_path / "m.csv").write_bytes(head + b"a1Lamp00001,led,caf\xe9\n")
    bulk, box = " ".join(BULK), " ".join(UNPACED)

    first = bash(f"{bulk} run m.csv {box} --ledger L", tmp_path)
    wrote = bash(f"{bulk} results L --retry-file r.csv", tmp_path)
    again = bash(f"{bulk} run r.csv {box} --ledger R", tmp_path)
    right = bash(f"{bulk} run r.csv {box} --ledger L --encoding cp1252", tmp_path)
    shown = bash(f"{bulk} results L", tmp_path)

    assert [each.returncode for each in (first, wrote, again, right)] == [1, 0, 2, 0]
    assert b"as cp1252 it reads 'caf" in first.stdout
    assert "café" in shown.stdout.decode()


@pytest.mark.parametrize("way", ["cat m.csv | {} run - ", "{} run <(cat m.csv) ", "{} run /dev/stdin < m.csv "])
def test_shell_gives_an_input_in_any_way(tmp_path: Path, way: str) -> None:
    (tmp_path / "m.csv").write_text(ROWS)
    command = way.format(" ".join(BULK)).replace("< m.csv", f"--format csv {' '.join(UNPACED)} --ledger L < m.csv")
    command = command if "< m.csv" in command else f"{command} --format csv {' '.join(UNPACED)} --ledger L"

    ended = bash(command, tmp_path)

    assert ended.returncode == 1, ended.stderr
    assert b"1 of 2 rows provisioned" in ended.stdout


def test_input_without_a_place_needs_its_ledger_named(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(ROWS)

    ended = bash(f"{' '.join(BULK)} run <(cat m.csv) --format csv {' '.join(UNPACED)}", tmp_path)

    assert ended.returncode == 2
    assert b"which has no path to put a ledger beside: name one with --ledger" in ended.stderr
