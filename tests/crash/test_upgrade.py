"""A ledger of 0.1.0 is whole whenever its upgrade dies; the next run finishes the upgrade, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target
from tests.forked import BULK, texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.forked import ForkHost

    Bulk = Callable[..., subprocess.CompletedProcess[str]]
    UpgradeDyingAt = Callable[..., int]

LEDGERS = Path("tests/data/ledgers-0.1.0").absolute()
INPUTS = {
    "all-outcomes": "modules.csv",
    "finished": "modules.csv",
    "in-doubt": "modules.csv",
    "jsonl": "modules.jsonl",
    "killed": "modules.csv",
    "killed-checkpointed": "modules.csv",
}
AT_ONCE = ("--sandbox", "--ledger", "ledger.sqlite", "--qps", "0", "--list-qps", "0", "--json")

_UPGRADE = """
import os, signal, sqlite3, sys
from pathlib import Path

from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target

left, last = int(sys.argv[1]), sys.argv[2]

def step(statement=""):
    global left
    left -= 1
    if not left or (last and statement.startswith(last)):
        os.kill(os.getpid(), signal.SIGKILL)

def traced(*args, connect=sqlite3.connect, **options):
    connection = connect(*args, **options)
    connection.set_trace_callback(step)
    return connection

def before(name, call):
    def stepped(*args, **options):
        step()
        return call(*args, **options)
    setattr(*name, stepped)

sqlite3.connect = traced
for name in ((os, "fsync"), (os, "fchmod"), (os, "open"), (Path, "replace"), (Path, "unlink")):
    before(name, getattr(*name))
Ledger.open(Path("ledger.sqlite"), targets={"": Target(Dialect.TUYA, "sandbox")}).close()
"""
"""Opens a ledger, and dies at a step (a statement of SQL, or a call that changes the folder) or at a statement."""


@pytest.fixture
def bulk(fork_host: ForkHost) -> Bulk:
    return lambda folder, *words: texts(fork_host.run(BULK, *words, folder=folder))


@pytest.fixture
def upgrade_dying_at(fork_host: ForkHost) -> UpgradeDyingAt:
    """Return what upgrades the ledger in a folder and dies, and returns its exit code."""

    def start(folder: Path, step: int = 0, *, statement: str = "") -> int:
        return fork_host.run(_UPGRADE, str(step), statement, folder=folder).returncode

    return start


def upgrade(folder: Path) -> None:
    Ledger.open(folder / "ledger.sqlite", targets={"": Target(Dialect.TUYA, "sandbox")}).close()


def facts(ledger: Path) -> list[str]:
    """Return what both layouts can say; SQLite takes what is in the log, and puts it into the file."""
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT line, product_key, module_name, outcome, message, attempts FROM standing")
        sent = connection.execute("SELECT id, run_id, at, action, module_name, code FROM attempts")
        return [*map(repr, rows), *map(repr, sent)]


def layout(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a folder with the ledger of a run of 0.1.0 that was killed."""
    folder = tmp_path / "killed"
    shutil.copytree(LEDGERS / "killed", folder)
    return folder


def again(folder: Path) -> Path:
    """Return the folder as it was at first."""
    shutil.rmtree(folder)
    shutil.copytree(LEDGERS / "killed", folder)
    return folder / "ledger.sqlite"


def test_an_upgrade_that_is_killed_at_any_step_leaves_a_whole_ledger_that_the_next_run_upgrades(
    written: Path, upgrade_dying_at: UpgradeDyingAt
) -> None:
    ledger = written / "ledger.sqlite"
    expected = facts(ledger)
    layouts = []
    step, ended = 0, -int(signal.SIGKILL)
    while ended:
        step += 1
        again(written)
        ended = upgrade_dying_at(written, step)
        assert ended in (0, -signal.SIGKILL)
        layouts.append(layout(ledger))
        assert facts(ledger) == expected
        upgrade(written)
        assert layout(ledger) == 2
        assert facts(ledger) == expected
        if layouts[-1] == 1:
            assert facts(written / "ledger.sqlite.v1.bak") == expected
        assert not list(written.glob("*.part*"))

    assert step > 30
    assert layouts == sorted(layouts)
    assert layouts[0] == 1


@pytest.mark.parametrize(("kept", "found"), [(0.0, 1), (0.3, 1), (0.999, 1), (1.0, 2)])
def test_an_upgrade_of_which_a_crash_of_the_machine_kept_a_part_of_the_log_is_whole_or_none(
    kept: float, found: int, written: Path, upgrade_dying_at: UpgradeDyingAt
) -> None:
    ledger, log = written / "ledger.sqlite", written / "ledger.sqlite-wal"
    expected = facts(ledger)  # puts the log into the file: what comes into it now is the upgrade's
    assert upgrade_dying_at(written, statement="PRAGMA wal_checkpoint") == -signal.SIGKILL
    content = log.read_bytes()
    assert content

    log.write_bytes(content[: int(len(content) * kept)])
    (written / "ledger.sqlite-shm").unlink()

    assert layout(ledger) == found
    assert facts(ledger) == expected
    upgrade(written)
    assert facts(ledger) == expected


def test_half_a_copy_of_an_upgrade_that_died_is_replaced(written: Path) -> None:
    (written / "ledger.sqlite.v1.bak.part").write_bytes(b"half a copy" * 1000)
    (written / "ledger.sqlite.v1.bak").write_bytes(b"an older copy" * 1000)
    expected = facts(written / "ledger.sqlite")

    upgrade(written)

    assert facts(written / "ledger.sqlite.v1.bak") == expected
    assert not (written / "ledger.sqlite.v1.bak.part").exists()


@pytest.mark.parametrize("state", INPUTS)
def test_a_run_goes_on_with_a_ledger_of_0_1_0(state: str, tmp_path: Path, bulk: Bulk) -> None:
    folder = tmp_path / state
    shutil.copytree(LEDGERS / state, folder)
    ledger, cloud = folder / "ledger.sqlite", folder / "ledger.sqlite.cloud.jsonl"
    before = [json.loads(line) for line in cloud.read_text(encoding="utf-8").splitlines()]

    ended = bulk(folder, "run", INPUTS[state], *AT_ONCE)

    summary = json.loads(ended.stdout)
    assert summary["stopped"] is None
    assert summary["exit_code"] in (0, 1)
    assert not {"pending", "sending", "unknown"} & {name for name, rows in summary["outcomes"].items() if rows}
    assert f"The ledger was upgraded from layout 1; as it was before: {ledger}.v1.bak\n" in ended.stderr
    after = [json.loads(line) for line in cloud.read_text(encoding="utf-8").splitlines()]
    made = [(entry["product_key"], entry["module_name"].lower()) for entry in after]
    assert after[: len(before)] == before
    assert len(made) == len(set(made))  # nothing was made twice
    status = json.loads(bulk(folder, "status", "ledger.sqlite", "--json").stdout)
    assert status["outcomes"] == summary["outcomes"]
    known = json.loads((folder / "status.json").read_text(encoding="utf-8"))["runs"]
    assert [run["run_id"] for run in status["runs"][:-1]] == [run["run_id"] for run in known]
    assert len(status["runs"][-1]["run_id"]) == 32


def test_the_copy_put_back_is_upgraded_again(written: Path) -> None:
    ledger = written / "ledger.sqlite"
    expected = facts(ledger)
    upgrade(written)
    (written / "ledger.sqlite.v1.bak").replace(ledger)

    assert layout(ledger) == 1
    upgrade(written)
    assert facts(ledger) == expected


@pytest.mark.parametrize(
    "command",
    [
        ("run", "modules.csv", *AT_ONCE),
        ("plan", "modules.csv", "--sandbox", "--ledger", "ledger.sqlite"),
        ("status", "ledger.sqlite"),
        ("results", "ledger.sqlite"),
        ("results", "ledger.sqlite", "--retry-file", "retry.csv"),
        ("report", "ledger.sqlite", "-o", "page.html"),
    ],
)
def test_every_command_refuses_a_newer_layout_by_name(command: tuple[str, ...], tmp_path: Path, bulk: Bulk) -> None:
    folder = tmp_path / "finished"
    shutil.copytree(LEDGERS / "finished", folder)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 3")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (folder / "ledger.sqlite").read_bytes()

    ended = bulk(folder, *command)

    assert ended.returncode == 4, ended.stderr
    assert "a newer version of bulk wrote this ledger: its layout is version 3" in ended.stderr + ended.stdout
    assert (folder / "ledger.sqlite").read_bytes() == before


def test_status_sees_a_run_of_0_1_0_that_is_at_work(written: Path, bulk: Bulk) -> None:
    """It holds the lock and has the log open; its ledger is copied as it is at this moment."""
    ledger = written / "ledger.sqlite"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as at_work:
        at_work.execute("UPDATE modules SET outcome = 'created' WHERE outcome = 'sending'")
        log = (written / "ledger.sqlite-wal").read_bytes()

        status = json.loads(bulk(written, "status", "ledger.sqlite", "--json").stdout)

        assert (written / "ledger.sqlite-wal").read_bytes() == log
        at_work.execute("UPDATE modules SET outcome = 'failed'")
    assert status["outcomes"]["created"] == 36


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a right from a child and give it back")
def test_a_folder_that_may_not_be_written_keeps_the_old_ledger_readable(written: Path) -> None:
    ledger = written / "ledger.sqlite"
    facts(ledger)  # puts the log into the file
    before = ledger.read_bytes()
    for file in written.iterdir():
        file.chmod(0o444)
    written.chmod(0o555)
    program = (
        "import ctypes, os, sys\n"
        "for capability in (1, 2): ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'bulk', *sys.argv[1:]])"
    )
    read = subprocess.run(
        [sys.executable, "-c", program, "status", "ledger.sqlite", "--json"],
        cwd=written,
        capture_output=True,
        check=False,
    )
    written.chmod(0o755)

    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout)["outcomes"]["created"] == 14
    assert ledger.read_bytes() == before
