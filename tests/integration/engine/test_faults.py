"""Whatever happens to a request, the ledger ends up equal to what the platform did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.model import Action
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bulk.model import Summary
    from tests.conftest import Audit, Job

    RunJob = Callable[..., Awaitable[Summary]]
    AuditOf = Callable[[Path, Sandbox], Audit]

_SIDED = ("reset", "http500", "http502", "http503", "http504", "truncate", "html", "empty", "badjson", "nonce-used")
FAULTS = [
    *(f"{name}-{side}=33%" for name in _SIDED for side in ("before", "after")),
    "throttle=33%",
    "throttle=20%,retry-after=20ms",
    "refuse=20%",
    "create:huge-body=3x",
    "list:huge-body=3x",
    "latency=0-20ms,slow-for=50ms,slow-body=33%",
    "code:iot.system.SystemException-after=33%",
    "create:code:iot.ota.CreateOTAModuleFailure-before=33%",
    "code:iot.ota.NobodyKnowsThis=5%",
]
THIRD = (
    "latency=0-5ms,throttle=4%,reset-before=3%,reset-after=3%,http500-before=3%,http500-after=3%,http502=2%,"
    "http503=2%,http504-after=2%,truncate=3%,html=2%,empty=2%,badjson=2%,nonce-used-after=1%,nonce-used-before=1%"
)


def box_with(faults: str, *, seed: int = 0) -> Sandbox:
    plan = FaultPlan.parse(faults)
    return Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, faults=plan, seed=seed))


async def until_done(job: Job, box: Sandbox, run_job: RunJob, **settings: float) -> list[Summary]:
    """Run as an operator would: again, until nothing is left but rows without a slot."""
    summaries = [await run_job(job, box, **settings)]
    while summaries[-1].outcomes["created"] < job.provisionable() and len(summaries) < 4:
        summaries.append(await run_job(job, box, **settings))
    return summaries


def check(job: Job, box: Sandbox, summaries: list[Summary], audit: AuditOf, *, replies_in_time: bool = True) -> None:
    audited = audit(job.ledger, box)
    audited.job_is_done(job)
    audited.recovered_is_where_a_listing_proved_it(replies_in_time=replies_in_time)
    assert sum(summary.recovered for summary in summaries) == sum(row.recovered for row in audited.rows)
    for kind, action in (("list", Action.LIST), ("create", Action.CREATE)):
        unseen = sum(summary.requests[kind] for summary in summaries) - box.requests[action]
        # A request that was given up before the platform came to read it is gone with its connection.
        assert unseen == 0 if replies_in_time else unseen >= 0


async def sends_no_create(job: Job, box: Sandbox, run_job: RunJob) -> None:
    before = box.requests[Action.CREATE]
    summary = await run_job(job, box)

    assert summary.requests["create"] == 0
    assert box.requests[Action.CREATE] == before


@pytest.mark.parametrize("faults", FAULTS)
async def test_ledger_equals_the_platform_under(
    faults: str, make_job: Callable[..., Job], run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job()
    async with box_with(faults) as box:
        summaries = await until_done(job, box, run_job)

        if "refuse" in faults:
            # A connection that is reset before its request was read is no request to the platform, but one to us.
            unseen = sum(sum(summary.requests.values()) for summary in summaries) - box.requests.total()
            assert 0 <= unseen <= box.injected["refuse-before"]
            audit(job.ledger, box).job_is_done(job)
        else:
            check(job, box, summaries, audit)
        assert box.injected.total() > 0
        await sends_no_create(job, box, run_job)


@pytest.mark.parametrize("side", ["before", "after"])
async def test_reply_that_never_comes_is_asked_about(
    side: str, make_job: Callable[..., Job], run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job(products=10)
    async with box_with(f"hang-{side}=15%") as box:
        summaries = await until_done(job, box, run_job, timeout_s=0.3)

        check(job, box, summaries, audit, replies_in_time=False)
        assert box.injected.total() > 0
        await sends_no_create(job, box, run_job)


async def test_reply_that_comes_too_late_is_asked_about(
    make_job: Callable[..., Job], run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job()
    async with box_with("latency=0-200ms") as box:
        summaries = await until_done(job, box, run_job, timeout_s=0.15)

        check(job, box, summaries, audit, replies_in_time=False)
        assert sum(summary.recovered for summary in summaries) > 0
        await sends_no_create(job, box, run_job)


@pytest.mark.parametrize("seed", range(4))
async def test_ledger_equals_the_platform_when_a_third_of_all_requests_fail(
    seed: int, make_job: Callable[..., Job], run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job(products=30, seed=seed)
    async with box_with(THIRD, seed=seed) as box:
        summaries = await until_done(job, box, run_job)

        assert len(summaries) <= 2
        check(job, box, summaries, audit)
        assert box.injected.total() > 0.25 * box.requests.total()
        await sends_no_create(job, box, run_job)


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 160))
async def test_ledger_equals_the_platform_through_many_bad_nights(
    seed: int, make_job: Callable[..., Job], run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job(products=150, seed=seed)
    async with box_with(f"{THIRD},hang-before=1%,hang-after=1%", seed=seed) as box:
        summaries = await until_done(job, box, run_job, timeout_s=2.0)

        check(job, box, summaries, audit, replies_in_time=False)
        await sends_no_create(job, box, run_job)
