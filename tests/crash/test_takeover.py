"""A ledger of 0.1.0 gets accounts, and dies at any step: the next run finishes, and nothing is lost or doubled."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.binding import Takeover
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from tests.forked import ForkHost

LEDGERS = Path("tests/data/ledgers-0.1.0").absolute()
TARGETS = {"cn": Target(Dialect.TUYA, "sandbox"), "eu": Target(Dialect.TUYA, "https://eu.example.com")}

_OPEN = """
import os, signal, sqlite3, sys
from pathlib import Path

from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target

left = int(sys.argv[1])

def step(statement):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

def traced(*args, connect=sqlite3.connect, **options):
    connection = connect(*args, **options)
    connection.set_trace_callback(step)
    return connection

sqlite3.connect = traced
targets = {"cn": Target(Dialect.TUYA, "sandbox"), "eu": Target(Dialect.TUYA, "https://eu.example.com")}
Ledger.open(Path("ledger.sqlite"), targets=targets).close()
"""
"""Opens a ledger with accounts, and dies at a statement of SQL."""


def facts(ledger: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all that is known of rows, modules and requests, but for whose they are."""
    asked = {
        "rows": "SELECT line, product_key, module_name, outcome FROM rows ORDER BY line",
        "modules": "SELECT product_key, module_name, outcome, owned, in_doubt, attempts, written_alias, claimed "
        "FROM modules ORDER BY 1, 2",
        "attempts": "SELECT id, run_id, at, action, product_key, module_name, code FROM attempts ORDER BY id",
    }
    with closing(sqlite3.connect(ledger)) as connection:
        return {name: connection.execute(statement).fetchall() for name, statement in asked.items()}


def accounts(ledger: Path) -> set[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        tables = ("modules", "attempts", "rows", "target")
        return {name for table in tables for (name,) in connection.execute(f"SELECT account FROM {table}")}


def copied(name: str, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(LEDGERS / name, folder)
    return folder / "ledger.sqlite"


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """Return a folder with a ledger of 0.1.0 in the present layout, without accounts."""
    ledger = copied("in-doubt", tmp_path / "upgraded")
    Ledger.open(ledger, targets={"": TARGETS["cn"]}).close()
    return ledger.parent


@pytest.mark.parametrize("name", ["all-outcomes", "finished", "in-doubt", "killed", "jsonl"])
def test_a_ledger_of_0_1_0_that_gets_accounts_keeps_all_it_knew(tmp_path: Path, name: str) -> None:
    without = copied(name, tmp_path / "without")
    Ledger.open(without, targets={"": TARGETS["cn"]}).close()
    ledger = copied(name, tmp_path / "with")

    with closing(Ledger.open(ledger, targets=TARGETS)) as opened:
        assert opened.upgrade is not None
        assert opened.takeovers == (Takeover("", "cn", len(facts(without)["modules"])),)

    assert facts(ledger) == facts(without)
    assert accounts(ledger) == {"cn", "eu"}


def test_a_takeover_that_is_killed_at_any_step_is_finished_by_the_next_run(
    upgraded: Path, tmp_path: Path, fork_host: ForkHost
) -> None:
    expected = facts(upgraded / "ledger.sqlite")
    seen = set()
    for step in range(1, 200):
        folder = tmp_path / "tried"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(upgraded, folder)

        code = fork_host.run(_OPEN, str(step), folder=folder).returncode

        ledger = folder / "ledger.sqlite"
        assert facts(ledger) == expected
        found = accounts(ledger)
        seen.add(frozenset(found))
        with closing(Ledger.open(ledger, targets=TARGETS)):
            assert facts(ledger) == expected
            assert accounts(ledger) == {"cn", "eu"}
        if code == 0:
            break
        assert code == -signal.SIGKILL

    assert code == 0
    assert seen == {frozenset({""}), frozenset({"cn", "eu"})}
