"""What a job does before its input is read: it looks whether that is there, and upgrades its ledger."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.preparing import Prepared
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.engine.sync.run import sync
from bulk.errors import InputError, LedgerError
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
        async with prepared.ledger(ledger, "in.csv") as opened:
            assert opened.path == ledger

    (told,) = [event for event in events if isinstance(event, LedgerUpgraded)]
    assert told.ledger == str(ledger)
    assert Path(told.copy).parent == ledger.parent
    assert is_there(told.copy)


@pytest.mark.parametrize("command", [run, sync])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mistyped.csv", "there is no such file"),
        ("folder", "this is a folder"),
        ("a\0name.csv", "no file can have this name"),
    ],
)
async def test_an_input_that_is_not_there_leaves_no_ledger_behind(
    command: Callable[..., Any], name: str, why: str, tmp_path: Path, make_box: Callable[..., Any]
) -> None:
    box = make_box()
    (tmp_path / "folder").mkdir()
    settings = box.settings(ledger=str(tmp_path / "new.db"))

    with pytest.raises(InputError, match=why):
        await command(str(tmp_path / name), settings, credentials=box.keys())

    assert os.listdir(tmp_path) == ["folder"]  # noqa: PTH208 - nothing waits for this loop


async def test_a_place_where_no_ledger_can_be_looked_for_is_named_with_what_to_do(
    tmp_path: Path, make_box: Callable[..., Any]
) -> None:
    box, file = make_box(), tmp_path / "in.csv"
    file.write_text("ProductKey,ModuleName\na1Lamp00001,wifi\n")

    with pytest.raises(LedgerError, match="or name another ledger"):
        await run(str(file), box.settings(ledger=str(tmp_path / ("l" * 300))), credentials=box.keys())


async def test_a_run_whose_input_is_gone_is_recorded_in_the_ledger_that_it_has(
    tmp_path: Path, make_box: Callable[..., Any]
) -> None:
    box, file = make_box(), tmp_path / "in.csv"
    file.write_text("ProductKey,ModuleName\na1Lamp00001,wifi\n")
    assert (await run(str(file), box.settings(), credentials=box.keys())).exit_code == 0
    file.unlink()

    with pytest.raises(InputError, match="there is no such file"):
        await run(str(file), box.settings(), credentials=box.keys())

    with closing(connect(tmp_path / "in.csv.ledger.db")) as ledger:
        assert ledger.execute("SELECT exit_code FROM runs ORDER BY started_at").fetchall() == [(0,), (2,)]
