"""`bulk fleet merge`, as it is typed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from bulk.cli import main
from bulk.ledger.views.status import read_status
from bulk.model import Outcome
from tests.unit.fleet.conftest import ACCOUNTS, ROWS, Fleet, claim, row

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_commands_read_the_merged_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    line = asyncio.run(merge_with_one_that_failed(fleet))
    ledger, page, written = str(fleet.ledger), str(tmp_path / "page.html"), tmp_path / "results.csv"

    ends = [
        main(["results", ledger, "-o", str(written)]),
        main(["status", ledger]),
        main(["report", ledger, "-o", page]),
    ]

    assert ends == [0, 0, 0]
    assert "39  created" in capsys.readouterr().out
    out = written.read_text()
    account = (line - 2) % ACCOUNTS
    assert f"a{account},pk{account},m{line - 2},Nr. {line - 2},failed,iot.X,no such product,Q,1" in out
    assert read_status(fleet.ledger).accounts["a0"].target == "https://platform0 (alibaba)"


async def merge_with_one_that_failed(fleet: Fleet) -> int:
    await fleet.split()
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    failed = row(lines[0], outcome=Outcome.FAILED, code="iot.X", message="no such product", request_id="Q")
    await fleet.ship(1, map(claim, lines), [failed, *map(row, lines[1:])])
    await fleet.say(1)
    await fleet.merge()
    return lines[0]


def test_command_says_what_is_proven_and_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    out = capsys.readouterr().out
    assert code == 1
    assert out.startswith(f"40 rows of 4 accounts in 2 shards, merged into {fleet.ledger}\n")
    assert "Not finished: 1 shard\n  shard 1: nobody has started it\n" in out
    assert "and 0 requests of 1 process kept to the rates." in out


def test_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger), "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == said["exit_code"] == 1
    assert (said["store"], said["rows"], said["not_shipped"]) == (fleet.url, ROWS, {})
    assert said["unfinished"] == {"1": "nobody has started it"}


def test_command_names_flaws_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet))
    asyncio.run(fleet.ship(0, b"no JSON", fence=2))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "Error: the proof fails, and no ledger was written:",
        "shard 0: segments/0/2.0 can't be read",
    ]


async def split_and_finish(fleet: Fleet, *, but: int = -1) -> None:
    await fleet.split()
    await fleet.finish(but=but)
