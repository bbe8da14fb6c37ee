from __future__ import annotations

import os
from contextlib import closing
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.run import run
from bulk.engine.sync.run import sync
from bulk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
