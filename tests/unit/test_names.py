from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bulk.names import legible

if TYPE_CHECKING:
    from pathlib import Path


def test_only_what_is_no_utf8_is_escaped() -> None:
    assert legible(os.fsdecode("模块 é".encode() + b"\xff.csv")) == "模块 é\\xff.csv"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_input_of_any_name_is_run_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode("模块".encode("gbk") + b".csv")
    (tmp_path / name).write_text("ProductKey,ModuleName\npk1,mod-1\n", encoding="utf-8")

    def told(*args: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "bulk", *args]
        environ = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)

    ledger = f"{name}.sandbox.db"
    ended = [
        told("plan", name, "--sandbox", "--json"),
        told("run", name, "--sandbox", "--json"),
        told("run", name, "--sandbox"),
        told("status", ledger),
        told("status", ledger, "--json"),
        told("results", ledger),
    ]

    assert [(one.returncode, b"bug" in one.stderr) for one in ended] == [(0, False)] * len(ended), ended
    assert json.loads(ended[1].stdout)["input"] == legible(name)
    assert legible(ledger) in ended[3].stdout.decode()
