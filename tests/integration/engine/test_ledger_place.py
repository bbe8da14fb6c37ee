"""A ledger that is taken away from a run ends it, with 3 and the reason; nothing is made twice afterwards."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError, LedgerHeldError, LedgerTargetError
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from bulk.model import Summary
    from bulk.sandbox import Seen
    from tests.conftest import Audit, Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]
    AuditOf = Callable[[Path, Sandbox], Audit]
    MakeJob = Callable[..., Job]


def box_with(faults: str = "") -> Sandbox:
    return Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, faults=FaultPlan.parse(faults)))


def remove_folder(ledger: Path) -> None:
    shutil.rmtree(ledger.parent)


def rename_folder(ledger: Path) -> None:
    ledger.parent.rename(ledger.parent.with_name("archive"))


def remove_file(ledger: Path) -> None:
    ledger.unlink()


def replace_by_a_copy(ledger: Path) -> None:
    copy = ledger.with_name("copy.db")
    shutil.copy(ledger, copy)
    copy.replace(ledger)


def remove_log(ledger: Path) -> None:
    ledger.with_name(f"{ledger.name}-wal").unlink()


def remove_shared_memory(ledger: Path) -> None:
    ledger.with_name(f"{ledger.name}-shm").unlink()


def cut_off(ledger: Path) -> None:
    ledger.write_bytes(b"")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    return folder / "modules.db"


def once(box: Sandbox, watch: Watch, act: Callable[[], object], *, at: int = 5) -> None:
    """Do something when the sandbox has met so many requests."""

    def tell(_: Seen) -> None:
        if len(box.seen) == at:
            act()

    watch(box, tell)


@pytest.mark.parametrize(
    "take_away",
    [remove_folder, rename_folder, remove_file, replace_by_a_copy, remove_log, remove_shared_memory, cut_off],
)
async def test_ledger_that_is_taken_away_in_mid_run_stops_it(
    take_away: Callable[[Path], None], ledger: Path, make_job: MakeJob, run_job: RunJob, watch: Watch
) -> None:
    job = make_job(products=100)
    async with box_with("latency=20ms") as box:
        once(box, watch, lambda: take_away(ledger))

        with pytest.raises(LedgerError, match=f"{ledger}: .* while the run was at work.*[Rr]un again") as caught:
            await run_job(job, box, ledger=str(ledger), concurrency=1)

        assert box.requests.total() < job.provisionable()
    assert caught.value.exit_code == 3


async def test_ledger_that_is_taken_away_from_a_short_run_is_not_named_as_if_it_were_there(
    ledger: Path, make_job: MakeJob, run_job: RunJob, watch: Watch
) -> None:
    job = make_job(products=1, rows=4)
    async with box_with() as box:
        once(box, watch, lambda: remove_folder(ledger), at=4)

        with pytest.raises(LedgerError, match="was removed, moved or replaced"):
            await run_job(job, box, ledger=str(ledger))


async def test_run_after_one_whose_ledger_was_removed_makes_nothing_twice(
    ledger: Path, make_job: MakeJob, run_job: RunJob, watch: Watch, audit: AuditOf
) -> None:
    job = make_job(products=12)
    async with box_with() as box:
        once(box, watch, lambda: remove_file(ledger), at=9)
        with pytest.raises(LedgerError):
            await run_job(job, box, ledger=str(ledger))
        for left in ledger.parent.iterdir():
            left.unlink()

        summary = await run_job(job, box, ledger=str(ledger))

        audit(ledger, box).promises_hold()
    assert summary.stopped is None
    assert summary.outcomes["created"] + summary.outcomes["exists"] == job.provisionable()


async def test_lock_file_that_is_tidied_away_is_taken_again(
    ledger: Path, make_job: MakeJob, run_job: RunJob, watch: Watch
) -> None:
    job, held_again = make_job(products=100), asyncio.Event()
    lock = ledger.with_name(f"{ledger.name}.lock")
    async with box_with("latency=20ms") as box:

        def tell(_: Seen) -> None:
            if len(box.seen) == 5:
                lock.unlink()
            elif len(box.seen) > 5 and lock.exists():
                held_again.set()

        watch(box, tell)
        first = asyncio.create_task(run_job(job, box, ledger=str(ledger), concurrency=1, deadline_s=2.0))
        await asyncio.wait_for(held_again.wait(), 10)

        with pytest.raises(LedgerHeldError):
            await run_job(job, box, ledger=str(ledger))

        assert (await first).stopped == "the deadline of 2 s is over; run again to go on"


async def test_target_that_never_accepted_anything_may_be_corrected(
    ledger: Path, make_job: MakeJob, run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job(products=3)
    async with box_with("code:iot.system.InstanceNotFound=100%") as slip, box_with() as box:
        refused = await run_job(job, slip, ledger=str(ledger), instance_id="iot-2")
        finished = await run_job(job, box, ledger=str(ledger))

        audit(ledger, box).promises_hold()
        with pytest.raises(LedgerTargetError, match="belongs to"):
            await run_job(job, slip, ledger=str(ledger), instance_id="iot-2")
    assert refused.exit_code == 3
    assert finished.stopped is None
