"""`bulk expand` as a process: FILE as a whole or not at all, whatever ends it, and a run that reads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.forked import BULK
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.forked import ForkHost

    Bulk = Callable[..., subprocess.CompletedProcess[bytes]]

PRODUCTS = "ProductKey,ProductName\na1Lamp00001,灯\na1Lamp00002,\n"
MODULES = 'ModuleName,AliasName,Desc\nmcu,主控,"two\nlines"\nled,,\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.csv").write_text(PRODUCTS, encoding="utf-8")
    (tmp_path / "m.csv").write_text(MODULES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def bulk(fork_host: ForkHost) -> Bulk:
    return lambda folder, *words: fork_host.run(BULK, *words, folder=folder)


def bulk_reading(stdin: bytes, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bulk", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, check=False)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.NDJSON"])
def test_run_reads_what_was_expanded(folder: Path, name: str, bulk: Bulk) -> None:
    expanded = bulk(folder, "expand", "p.csv", "--modules", "m.csv", "-o", name, "--json")
    ran = bulk(folder, "run", name, "--sandbox", "--qps", "0", "--list-qps", "0", "--json")

    assert json.loads(expanded.stdout) == {"products": 2, "modules": 2, "rows": 4, "output": name, "exit_code": 0}
    assert (expanded.returncode, ran.returncode) == (0, 0), expanded.stderr + ran.stderr
    assert json.loads(ran.stdout)["outcomes"]["created"] == 4


def test_products_come_from_stdin(folder: Path) -> None:
    done = bulk_reading(
        PRODUCTS.encode(), folder, "expand", "-", "--format", "csv", "--modules", "m.csv", "-o", "o.csv"
    )

    assert (done.returncode, done.stdout.decode()) == (0, "4 rows in o.csv: 2 products with 2 modules each\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("p.csv", "--modules", "m.csv", "-o", "p.csv"), "p.csv is an input; name another file with -o"),
        (("p.csv", "--modules", "m.csv", "-o", "./m.csv"), "m.csv is an input; name another file with -o"),
        (("p.csv", "--modules", "m.csv", "-o", "link.csv"), "link.csv is an input"),
        (("p.csv", "--modules", "m.csv", "-o", "out.txt"), "end it in .csv, .jsonl or .ndjson"),
        (("p.csv", "--modules", "m.csv", "-o", "-"), "end it in .csv, .jsonl or .ndjson"),
        (("p.csv", "--modules", "-", "-o", "out.csv"), "not from stdin; name one"),
        (("p.csv", "--modules", "gone.csv", "-o", "out.csv"), "gone.csv: there is no such file"),
        (("p.csv", "--modules", "m.csv", "-o", "no/out.csv"), "no/out.csv: it can't be written"),
        (("p.csv", "--modules", "m.csv", "-o", "out.csv", "--sheet", "a"), "--sheet is for workbooks"),
        (("twice.csv", "--modules", "m.csv", "-o", "out.csv"), "line 3: ProductKey 'a1' is in line 2 already"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    folder: Path, arguments: tuple[str, ...], said: str, bulk: Bulk
) -> None:
    (folder / "link.csv").symlink_to("p.csv")
    (folder / "out.csv").write_text("as it was")
    (folder / "twice.csv").write_text("ProductKey\na1\na1\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    done = bulk(folder, "expand", *arguments, "--json")

    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert said in done.stderr.decode()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_signal_leaves_the_file_as_it_was(folder: Path, number: signal.Signals, exit_code: int) -> None:
    (folder / "out.csv").write_text("as it was")
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "bulk", "expand", "-", "--format", "csv", "--modules", "m.csv", "-o", "out.csv"]
    with subprocess.Popen(command, cwd=folder, stdin=reading, stderr=subprocess.PIPE) as child:
        os.close(reading)
        try:
            os.write(writing, PRODUCTS.encode())
            # The unfinished file is there once the work has begun, and signals are obeyed by then.
            wait_until(lambda: [*folder.glob(".bulk-*.tmp")] or child.poll() is not None, "nothing is written")
            child.send_signal(number)

            assert child.wait(30) == exit_code
        finally:
            os.close(writing)
            child.kill()
        assert child.stderr is not None
        assert b"out.csv is as it was" in child.stderr.read()
    assert (folder / "out.csv").read_text() == "as it was"
    assert list(folder.glob(".bulk-*")) == []
