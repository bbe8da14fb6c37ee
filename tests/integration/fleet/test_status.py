"""How a fleet is, read from a store that a test fills as workers and drivers would."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main
from bulk.cli.screens.fleet_status import status_lines
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError
from bulk.fleet.lease import Host, Note, State
from bulk.fleet.progress import AccountProgress, GivenUp, Progress, ShardState, failed_name, progress_name
from bulk.fleet.splitting import split
from bulk.fleet.standing import FleetStatus, Standing, status
from bulk.fleet.store_url import open_store
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.fleet.store import Store

SHARDS = 7
ROWS = 70
NOW = 1_764_243_333.0


class Fleet:
    """A store of seven shards with an account each."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "store")
        self.store: Store = open_store(self.url, make=True)
        self.folder = folder

    async def split(self) -> None:
        lines = [f"a{number % SHARDS},pk{number % SHARDS},m{number}" for number in range(ROWS)]
        path = self.folder / "in.csv"
        await asyncio.to_thread(path.write_text, "\n".join(["Account,ProductKey,ModuleName", *lines, ""]))
        accounts = {
            f"a{number}": AccountSettings(endpoint=f"https://p{number}", rate_group=f"g{number}", key_env=f"K{number}")
            for number in range(SHARDS)
        }
        await split(str(path), Settings(accounts=accounts), self.store, stop=StopSignal(), shards=SHARDS)

    async def lease(self, shard: int, fence: int, state: State = State.SENDING) -> None:
        note = Note(holder="h", state=state, host=Host(), where=f"process {fence} on host{shard}")
        await self.store.overwrite(f"lease/{shard}.{fence}", note.encoded())

    async def say(self, shard: int, state: ShardState, *, fence: int = 1, at: float = NOW - 2, **more: Any) -> None:
        said = Progress(
            shard=shard, fence=fence, state=state, holder=f"process {fence} on host", started_at=0, at=at, **more
        )
        await self.store.overwrite(progress_name(shard, fence), said.encoded())

    async def give_up(self, shard: int, fence: int) -> None:
        left = GivenUp(shard=shard, fence=fence, tries=5, why="InvalidAccessKeyId: use another key", at=NOW)
        await self.store.overwrite(failed_name(shard), left.encoded())

    async def be_of_every_kind(self) -> None:
        """Bring each shard into another state."""
        done = {"created": 10}
        await self.say(0, ShardState.ENDED, outcomes=done, exit_code=0, accounts={"a0": account(done)})
        some = {"created": 8, "failed": 2}
        await self.say(1, ShardState.ENDED, outcomes=some, exit_code=1, accounts={"a1": account(some)})
        await self.lease(2, 3)
        await self.say(2, ShardState.WORKING, fence=3, per_s=9.8, outcomes={"created": 4}, rows=10)
        await self.say(3, ShardState.STOPPED, stopped="the disk is full: make room", exit_code=3)
        await self.say(4, ShardState.WORKING, per_s=9.8, at=NOW - 300)
        await self.say(5, ShardState.STOPPED, fence=5, stopped="x", exit_code=3)
        await self.give_up(5, 5)


def account(outcomes: dict[str, int], **more: Any) -> AccountProgress:
    return AccountProgress(rows=10, outcomes=outcomes, **more)


@pytest.fixture
async def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path)
    await fleet.split()
    return fleet


async def look(fleet: Fleet) -> FleetStatus:
    return await status(fleet.store, url=fleet.url, now=NOW)


async def test_each_shard_has_its_standing_and_each_row_its_outcome(fleet: Fleet) -> None:
    await fleet.be_of_every_kind()

    found = await look(fleet)

    assert [shard.standing for shard in found.shards] == [
        *(Standing.DONE, Standing.INCOMPLETE, Standing.WORKING, Standing.STOPPED),
        *(Standing.SILENT, Standing.GIVEN_UP, Standing.WAITING),
    ]
    assert found.outcomes == {"created": 22, "failed": 2, "pending": ROWS - 24}
    assert found.per_s == 9.8
    assert found.shards[2].holder == "process 3 on host2"
    assert (found.shards[4].heard_s_ago, found.shards[5].why) == (300, "InvalidAccessKeyId: use another key")


async def test_shard_that_was_taken_up_after_it_was_given_up_is_at_work(fleet: Fleet) -> None:
    await fleet.give_up(0, 5)
    await fleet.say(0, ShardState.WORKING, fence=6)

    assert (await look(fleet)).shards[0].standing is Standing.WORKING


async def test_shard_whose_holder_has_not_said_anything_yet_is_at_work(fleet: Fleet) -> None:
    await fleet.lease(0, 1, State.WAITING)

    assert (await look(fleet)).shards[0].standing is Standing.WORKING


async def test_lease_that_was_released_without_a_last_word_is_no_work(fleet: Fleet) -> None:
    await fleet.lease(0, 1, State.RELEASED)
    await fleet.say(0, ShardState.WORKING)

    assert (await look(fleet)).shards[0].standing is Standing.SILENT


async def test_screen_fits_80_columns_and_says_what_to_do(fleet: Fleet) -> None:
    await fleet.be_of_every_kind()
    found = await look(fleet)

    lines = status_lines(found, width=80)

    assert [line for line in lines if len(line) > 80 and fleet.url not in line] == []
    assert "             InvalidAccessKeyId: use another key" in lines
    assert "Now: 9.8 rows a second" in lines
    assert lines[-3:] == [
        "To do: nobody works on 4 shards (5, 3, 4, 6).",
        "  Fix the cause that is named above, and let your engine continue, or work here:",
        f"  bulk fleet work {fleet.url} --shard 5",
    ]


async def test_accounts_that_are_not_begun_are_not_taken_for_empty_ones(fleet: Fleet) -> None:
    await fleet.say(0, ShardState.ENDED, exit_code=0, accounts={"a0": account({"created": 10})})

    lines = status_lines(await look(fleet), width=80)

    assert any("rows that wait for a run" in line and "6 accounts" in line for line in lines)


async def test_account_that_stopped_is_named_with_its_reason(fleet: Fleet) -> None:
    stopped = account({"created": 3}, stopped="InvalidAccessKeyId: use another key")
    await fleet.say(0, ShardState.WORKING, accounts={"a0": stopped}, outcomes={"created": 3})

    lines = status_lines(await look(fleet), width=80)

    assert any(line.startswith("  a0") and "InvalidAccessKeyId" in line for line in lines)


async def test_finished_fleet_is_to_be_merged(fleet: Fleet) -> None:
    for number in range(SHARDS):
        await fleet.say(number, ShardState.ENDED, outcomes={"created": 10}, exit_code=0)

    lines = status_lines(await look(fleet), width=80)

    assert lines[-1] == f"  bulk fleet merge {fleet.url} -o LEDGER"


async def test_store_without_a_fleet_is_said_to_be_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty"), make=True)

    with pytest.raises(SettingsError, match="no fleet is in the store"):
        await status(store, url="empty")


def test_command_shows_a_fleet_that_nobody_has_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(fleet.split())

    assert main(["fleet", "status", fleet.url]) == 0

    out = capsys.readouterr().out
    assert "     7  waiting     not started" in out
    assert f"  bulk fleet work {fleet.url} --shard 0" in out


def test_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(fleet.split())
    asyncio.run(fleet.be_of_every_kind())

    assert main(["fleet", "status", fleet.url, "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["store"], said["rows"], len(said["shards"])) == (fleet.url, ROWS, SHARDS)
    assert said["accounts"]["a1"] == {
        "shard": 1,
        "outcomes": {"created": 8, "failed": 2},
        "rows": 10,
        "stopped": None,
    }
