"""One shard, and workers that are killed, stopped, signalled, or lost with their disk."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from bulk.fleet.lease import State, Terms
from bulk.fleet.progress import ShardState
from bulk.fleet.segments import segments_of, standing_after
from bulk.model import Outcome
from tests.crash.fleet.conftest import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.crash.fleet.conftest import Fleet

    FleetOf = Callable[..., AbstractAsyncContextManager[Fleet]]


async def every_outcome_is_in_the_store(fleet: Fleet) -> bool:
    found = await segments_of(fleet.store, 0)
    assert isinstance(found, list)
    return [one.outcome for one in standing_after(found)] == [Outcome.CREATED] * ROWS


async def test_worker_that_was_killed_is_followed_at_once_where_its_lock_is(fleet_of: FleetOf) -> None:
    async with fleet_of(terms=Terms(term_s=600)) as fleet:
        async with fleet.worker() as first:
            await fleet.creates(ROWS // 2)
            first.signal(signal.SIGKILL)
            await first.ended()
        async with fleet.worker() as second:
            ended = await second.ended()

        assert ended.returncode == 0
        await fleet.is_done()
        assert await every_outcome_is_in_the_store(fleet)


async def test_rows_of_a_machine_that_was_lost_with_its_disk_come_back_as_created(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet:
        async with fleet.worker(machine="lost") as first:
            await fleet.creates(ROWS // 2)
            first.signal(signal.SIGKILL)
            await first.ended()
        made = fleet.created()
        async with fleet.worker(machine="other") as second:
            ended = await second.ended()

        assert ended.returncode == 0
        assert ended.summary["outcomes"]["created"] == ROWS
        assert 0 < ended.summary["recovered"] <= made
        assert ended.summary["requests"]["create"] == ROWS - made
        await fleet.is_done()


async def test_worker_that_was_stopped_past_its_lease_sends_nothing_more(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet, fleet.worker(machine="stopped") as first:
        await fleet.creates(ROWS // 4)
        first.signal(signal.SIGSTOP)
        async with fleet.worker(machine="other") as second:
            await fleet.creates(ROWS // 4)
            seen = len(fleet.seen)
            first.signal(signal.SIGCONT)
            lost, ended = await first.ended(), await second.ended()

        assert lost.returncode == 3
        assert "another machine took shard 0" in lost.summary["stopped"]
        assert ended.returncode == 0
        assert len(fleet.seen) > seen
        await fleet.is_done()


async def test_stopped_worker_does_not_hold_up_another_one_of_its_machine(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet, fleet.worker() as first:
        await fleet.creates(ROWS // 4)
        first.signal(signal.SIGSTOP)
        async with fleet.worker() as second:
            ended = await second.ended()
        first.signal(signal.SIGCONT)
        lost = await first.ended()

        assert (lost.returncode, ended.returncode) == (3, 0)
        await fleet.is_done()


async def test_held_shard_is_waited_for(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet, fleet.worker() as first:
        await fleet.creates(1)
        async with fleet.worker(machine="other") as second:
            ended = [await first.ended(), await second.ended()]

        assert [one.returncode for one in ended] == [0, 0]
        assert ended[1].summary["requests"] == {"create": 0, "list": 0}
        await fleet.is_done()


async def test_signal_ends_a_worker_in_order_and_frees_its_shard(fleet_of: FleetOf) -> None:
    async with fleet_of(terms=Terms(term_s=600, request_timeout_s=0.2)) as fleet:
        async with fleet.worker(machine="first") as first:
            await fleet.creates(ROWS // 3)
            first.signal(signal.SIGTERM)
            stopped = await first.ended()
        progress = (await fleet.shards()).progress[0]
        note = await fleet.lease(0, 1)
        async with fleet.worker(machine="second") as second:
            ended = await second.ended()

        assert stopped.returncode == stopped.summary["exit_code"] == 143
        assert progress.state is ShardState.STOPPED
        assert note.state is State.RELEASED
        assert ended.returncode == 0
        assert ended.summary["recovered"] == 0
        await fleet.is_done()


async def test_second_run_of_a_shard_that_is_done_sends_nothing(fleet_of: FleetOf) -> None:
    async with fleet_of() as fleet:
        async with fleet.worker(machine="first") as first:
            await first.ended()
        seen = len(fleet.seen)
        async with fleet.worker(machine="other") as second:
            ended = await second.ended()

        assert ended.returncode == 0
        assert len(fleet.seen) == seen
        await fleet.is_done()


async def test_worker_without_an_account_of_its_shard_says_which(fleet_of: FleetOf) -> None:
    async with fleet_of(2) as fleet:
        (fleet.folder / "bulk.toml").write_text('[accounts.a1]\nregion = "cn-shanghai"\nkey_env = "A1"\n')
        async with fleet.worker() as worker:
            ended = await worker.ended()

    assert ended.returncode == 2
    assert "[accounts.a0]" in ended.stderr
