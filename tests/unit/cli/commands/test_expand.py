"""`bulk expand` as a command: what it writes, and that it writes nothing where it was stopped or refused."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main
from bulk.rows.products import expansion

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("ProductKey\na1Lamp00001\na1Lamp00002\n", encoding="utf-8")
    Path("set.csv").write_text("ModuleName,AliasName\nmcu,x\nwifi,y\nble,\n", encoding="utf-8")


def test_every_product_has_every_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expand", "p.csv", "--modules", "set.csv", "-o", "o.csv"]) == 0

    assert capsys.readouterr().out == "6 rows in o.csv: 2 products with 3 modules each\n"
    assert Path("o.csv").read_text(encoding="utf-8").splitlines()[1:3] == ["a1Lamp00001,mcu,x,", "a1Lamp00001,wifi,y,"]


def test_json_counts_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    main(["expand", "p.csv", "--modules", "set.csv", "-o", "o.jsonl", "--json"])

    assert json.loads(capsys.readouterr().out) == {
        "products": 2,
        "modules": 3,
        "rows": 6,
        "output": "o.jsonl",
        "exit_code": 0,
    }
    assert json.loads(Path("o.jsonl").read_text(encoding="utf-8").splitlines()[0])["ModuleName"] == "mcu"


def test_column_that_is_not_carried_over_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.csv").write_text("ProductKey,Owner\na1Lamp00001,me\n", encoding="utf-8")

    assert main(["expand", "p.csv", "--modules", "set.csv", "-o", "o.csv"]) == 0

    assert "Owner" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--modules", "-", "-o", "o.csv"), "the set of modules is read from a file, not from stdin"),
        (("--modules", "set.csv", "-o", "set.csv"), "set.csv is an input"),
        (("--modules", "set.csv", "-o", "p.csv"), "p.csv is an input"),
        (("--modules", "set.csv", "-o", "o.txt"), "-o o.txt: its name does not tell a format"),
        (("--modules", "gone.csv", "-o", "o.csv"), "gone.csv"),
        (("--modules", "set.csv", "-o", "no/o.csv"), "no/o.csv"),
    ],
)
def test_what_can_not_be_written_is_refused_and_no_file_is_touched(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    before = {path.name: path.read_bytes() for path in Path().iterdir()}

    assert main(["expand", "p.csv", *arguments]) == 2

    assert words in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_leaves_the_file_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals, exit_code: int
) -> None:
    read_modules: Callable[..., Any] = expansion.read_modules

    def read_and_stop(modules: str, settings: Any, *, while_waiting: Callable[[], None]) -> Any:
        found = read_modules(modules, settings, while_waiting=while_waiting)
        os.kill(os.getpid(), number)
        for _ in itertools.repeat(None):  # as often as there are rows, until the signal has arrived
            while_waiting()
        return found

    monkeypatch.setattr(expansion, "read_modules", read_and_stop)
    Path("o.csv").write_text("mine", encoding="utf-8")

    assert main(["expand", "p.csv", "--modules", "set.csv", "-o", "o.csv"]) == exit_code

    assert "o.csv is as it was" in capsys.readouterr().err
    assert Path("o.csv").read_text(encoding="utf-8") == "mine"
