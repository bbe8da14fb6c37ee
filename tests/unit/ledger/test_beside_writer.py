"""A process that holds a ledger reads it beside its writer, and nobody who looks at it meanwhile takes its log away."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.lanes import LaneReader
from bulk.ledger.looking import LookReader
from bulk.ledger.planning import WithheldReader, WorkReader, read_figures
from bulk.ledger.store import Ledger
from bulk.ledger.views.snapshot import Snapshot
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOK = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM modules'); c.close()"

READERS: dict[str, Callable[[Path], object]] = {
    "lanes": lambda path: LaneReader(path).close(),
    "look": lambda path: LookReader(path, account="", wanted=lambda _: True).close(),
    "work": lambda path: WorkReader(path, account="", run_id="r").close(),
    "withheld": lambda path: WithheldReader(path, account="", run_id="r").close(),
    "figures": lambda path: read_figures(path, account="", run_id="r", sent_since=0.0),
    "snapshot": lambda path: Snapshot(path).outcomes(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_somebody_who_looks_at_a_ledger_at_work_leaves_its_log(read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "it.db"
    with closing(Ledger.open(path, targets={"": Target(Dialect.TUYA, "https://example.test")})) as ledger:
        ledger.connection.execute("UPDATE target SET endpoint = endpoint")
        read(path)
        log = path.with_name("it.db-wal")
        before = log.stat().st_ino

        subprocess.run([sys.executable, "-c", _LOOK, str(path)], check=True)

        assert log.exists()
        assert log.stat().st_ino == before
