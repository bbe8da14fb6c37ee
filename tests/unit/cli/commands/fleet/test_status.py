"""`bulk fleet status`, as it is typed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from bulk.cli import main
from bulk.fleet.progress import AccountProgress, ShardState
from tests.unit.fleet.conftest import ACCOUNTS, ROWS, Fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.fleet.conftest import MemoryStore


@pytest.fixture
def fleet(tmp_path: Path, store: MemoryStore) -> Fleet:
    fleet = Fleet(tmp_path, store)
    asyncio.run(fleet.split(shards=ACCOUNTS))
    return fleet


def test_command_shows_a_fleet_that_nobody_has_begun(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "status", fleet.url]) == 0

    out = capsys.readouterr().out
    assert f"     {ACCOUNTS}  waiting     not started" in out
    assert f"  bulk fleet work {fleet.url} --shard 0" in out


def test_command_as_json(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    some = {"created": 8, "failed": 2}
    accounts = {"a1": AccountProgress(rows=10, outcomes=some)}
    asyncio.run(fleet.say(1, ShardState.ENDED, exit_code=1, outcomes=some, accounts=accounts))

    assert main(["fleet", "status", fleet.url, "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["store"], said["rows"], len(said["shards"])) == (fleet.url, ROWS, ACCOUNTS)
    assert said["accounts"]["a1"] == {"shard": 1, "outcomes": some, "rows": 10, "stopped": None}
    assert said["shards"][1]["standing"] == "incomplete"


def test_store_without_a_fleet_ends_with_2(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "status", "s3://bucket/job"]) == 2
    assert "make one with `bulk fleet split INPUT --store URL`" in capsys.readouterr().err
    assert store.objects == {}
