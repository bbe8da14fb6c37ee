"""What a plan tells before anything is sent, and that the run which follows does just that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.plan import plan
from bulk.model import Dialect, OtaModule
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bulk.engine.plan import Plan
    from bulk.model import Summary
    from tests.conftest import Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]

CONFIG = SandboxConfig(qps=0, list_qps=0, starting_world=False)


@pytest.fixture
def plan_job() -> Callable[..., Coroutine[Any, Any, Plan]]:
    async def plan_one(job: Job, box: Sandbox, *, offline: bool = False, **changes: Any) -> Plan:
        told: dict[str, Any] = {"endpoint": box.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        keys = Credentials(box.credentials.access_key_id, box.credentials.access_key_secret)
        return await plan(
            str(job.path),
            Settings(**(told | changes)),
            credentials=None if offline else StaticCredentials(keys),
            offline=offline,
        )

    return plan_one


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Return a job of two products: one asks for three modules, the other for twelve."""
    job = make_job(products=0)
    job.wanted[:] = [
        *(OtaModule("a1Small", f"m{index}", None, None) for index in range(3)),
        *(OtaModule("a1Large", f"m{index}", None, None) for index in range(12)),
    ]
    job.write()
    return job


@pytest.mark.parametrize("offline", [True, False])
async def test_plan_names_the_rows_that_lose_and_who_holds_their_slots(
    job: Job, plan_job: Callable[..., Coroutine[Any, Any, Plan]], offline: bool
) -> None:
    async with Sandbox(CONFIG) as box:
        made = await plan_job(job, box, offline=offline)

        assert not box.carried_out
    assert (made.exit_code, made.rows, made.would_create, made.already_created) == (1, 15, 13, 0)
    (full,) = made.full_products
    assert (full.product_key, full.lines, full.given_to) == ("a1Large", (15, 16), tuple(range(5, 15)))
    assert [row.line for row in made.examples] == [2, 3, 4, 15, 16]
    assert made.requests == {"list": 2, "create": 13}
    assert not job.ledger.exists()


async def test_run_does_what_the_plan_said(
    job: Job, run_job: RunJob, plan_job: Callable[..., Coroutine[Any, Any, Plan]]
) -> None:
    async with Sandbox(CONFIG) as box:
        made = await plan_job(job, box)
        summary = await run_job(job, box)

    assert dict(made.outcomes) == dict(summary.outcomes)
    assert dict(made.requests) == dict(summary.requests)


@pytest.mark.parametrize("offline", [True, False])
async def test_rows_made_already_are_told_from_rows_to_make(
    job: Job, run_job: RunJob, plan_job: Callable[..., Coroutine[Any, Any, Plan]], offline: bool
) -> None:
    async with Sandbox(CONFIG) as box:
        await run_job(job, box, limit=1)
        made = await plan_job(job, box, offline=offline)

    assert (made.would_create, made.already_created, made.outcomes["created"]) == (10, 3, 13)
    assert [(row.line, row.already) for row in made.examples if row.outcome == "created"] == [
        *((line, True) for line in (2, 3, 4)),
        *((line, False) for line in (5, 6, 7)),
    ]


@pytest.mark.parametrize("offline", [True, False])
async def test_rows_outside_the_selection_stay_pending_in_the_plan(
    job: Job, plan_job: Callable[..., Coroutine[Any, Any, Plan]], offline: bool
) -> None:
    async with Sandbox(CONFIG) as box:
        made = await plan_job(job, box, offline=offline, only=("*Small",))

    assert (made.would_create, made.outcomes["pending"], made.outside) == (3, 12, 12)
    assert (made.rows, made.exit_code, made.full_products) == (15, 1, ())
    assert [row.line for row in made.examples] == [2, 3, 4]


async def test_plan_says_when_a_run_would_end(job: Job, plan_job: Callable[..., Coroutine[Any, Any, Plan]]) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    async with Sandbox(CONFIG) as box:
        made = await plan_job(job, box, offline=True, qps=0.001)
        unlimited = await plan_job(job, box, offline=True)

    assert made.seconds == 13_000
    assert made.ends_at is not None
    ends_at = datetime.fromisoformat(made.ends_at)
    assert timedelta() <= ends_at - before - timedelta(seconds=13_000) < timedelta(minutes=1)
    assert unlimited.ends_at is None
