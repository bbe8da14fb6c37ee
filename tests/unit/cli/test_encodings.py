"""Terminals of any encoding and width show what they can, and break no command."""

from __future__ import annotations

import io
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from bulk.cli.streams import standard_streams
from tests.forked import BULK, ForkHost

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMANDS = [
    ("plan", "m.csv", "--sandbox"),
    ("run", "m.csv", "--sandbox", "-vv"),
    ("status", "m.csv.sandbox.db"),
    ("results", "m.csv.sandbox.db"),
    ("settings", "--sandbox"),
    ("run", "--help"),
]
ENVIRONMENTS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "gbk"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "xx_YY.bogus"},
    {"COLUMNS": "1"},
    {"COLUMNS": "wide"},
    {"PYTHONWARNINGS": "error"},
    {"PYTHONOPTIMIZE": "1"},
]


@contextmanager
def bulk_in(environ: dict[str, str], folder: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[bytes]]]:
    """Start a Python in an environment, and let it run commands in a folder."""
    environ = os.environ | environ
    with closing(ForkHost(environ)) as host:
        yield lambda *words: host.run(BULK, *words, folder=folder, environ=environ)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = "ProductKey,ModuleName,AliasName\na1Zh,main,模块\na1Zh,模 块,模块\n"
    (tmp_path / "m.csv").write_text(rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("environ", ENVIRONMENTS, ids=lambda environ: " ".join(f"{k}={v}" for k, v in environ.items()))
def test_no_command_breaks(environ: dict[str, str], folder: Path) -> None:
    with bulk_in(environ, folder) as bulk:
        ended = [bulk(*command) for command in COMMANDS]

    assert [each.returncode for each in ended] == [1, 1, 0, 0, 0, 0]
    for each in ended:
        assert b"Traceback" not in each.stderr
        assert b"bug in bulk" not in each.stderr


def test_what_latin_1_lacks_is_written_another_way(folder: Path) -> None:
    with bulk_in({"PYTHONIOENCODING": "latin-1"}, folder) as bulk:
        ended = bulk("plan", "m.csv", "--sandbox")

    shown = ended.stdout.decode("latin-1")
    assert r"\u6a21" in shown


@pytest.mark.parametrize(("text", "shown"), [("a…b", b"a...b"), ("→ ·", b"-> \xb7"), ("模块", rb"\u6a21\u5757")])
def test_characters_of_ours_have_a_stand_in(text: str, shown: bytes) -> None:
    with standard_streams():
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="latin-1", errors="bulk.stand_in")
        stream.write(text)
        stream.flush()

    assert raw.getvalue() == shown


def test_json_is_utf_8_whatever_the_terminal(folder: Path) -> None:
    (folder / "m.csv").rename(folder / "模块.csv")

    with bulk_in({"PYTHONIOENCODING": "latin-1"}, folder) as bulk:
        ended = bulk("plan", "模块.csv", "--sandbox", "--json")

    assert '"input":"模块.csv"' in ended.stdout.decode("utf-8")
