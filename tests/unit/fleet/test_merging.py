"""Merge what shards shipped: a whole ledger with its proof, or none."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import LedgerError, LedgerHeldError, SettingsError, StoppedError
from bulk.fleet import merging
from bulk.fleet.progress import ShardState
from bulk.ledger.storage.files import lock_of, unfinished_merge_of
from bulk.ledger.storage.lock import hold
from bulk.ledger.store import Ledger
from bulk.ledger.views.status import read_status
from bulk.model import Outcome
from tests.unit.fleet.conftest import ROWS, claim, row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.fleet.conftest import Fleet, MemoryStore


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_TRIED_EVERY_S", 0.0)


async def test_finished_fleet_becomes_a_ledger_with_every_row(fleet: Fleet) -> None:
    await fleet.finish()

    done = await fleet.merge()

    assert (done.rows, done.outcomes["created"], done.exit_code) == (ROWS, ROWS, 0)
    assert await asyncio.to_thread(fleet.rows) == [(line, "created", None, 1) for line in range(2, ROWS + 2)]
    with closing(sqlite3.connect(fleet.ledger)) as connection:
        assert connection.execute("SELECT count(*), sum(owned), min(written_desc <> '') FROM modules").fetchone() == (
            *(ROWS, ROWS, 1),
        )


async def test_merge_once_more_replaces_the_one_before(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    first = await fleet.merge()

    await fleet.finish()
    second = await fleet.merge()

    assert first.outcomes["pending"] == len(fleet.lines_of(fleet.manifest.shards[1]))
    assert second.outcomes["created"] == ROWS


async def test_ledger_of_anything_else_is_refused_and_stays(fleet: Fleet) -> None:
    await fleet.finish()
    await fleet.merge()
    with closing(sqlite3.connect(fleet.ledger)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (run_id, started_at, pid, host, version, input, rates) VALUES ('r','',1,'','','','{}')"
        )
    before = fleet.ledger.read_bytes()

    with pytest.raises(LedgerError, match="more than a merge of this fleet: name another"):
        await fleet.merge()

    assert fleet.ledger.read_bytes() == before


async def test_ledger_that_a_run_holds_is_refused(fleet: Fleet) -> None:
    await fleet.finish()
    held = await asyncio.to_thread(hold, fleet.ledger)

    with pytest.raises(LedgerHeldError):
        await fleet.merge()

    held.release()
    assert not fleet.ledger.exists()


async def test_what_a_killed_merge_left_is_in_nobodys_way(fleet: Fleet) -> None:
    await fleet.finish()
    unfinished_merge_of(fleet.ledger).write_bytes(b"half of it")

    done = await fleet.merge()

    assert done.exit_code == 0
    assert {path.name for path in fleet.folder.iterdir()} == {
        *("in.csv", fleet.ledger.name, lock_of(fleet.ledger).name)
    }


async def test_unfinished_fleet_is_merged_as_far_as_it_is_and_said_to_be(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines[:3]), [row(lines[0])])
    await fleet.say(1, ShardState.WORKING)

    done = await fleet.merge()

    assert done.unfinished == {"1": "process 1 on host is at work on it, or died"}
    assert (done.outcomes["sending"], done.outcomes["pending"]) == (2, len(lines) - 3)
    assert done.exit_code == 1
    assert "had not finished: shards 1" in (read_status(fleet.ledger).runs[-1].stopped or "")


@pytest.mark.parametrize(
    ("state", "why"),
    [(None, "nobody has started it"), (ShardState.STOPPED, "it was stopped: the key is wrong"), ("failed", "given up")],
)
async def test_each_reason_why_a_shard_is_open_is_said(fleet: Fleet, state: ShardState | str | None, why: str) -> None:
    await fleet.finish(but=1)
    if isinstance(state, ShardState):
        await fleet.say(1, state, stopped="the key is wrong")
    if state == "failed":
        await fleet.give_up(1)

    done = await fleet.merge()

    assert why in done.unfinished["1"]


async def test_outcomes_that_stayed_on_a_machine_are_counted(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines), [*map(row, lines[3:])])
    await fleet.say(1, outcomes={"created": len(lines)})

    done = await fleet.merge()

    assert done.not_shipped == {"1": 3}
    assert done.outcomes["sending"] == 3
    assert done.exit_code == 1


async def test_last_word_on_a_row_counts_over_fences_and_segments(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines), [row(lines[0], outcome=Outcome.UNKNOWN, request_id=None)])
    recovered = row(lines[0], recovered=True, owned=False)
    await fleet.ship(1, [recovered, *map(row, lines[1:])], fence=10)
    await fleet.say(1)

    done = await fleet.merge()

    assert done.outcomes["created"] == ROWS
    with closing(sqlite3.connect(fleet.ledger)) as connection:
        found = connection.execute("SELECT recovered, owned FROM modules WHERE module_name = ?", (f"m{lines[0] - 2}",))
        assert found.fetchone() == (1, 0)


async def test_store_without_a_fleet_is_said_to_be_so(tmp_path: Path, store: MemoryStore) -> None:

    with pytest.raises(SettingsError, match="no fleet is in the store"):
        await merging.merge(store, tmp_path / "merged.db", url="empty")


async def test_stop_leaves_no_ledger(fleet: Fleet) -> None:
    await fleet.finish()
    stop = StopSignal()
    stop.request("interrupted by Ctrl-C", exit_code=130)

    with pytest.raises(StoppedError):
        await fleet.merge(stop)

    assert not fleet.ledger.exists()
    assert not unfinished_merge_of(fleet.ledger).exists()


async def test_merged_ledger_is_one_that_a_run_goes_on_with(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    await fleet.merge()
    targets = {name: member.target for name, member in fleet.manifest.members.items()}

    with closing(await asyncio.to_thread(Ledger.open, fleet.ledger, targets=targets)) as ledger:
        outcomes = ledger.outcomes()

    assert outcomes["created"] + outcomes["pending"] == ROWS


async def test_finished_fleet_with_a_row_that_failed_ends_with_1_and_is_not_called_unfinished(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    failed = row(lines[0], outcome=Outcome.FAILED, code="iot.X", message="no such product")
    await fleet.ship(1, map(claim, lines), [failed, *map(row, lines[1:])])
    await fleet.say(1, outcomes={"created": len(lines) - 1, "failed": 1}, exit_code=1)

    done = await fleet.merge()

    assert (done.exit_code, done.unfinished, done.not_shipped) == (1, {}, {})
    assert (done.outcomes["failed"], done.outcomes["created"]) == (1, ROWS - 1)


async def test_store_that_misses_a_few_questions_is_asked_again(fleet: Fleet, store: MemoryStore) -> None:
    await fleet.finish()
    for operation, prefix in (("names", "progress"), ("save", "input"), ("names", "segments"), ("get", "segments")):
        store.be_silent(operation, prefix, times=2)

    assert (await fleet.merge()).exit_code == 0


@pytest.mark.parametrize(
    ("operation", "prefix"), [("names", "progress"), ("save", "input"), ("names", "segments"), ("get", "segments")]
)
async def test_store_that_stays_silent_is_named_and_nothing_is_written(
    operation: str, prefix: str, fleet: Fleet, store: MemoryStore
) -> None:
    await fleet.finish()
    store.be_silent(operation, prefix)

    with pytest.raises(SettingsError, match="the share is gone") as refused:
        await fleet.merge()

    assert fleet.url in str(refused.value)
    assert sum(asked[0] == operation and asked[1].startswith(prefix) for asked in store.asked) >= 5
    assert {path.name for path in fleet.folder.iterdir()} == {"in.csv", lock_of(fleet.ledger).name} - (
        {lock_of(fleet.ledger).name} if prefix == "progress" else set()
    )


async def test_stop_while_the_store_is_silent_ends_the_wait_for_it(
    fleet: Fleet, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_TRIED_EVERY_S", 60.0)
    stop = StopSignal()
    store.be_silent("names", "segments")
    asking = asyncio.create_task(fleet.merge(stop))
    await store.is_asked("names", "segments/0")
    stop.request("interrupted by Ctrl-C", exit_code=130)

    with pytest.raises(StoppedError) as stopped:
        await asking

    assert stopped.value.exit_code == 130
    assert not fleet.ledger.exists()


async def test_many_segments_are_read_in_their_order_a_chunk_ahead(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    later = [[row(line, outcome=Outcome.FAILED, code="first", message="x"), claim(line), row(line)] for line in lines]
    await fleet.ship(1, *([one] for line in later for one in line))
    await fleet.say(1)

    done = await fleet.merge()

    assert len(later) * 3 > merging._AT_ONCE
    assert (done.outcomes["created"], done.exit_code) == (ROWS, 0)


async def test_flaw_in_an_early_chunk_ends_what_is_read_ahead(
    fleet: Fleet, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_TRIED_EVERY_S", 60.0)
    await fleet.finish(but=1)
    stranger = row(fleet.lines_of(fleet.manifest.shards[0])[0])
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.ship(1, [stranger], *([claim(line)] for line in lines * 4))
    store.be_silent("get", "segments/1/1.40")

    (flaw,) = await fleet.flaws()

    assert flaw.startswith("shard 1: it shipped outcomes of account")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_segment_that_is_listed_and_not_there_fails_the_proof(fleet: Fleet, store: MemoryStore) -> None:
    await fleet.finish()
    await fleet.ship(0, b"", first=2)
    names = store.names

    async def listed(prefix: str) -> object:
        found = await names(prefix)
        if prefix == "segments/0":
            del store.objects["segments/0/1.2"]
        return found

    store.names = listed  # type: ignore[method-assign, assignment]  # it lists what it lost

    assert await fleet.flaws() == ("shard 0: segments/0/1.2 is listed in the store, and is not there",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"members": {}}, "the manifest's shards and its accounts differ"),
        ({"rows": ROWS + 1}, f"the manifest has {ROWS + 1} rows, and its shards together another number"),
    ],
)
async def test_manifest_that_contradicts_itself_fails_the_proof(
    changes: dict[str, object], said: str, fleet: Fleet
) -> None:
    await fleet.describe(**changes)

    assert await fleet.flaws() == (said,)


async def test_product_of_two_accounts_on_one_platform_fails_the_proof(fleet: Fleet) -> None:
    (mine, *_), (other, *_) = (shard.accounts for shard in fleet.manifest.shards)
    target = fleet.manifest.members[other].target
    await fleet.describe(members={**fleet.manifest.members, mine: replace(fleet.manifest.members[mine], target=target)})
    await fleet.give_slice(0, lambda data: data.replace(f'"pk{mine[1:]}"'.encode(), f'"pk{other[1:]}"'.encode()))

    (flaw,) = await fleet.flaws()

    assert f"has this ProductKey under account '{min(mine, other)}'" in flaw


async def test_rows_of_a_shard_at_work_are_not_called_lost_before_their_segments_are_stored(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    await fleet.say(1, ShardState.WORKING, outcomes={"created": 5})

    assert (await fleet.merge()).not_shipped == {}


async def test_fleet_with_a_shard_that_was_stopped_is_unfinished_even_if_nothing_is_left(fleet: Fleet) -> None:
    await fleet.finish()
    await fleet.say(1, ShardState.STOPPED, fence=2, stopped="interrupted by Ctrl-C")

    done = await fleet.merge()

    assert (done.outcomes["created"], done.exit_code) == (ROWS, 1)
    assert done.unfinished == {"1": "it was stopped: interrupted by Ctrl-C"}
