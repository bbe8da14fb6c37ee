"""kill -9 at named steps and at random instants: the run after the last kill makes everything right."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Any

    from bulk.sandbox import Sandbox, Seen
    from tests.conftest import Audit, Job
    from tests.crash.conftest import Child, Ended

    AuditOf = Callable[[Path, Sandbox], Audit]
    BoxWith = Callable[..., Sandbox]
    MakeJob = Callable[..., Job]
    RunChild = Callable[..., Coroutine[Any, Any, Ended]]
    StartChild = Callable[..., AbstractAsyncContextManager[Child]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]

DIE = """
def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dies_in(place, name, *, call=1, before=True, when=lambda *args: True):
    original, calls = getattr(place, name), []
    def patched(*args, **kwargs):
        calls.extend([1] if when(*args) else [])
        if before and len(calls) == call and when(*args):
            die()
        result = original(*args, **kwargs)
        if not before and len(calls) == call:
            die()
        return result
    setattr(place, name, patched)
"""
"""Lets the child kill itself in the nth call of a function that is not a coroutine."""

STEPS = {
    "before the ledger is bound": 'import bulk.ledger.store as m; dies_in(m, "bind")',
    "while the input is read": 'import bulk.ledger.intake as m; dies_in(m.Intake, "add", before=False)',
    "after ingest": 'import bulk.engine.run as m; dies_in(m, "send")',
    "before a claim is on disk": 'import bulk.ledger.writer as m; dies_in(m.LedgerWriter, "_write", call=3)',
    "after a claim": 'import bulk.ledger.writer as m; dies_in(m.LedgerWriter, "_write", call=3, before=False)',
    "before a create is sent": 'import bulk.cloud.client as m; dies_in(m.Client, "apply", call=12)',
    "between reply and settle": (
        "import bulk.engine.sessions.recorder as m\n"
        'dies_in(m.Recorder, "settle", call=9, when=lambda recorder, row, outcome: outcome == "created")'
    ),
    "during a commit": (
        "import bulk.ledger.writer as m\n"
        'dies_in(m, "insert_many", call=4, when=lambda _, name, *__, **___: name == "add_attempt")'
    ),
    "before the end is recorded": 'import bulk.ledger.store as m; dies_in(m.Ledger, "end_run")',
}
MIX = (
    "latency=0-4ms,throttle=3%,reset-before=3%,reset-after=3%,http500-after=3%,http503=2%,truncate=3%,html=2%,"
    "nonce-used-after=2%"
)


@pytest.mark.parametrize("step", STEPS)
async def test_run_after_a_kill_makes_everything_right(
    step: str, make_job: MakeJob, box_with: BoxWith, run_child: RunChild, audit: AuditOf
) -> None:
    job = make_job(products=8)
    async with box_with() as box:
        killed = await run_child(job, box, "--concurrency", "3", patch=DIE + STEPS[step])
        finished = await run_child(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert killed.returncode == -signal.SIGKILL
    assert finished.returncode in {0, 1}
    assert finished.summary["stopped"] is None


@pytest.mark.parametrize("nth", [1, 7])
async def test_create_that_was_carried_out_when_the_run_was_killed_is_recovered(
    nth: int, make_job: MakeJob, box_with: BoxWith, child: StartChild, run_child: RunChild, audit: AuditOf, watch: Watch
) -> None:
    job = make_job(products=8)
    async with box_with() as box:
        async with child(job, box, "--concurrency", "1") as running:

            def kill_before_the_reply(_: Seen) -> None:
                if len(box.carried_out) == nth:
                    os.kill(running.pid, signal.SIGKILL)

            watch(box, kill_before_the_reply)
            killed = await running.ended()
        last = box.carried_out[-1]
        watch(box, lambda _: None)
        finished = await run_child(job, box)

        audited = audit(job.ledger, box)
    assert killed.returncode == -signal.SIGKILL
    assert finished.summary["recovered"] >= 1
    (row,) = (
        row
        for row in audited.rows
        if (row.module.product_key, row.module.module_name) == (last.product_key, last.module_name)
    )
    assert (row.outcome, row.recovered) == ("created", True)


async def kill_some_time(child: StartChild, job: Job, box: Sandbox, watch: Watch, dice: random.Random) -> int:
    """Start a run and kill it: some requests and milliseconds later, or while it still starts."""
    loop = asyncio.get_running_loop()
    async with child(job, box, "--concurrency", str(dice.randint(1, 8))) as running:
        if dice.random() < 0.2:
            loop.call_later(dice.uniform(0.0, 0.1), running.signal, signal.SIGKILL)
        else:
            requests, delay_s, met = dice.randint(1, 25), dice.choice([0.0, dice.uniform(0, 0.03)]), len(box.seen)

            def kill_soon(_: Seen) -> None:
                if len(box.seen) == met + requests:
                    loop.call_later(delay_s, running.signal, signal.SIGKILL)

            watch(box, kill_soon)
        return (await running.ended()).returncode


async def killed_again_and_again(
    kills: int, seed: int, job: Job, box: Sandbox, *, child: StartChild, watch: Watch
) -> None:
    dice = random.Random(seed)
    died = [await kill_some_time(child, job, box, watch, dice) for _ in range(kills)]

    assert died.count(-signal.SIGKILL) == kills


async def test_fifteen_kills_in_one_job_lose_and_double_nothing(
    make_job: MakeJob, box_with: BoxWith, child: StartChild, run_child: RunChild, audit: AuditOf, watch: Watch
) -> None:
    job = make_job(products=50)
    async with box_with(MIX) as box:
        await killed_again_and_again(15, 3, job, box, child=child, watch=watch)
        await run_child(job, box)
        finished = await run_child(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert finished.summary["outcomes"]["created"] == job.provisionable()


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20))
async def test_many_kills_in_many_jobs_lose_and_double_nothing(
    seed: int,
    make_job: MakeJob,
    box_with: BoxWith,
    child: StartChild,
    run_child: RunChild,
    audit: AuditOf,
    watch: Watch,
) -> None:
    job = make_job(products=150, seed=seed)
    async with box_with(MIX, seed=seed) as box:
        await killed_again_and_again(40, seed, job, box, child=child, watch=watch)
        await run_child(job, box)
        await run_child(job, box)

        audit(job.ledger, box).job_is_done(job)
