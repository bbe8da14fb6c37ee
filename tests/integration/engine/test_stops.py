"""What ends a run early: no row is burnt, open rows stay open, and the next run goes on."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import LedgerHeldError, LedgerTargetError
from bulk.events import AttemptMade, ClockCorrected, Event, RowSettled, RunStopping
from bulk.model import Action
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.settings import FailureCap

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any

    from bulk.model import Summary
    from bulk.sandbox import Seen
    from tests.conftest import Audit, Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]
    AuditOf = Callable[[Path, Sandbox], Audit]
    MakeJob = Callable[..., Job]

FATAL = [
    "InvalidAccessKeyId.NotFound",
    "Forbidden.RAM",
    "SignatureDoesNotMatch",
    "InvalidSecurityToken.Expired",
    "Iot.system.BillIsOverDue",
    "iot.common.RamActionPermissionDeny",
    "iot.system.InstanceNotFound",
]


def box_with(faults: str = "", *, port: int = 0, products: frozenset[str] | None = None) -> Sandbox:
    plan = FaultPlan.parse(faults)
    config = SandboxConfig(qps=0, list_qps=0, port=port, products=products, starting_world=False, faults=plan)
    return Sandbox(config)


@contextmanager
def port_where_nobody_listens() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize("action", ["list", "create"])
@pytest.mark.parametrize("code", FATAL)
async def test_account_fatal_reply_stops_at_once_and_leaves_rows_open(
    code: str, action: str, make_job: MakeJob, run_job: RunJob
) -> None:
    job = make_job(products=5)
    async with box_with(f"{action}:code:{code}=100%") as box:
        summary = await run_job(job, box, concurrency=1)

        assert box.codes[code] == 1
    assert summary.exit_code == 3
    assert summary.stopped is not None
    assert code in summary.stopped
    assert summary.outcomes["pending"] == summary.rows


async def test_run_goes_on_when_the_cause_of_a_stop_is_mended(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job()
    async with box_with("code:Forbidden.RAM=1x@60") as box:
        stopped = await run_job(job, box)
        finished = await run_job(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert stopped.exit_code == 3
    assert stopped.outcomes["failed"] == 0
    assert stopped.outcomes["pending"] > 0
    assert finished.stopped is None


@pytest.mark.parametrize("side", ["before", "after"])
async def test_redirect_is_not_followed_and_leaves_its_create_in_doubt(
    side: str, make_job: MakeJob, run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job()
    async with box_with(f"create:redirect-{side}=1x@10") as box:
        stopped = await run_job(job, box, concurrency=1)
        await run_job(job, box)

        audited = audit(job.ledger, box)
        audited.job_is_done(job)
        audited.recovered_is_where_a_listing_proved_it()
        assert box.strays == 0
    assert stopped.exit_code == 3
    assert stopped.outcomes["unknown"] == 1
    assert sum(row.recovered for row in audited.rows) == (side == "after")


async def test_unknown_product_settles_its_lane_and_the_others_go_on(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=6)
    keys = sorted({module.product_key for module in job.wanted})
    async with box_with(products=frozenset(keys[1:])) as box:
        summary = await run_job(job, box)

        asked = Counter(seen.action for seen in box.seen if seen.product_key == keys[0])
    assert asked == {Action.LIST: 1}
    assert summary.exit_code == 1
    assert summary.outcomes["failed"] == sum(module.product_key == keys[0] for module in job.wanted)


async def test_product_refused_half_way_is_not_asked_for_its_other_rows(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=1, rows=6)
    async with box_with("create:code:iot.Prod.NotProductOwner=100%@3") as box:
        summary = await run_job(job, box)

    assert summary.requests == {"list": 1, "create": 3}
    assert summary.outcomes["created"] == 2
    assert summary.outcomes["failed"] == 4


async def test_products_of_somebody_else_stop_the_run_when_it_meets_no_other(
    make_job: MakeJob, run_job: RunJob
) -> None:
    job = make_job(products=60)
    async with box_with("code:iot.common.AuthActionPermissionDeny=100%") as box:
        summary = await run_job(job, box, concurrency=4)

    assert summary.exit_code == 3
    assert summary.requests["list"] < 30
    assert summary.outcomes["pending"] > 0


async def test_storm_of_one_unknown_code_stops_the_run(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=60)
    async with box_with("create:code:iot.ota.NobodyKnowsThis=100%") as box:
        summary = await run_job(job, box, concurrency=4)

    assert summary.exit_code == 3
    assert summary.requests["create"] < 30
    assert summary.outcomes["pending"] > summary.rows / 2


async def test_max_failures_stops_the_run(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=60)
    async with box_with("create:code:iot.ota.CreateOTAModuleParamError=50%") as box:
        summary = await run_job(job, box, concurrency=4, max_failures=FailureCap(rows=10))

    assert summary.exit_code == 3
    assert 11 <= summary.outcomes["failed"] <= 15
    assert summary.stopped is not None
    assert "--max-failures" in summary.stopped


async def test_deadline_ends_the_run_and_the_next_goes_on(make_job: MakeJob, run_job: RunJob, audit: AuditOf) -> None:
    job = make_job()
    async with box_with("latency=20ms") as box:
        stopped = await run_job(job, box, concurrency=2, deadline_s=0.3)
        await run_job(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert stopped.exit_code == 3
    assert stopped.outcomes["pending"] > 0
    assert stopped.outcomes["sending"] == 0


@pytest.mark.parametrize("skew", ["+20m", "-180m"])
async def test_clock_that_is_off_is_corrected_once_and_said(
    skew: str, make_job: MakeJob, run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job()
    told: list[Event] = []
    async with box_with(f"clock-skew={skew}") as box:
        await run_job(job, box, run_with={"listener": told.append}, concurrency=1)

        audit(job.ledger, box).job_is_done(job)
        assert box.codes["InvalidTimeStamp.Expired"] == 1
    (corrected,) = [event for event in told if isinstance(event, ClockCorrected)]
    assert corrected.offset_s == pytest.approx({"+20m": 1200, "-180m": -10800}[skew], abs=2)


async def test_clock_of_many_lanes_is_corrected_once(make_job: MakeJob, run_job: RunJob, audit: AuditOf) -> None:
    job = make_job()
    told: list[Event] = []
    async with box_with("clock-skew=+20m,latency=5ms") as box:
        await run_job(job, box, run_with={"listener": told.append})

        audit(job.ledger, box).job_is_done(job)
    assert sum(isinstance(event, ClockCorrected) for event in told) == 1


@pytest.mark.parametrize("max_attempts", [2, 6])
async def test_dead_endpoint_stops_the_run_with_every_row_still_open(
    max_attempts: int, make_job: MakeJob, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.3)
    job = make_job(products=1, rows=6)
    with port_where_nobody_listens() as port:
        async with box_with() as box:
            endpoint = f"http://127.0.0.1:{port}"
            summary = await run_job(job, box, endpoint=endpoint, max_attempts=max_attempts)

    assert summary.exit_code == 3
    assert summary.stopped is not None
    assert "out of reach" in summary.stopped
    assert summary.outcomes["pending"] == summary.rows
    assert summary.requests == {"list": 0, "create": 0}


async def test_platform_that_dies_half_way_stops_the_run_and_the_next_recovers(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.3)
    job = make_job()
    async with box_with("reset-after=100%@80") as box:
        stopped = await run_job(job, box)
        box._dice._plan = FaultPlan()
        await run_job(job, box)

        audited = audit(job.ledger, box)
        audited.job_is_done(job)
        audited.recovered_is_where_a_listing_proved_it()
    assert stopped.exit_code == 3
    assert stopped.outcomes["failed"] == 0


async def test_request_that_hangs_when_the_run_stops_is_left_behind_and_recovered(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.lanes.sending._GRACE_S", 0.1)
    job = make_job()
    stop = StopSignal()

    def interrupt(seen: Seen) -> None:
        if seen.fault:
            stop.request("interrupted by Ctrl-C", exit_code=130)

    async with box_with("create:hang-after=1x@5") as box:
        watch(box, interrupt)
        stopped = await run_job(job, box, run_with={"stop": stop}, concurrency=1)
        finished = await run_job(job, box)

        audited = audit(job.ledger, box)
        audited.job_is_done(job)
        audited.recovered_is_where_a_listing_proved_it()
        assert stopped.requests["create"] + finished.requests["create"] == box.requests[Action.CREATE]
    assert stopped.exit_code == 130
    assert stopped.outcomes["sending"] > 0


async def test_stop_settles_what_is_in_flight_and_sends_nothing_new(
    make_job: MakeJob, run_job: RunJob, audit: AuditOf
) -> None:
    job = make_job(products=40)
    stop = StopSignal()
    told: list[Event] = []

    def listen(event: Event) -> None:
        told.append(event)
        if sum(isinstance(event, AttemptMade) for event in told) == 50:
            stop.request("interrupted by Ctrl-C", exit_code=130)

    async with box_with("latency=5-20ms") as box:
        stopped = await run_job(job, box, run_with={"stop": stop, "listener": listen})
        sent = box.requests.total()

        assert stopped.requests["list"] + stopped.requests["create"] == sent
        audit(job.ledger, box).promises_hold()
    assert stopped.exit_code == 130
    assert stopped.outcomes["sending"] == 0
    assert stopped.outcomes["created"] == len(box.carried_out)
    assert sum(isinstance(event, RunStopping) for event in told) == 1
    assert sum(isinstance(event, RowSettled) for event in told) > 0


async def test_stop_after_the_end_is_no_error(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=2)
    stop = StopSignal()
    async with box_with() as box:
        await run_job(job, box, run_with={"stop": stop})

        stop.request("interrupted by Ctrl-C", exit_code=130)

    assert stop.requested


async def test_ledger_in_use_is_refused_and_its_holder_named(make_job: MakeJob, run_job: RunJob, watch: Watch) -> None:
    job = make_job()
    sending = asyncio.Event()
    async with box_with("latency=20ms") as box:
        watch(box, lambda _: sending.set())
        first = asyncio.create_task(run_job(job, box, concurrency=2, deadline_s=1.0))
        await sending.wait()

        with pytest.raises(LedgerHeldError, match=r"held by run [0-9a-f]{8} \(process \d+ on .+, since 20") as raised:
            await run_job(job, box)

        await first
    assert raised.value.exit_code == 4


async def test_ledger_of_another_target_is_refused(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=2)
    async with box_with() as box, box_with() as other:
        await run_job(job, box)
        with pytest.raises(LedgerTargetError, match="belongs to") as raised:
            await run_job(job, other)

        assert other.requests.total() == 0
    assert raised.value.exit_code == 4


async def test_changed_file_that_was_not_read_is_no_success(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job(products=2, seed=3)
    small = replace(job, wanted=job.wanted[:2])
    async with box_with() as box:
        small.write()
        assert (await run_job(small, box)).exit_code == 0
        job.write()
        stop = StopSignal()
        stop.request("terminated by SIGTERM", exit_code=143)

        assert (await run_job(job, box, run_with={"stop": stop})).exit_code == 143
