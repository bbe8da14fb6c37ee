"""The first signal ends a run in order, the second at once; a ledger has one run at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
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

pytestmark = pytest.mark.xdist_group("in_time")  # they hold a clock to what a machine does: not two at once

A_FEW_SECONDS = 8.0
IMPATIENT_AT_ONCE = "import bulk.cli.execution as m; m._IMPATIENT_AFTER_S = 0.0"


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
async def test_first_signal_settles_what_is_in_flight_and_says_how_to_go_on(
    number: signal.Signals,
    exit_code: int,
    make_job: MakeJob,
    box_with: BoxWith,
    child: StartChild,
    run_child: RunChild,
    audit: AuditOf,
    watch: Watch,
) -> None:
    job = make_job(products=40)
    async with box_with("latency=20-40ms") as box:
        async with child(job, box, "--concurrency", "4") as running:

            def interrupt(_: Seen) -> None:
                if len(box.seen) == 40:
                    running.signal(number)

            watch(box, interrupt)
            stopped = await running.ended()
        met = len(box.seen)

        assert met <= 40 + 8
        assert stopped.returncode == stopped.summary["exit_code"] == exit_code
        assert stopped.summary["requests"] == {
            "list": box.requests["ListOTAModuleByProduct"],
            "create": box.requests["CreateOTAModule"],
        }
        assert stopped.summary["outcomes"]["sending"] == 0
        assert stopped.summary["outcomes"]["created"] == len(box.carried_out)
        assert str(job.path) in stopped.summary["resume"]
        assert "Stopping" in stopped.stderr

        await run_child(job, box)
        audit(job.ledger, box).job_is_done(job)


async def test_first_signal_does_not_wait_for_requests_that_hang(
    make_job: MakeJob, box_with: BoxWith, child: StartChild, run_child: RunChild, audit: AuditOf, watch: Watch
) -> None:
    job = make_job(products=5)
    async with box_with("create:hang-after=1x@4") as box:
        async with child(job, box, "--concurrency", "2", "--timeout", "60") as running:
            signalled_at = asyncio.get_running_loop().create_future()

            def interrupt(seen: Seen) -> None:
                if seen.fault:
                    running.signal(signal.SIGTERM)
                    signalled_at.set_result(time.monotonic())

            watch(box, interrupt)
            stopped = await running.ended()
            took_s = time.monotonic() - await signalled_at

        assert stopped.returncode == 143
        assert took_s < A_FEW_SECONDS
        assert stopped.summary["outcomes"]["sending"] > 0

        await run_child(job, box)
        audit(job.ledger, box).job_is_done(job)


async def test_second_signal_leaves_at_once_and_the_next_run_recovers(
    make_job: MakeJob, box_with: BoxWith, child: StartChild, run_child: RunChild, audit: AuditOf, watch: Watch
) -> None:
    job = make_job(products=5)
    async with box_with("create:hang-after=1x@4") as box:
        async with child(job, box, "--concurrency", "2", "--timeout", "60", patch=IMPATIENT_AT_ONCE) as running:

            def interrupt(seen: Seen) -> None:
                if seen.fault:
                    running.signal(signal.SIGINT)

            watch(box, interrupt)
            await running.line_with("Stopping")
            signalled_at = time.monotonic()
            running.signal(signal.SIGINT)
            stopped = await running.ended()
            took_s = time.monotonic() - signalled_at

        assert stopped.returncode == 130
        assert stopped.stdout == ""
        assert took_s < 1.0

        finished = await run_child(job, box)
        audit(job.ledger, box).job_is_done(job)
        assert finished.summary["recovered"] >= 1


async def test_signal_while_everything_waits_for_the_pace_ends_the_run_at_once(
    make_job: MakeJob, box_with: BoxWith, child: StartChild, watch: Watch
) -> None:
    job = make_job(products=5)
    async with box_with() as box, child(job, box, "--qps", "0.02") as running:

        def interrupt(_: Seen) -> None:
            if len(box.seen) == 1:
                running.signal(signal.SIGTERM)

        watch(box, interrupt)
        stopped = await running.ended()

    assert stopped.returncode == 143
    assert stopped.summary["outcomes"]["pending"] == stopped.summary["rows"]


async def test_run_on_a_held_ledger_names_the_holder_and_a_dead_holder_blocks_nobody(
    make_job: MakeJob, box_with: BoxWith, child: StartChild, run_child: RunChild, audit: AuditOf, watch: Watch
) -> None:
    job = make_job(products=5)
    at_work = asyncio.Event()
    async with box_with("create:hang-before=1x") as box:
        watch(box, lambda seen: at_work.set() if seen.fault else None)
        async with child(job, box, "--timeout", "60", "--concurrency", "1") as holder:
            await at_work.wait()
            sent = box.requests.total()
            refused = await run_child(job, box)
            assert box.requests.total() == sent
            os.kill(holder.pid, signal.SIGKILL)
            await holder.ended()

        assert refused.returncode == 4
        assert f"process {holder.pid} on " in refused.stderr
        assert refused.summary["exit_code"] == 4

        finished = await run_child(job, box)
        assert finished.returncode in {0, 1}
        audit(job.ledger, box).job_is_done(job)


async def test_ledger_of_another_target_is_refused(make_job: MakeJob, box_with: BoxWith, run_child: RunChild) -> None:
    job = make_job(products=2)
    async with box_with() as box, box_with() as other:
        await run_child(job, box)
        refused = await run_child(job, other)

        assert other.requests.total() == 0
    assert refused.returncode == 4
    assert "belongs to" in refused.stderr
    assert "--ledger" in refused.stderr
