"""An outage in the middle of a run, whatever its form: no row is given up, and what a stop leaves stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.model import Action
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from bulk.model import Summary
    from tests.conftest import Audit, Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]
    AuditOf = Callable[[Path, Sandbox], Audit]
    MakeJob = Callable[..., Job]

FORMS = ["http500", "http502", "http503", "http504", "html", "empty", "badjson", "truncate", "reset"]
BUSY = ["code:iot.system.SystemException", "create:code:iot.ota.CreateOTAModuleFailure"]


def box_with(faults: str) -> Sandbox:
    plan = FaultPlan.parse(faults)
    return Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, faults=plan))


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("form", [*FORMS, *BUSY])
async def test_run_outlasts_an_outage(form: str, side: str, make_job: MakeJob, run_job: RunJob, audit: AuditOf) -> None:
    job = make_job()
    async with box_with(f"{form}-{side}=40x@50") as box:
        summary = await run_job(job, box, concurrency=8)

        audited = audit(job.ledger, box)
        audited.job_is_done(job)
        audited.recovered_is_where_a_listing_proved_it()
        assert box.injected.total() >= 20
    assert summary.stopped is None
    assert summary.outcomes["created"] == job.provisionable()


@pytest.mark.parametrize("form", [*FORMS, "create:http503", "list:http502", "create:html-before"])
async def test_outage_that_lasts_stops_the_run_and_the_next_goes_on(
    form: str, make_job: MakeJob, run_job: RunJob, audit: AuditOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.3)
    job = make_job(products=30)
    async with box_with(f"{form}=100%@20") as box:
        stopped = await run_job(job, box)
        in_the_outage = box.injected.total()
        box._dice._plan = FaultPlan()
        finished = await run_job(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert stopped.exit_code == 3
    assert "out of reach" in (stopped.stopped or "")
    assert stopped.outcomes["failed"] == 0
    assert finished.stopped is None
    # Unpaced, 64 lanes would have asked some thousand times.
    assert in_the_outage < 250


async def test_action_that_is_down_is_named(
    make_job: MakeJob, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.1)
    async with box_with("create:http503=100%@20") as box:
        stopped = await run_job(make_job(), box, concurrency=8)

    assert f"out of reach for {Action.CREATE}" in (stopped.stopped or "")
    assert "ServiceUnavailable" in (stopped.stopped or "")


async def test_late_replies_of_creates_that_are_carried_out_are_no_outage(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.0)
    job = make_job()
    async with box_with("create:http504-after=100%") as box:
        summary = await run_job(job, box, concurrency=1)

        audit(job.ledger, box).job_is_done(job)
    assert summary.stopped is None
    assert summary.recovered == job.provisionable()


async def test_requests_that_are_always_late_leave_within_the_rate(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sessions.gate.LATE_S", -1.0)
    job = make_job(products=8)
    async with Sandbox(SandboxConfig(qps=50, list_qps=50, starting_world=False)) as box:
        summary = await run_job(job, box, qps=50, list_qps=50)

        audit(job.ledger, box).job_is_done(job)
    assert summary.exit_code in {0, 1}
    assert summary.throttled <= 1
