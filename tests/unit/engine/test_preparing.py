"""What a job does before its input is read: its ledger is upgraded, and this is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk.engine.preparing import Prepared
from bulk.engine.stop import StopSignal
from bulk.events import Event, LedgerUpgraded
from bulk.model import Dialect
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

OLD = Path("tests/data/ledgers-0.1.0/finished")


def is_there(path: str) -> bool:
    return Path(path).exists()


async def test_ledger_of_an_earlier_version_is_upgraded_once_and_this_is_told(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    ledger, events = tmp_path / "old" / "ledger.sqlite", list[Event]()
    settings = Settings(sandbox=True, dialect=Dialect.TUYA)
    prepared = await Prepared.of(settings, None, listener=events.append, stop=StopSignal())

    for _ in range(2):
        async with prepared.ledger(ledger) as opened:
            assert opened.path == ledger

    (told,) = [event for event in events if isinstance(event, LedgerUpgraded)]
    assert told.ledger == str(ledger)
    assert Path(told.copy).parent == ledger.parent
    assert is_there(told.copy)
