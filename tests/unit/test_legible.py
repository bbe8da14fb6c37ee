from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.legible import legible
from bulk.shell import shell_join, shell_path
from tests.forked import BULK, ForkHost

if TYPE_CHECKING:
    from pathlib import Path


def test_only_what_is_no_utf8_is_escaped() -> None:
    assert legible(os.fsdecode("模块 é".encode() + b"\xff.csv")) == "模块 é\\xff.csv"


NAMES = [
    b"a b.csv",
    b'it\'s $HOME `x` "y" \\n !.csv',
    b"two\nlines\t.csv",
    "\u6a21\u5757\u2028'.csv".encode(),
    "\u6a21\u5757".encode("gbk") + b"1\x1b[31m'.csv",
    b"-x.csv",
    b"--help",
    b"*",
]


def test_halves_of_characters_are_legible_too() -> None:
    assert legible("x\ud83d") == "x\\ud83d"


@pytest.mark.parametrize("name", NAMES)
def test_quoted_name_is_read_by_bash_as_it_was(name: bytes) -> None:
    words = ["printf", r"%s\n", os.fsdecode(name), "b"]

    line = shell_join(words)

    assert line.isprintable()
    assert subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout == name + b"\nb\n"


@pytest.mark.parametrize("name", NAMES)
def test_path_is_never_taken_for_an_option(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"content")

    command = f"cat {shell_path(os.fsdecode(name))}"

    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True).stdout == b"content"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_input_of_any_name_is_run_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode("模块".encode("gbk") + b".csv")
    (tmp_path / name).write_text("ProductKey,ModuleName\npk1,mod-1\n", encoding="utf-8")

    environ = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    ledger = f"{name}.sandbox.db"
    commands = [
        ("plan", name, "--sandbox", "--json"),
        ("run", name, "--sandbox", "--json"),
        ("run", name, "--sandbox"),
        ("status", ledger),
        ("status", ledger, "--json"),
        ("results", ledger),
    ]

    with closing(ForkHost(environ)) as host:
        ended = [host.run(BULK, *command, folder=tmp_path, environ=environ) for command in commands]

    assert [(one.returncode, b"bug" in one.stderr) for one in ended] == [(0, False)] * len(ended), ended
    assert json.loads(ended[1].stdout)["input"] == legible(name)
    assert legible(ledger) in ended[3].stdout.decode()
