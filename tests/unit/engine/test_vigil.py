"""A ledger that is taken away while a run works stops the run: its further work would not be recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulk.engine.stop import StopSignal
from bulk.engine.threads import held
from bulk.engine.vigil import vigil
from bulk.errors import LedgerError
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = {"": Target(Dialect.ALIBABA, "https://h", None)}


@pytest.fixture(autouse=True)
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.engine.vigil._EVERY_S", 0.0)


async def test_ledger_that_is_taken_away_stops_the_run_and_fails_it(tmp_path: Path) -> None:
    stop, stopped = StopSignal(), asyncio.Event()
    stop.follow(stopped.set)

    async with held(Ledger.open, tmp_path / "l.db", targets=TARGETS) as ledger:
        watched = vigil(ledger, stop)
        await watched.__aenter__()
        (tmp_path / "l.db").unlink()
        await stopped.wait()
        with pytest.raises(LedgerError, match=r"l\.db"):
            await watched.__aexit__(None, None, None)

    assert stop.reason is not None
    assert "l.db" in stop.reason
    assert stop.exit_code == LedgerError.exit_code


async def test_ledger_that_is_there_stops_nothing(tmp_path: Path) -> None:
    stop = StopSignal()

    async with held(Ledger.open, tmp_path / "l.db", targets=TARGETS) as ledger, vigil(ledger, stop):
        await asyncio.sleep(0)

    assert not stop.requested
