"""How all rows stand is announced once they are counted; where they are many, requests don't wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError
from bulk.events import AttemptMade, Event, RunEnded, RunStarted
from bulk.ledger.lanes import LaneReader
from bulk.ledger.views.snapshot import Snapshot
from bulk.ledger.views.status import count_outcomes
from bulk.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine

    from bulk.model import Summary
    from tests.conftest import Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]

CONFIG = SandboxConfig(qps=0, list_qps=0, starting_world=False)


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    return make_job(products=3)


async def test_a_few_rows_are_counted_before_the_first_request(job: Job, run_job: RunJob) -> None:
    told: list[Event] = []
    async with Sandbox(CONFIG) as box:
        await run_job(job, box, run_with={"listener": told.append})

    kinds = [type(event) for event in told]
    assert kinds.index(RunStarted) < kinds.index(AttemptMade)


async def test_requests_do_not_wait_for_rows_that_take_long_to_count(
    job: Job, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    answered = threading.Event()
    count = Snapshot.outcomes

    def listen(event: Event) -> None:
        told.append(event)
        if isinstance(event, AttemptMade):
            answered.set()

    def count_late(snapshot: Snapshot) -> dict[str, int]:
        assert answered.wait(10)
        return count(snapshot)

    monkeypatch.setattr(Snapshot, "outcomes", count_late)
    async with Sandbox(CONFIG) as box:
        summary = await run_job(job, box, run_with={"listener": listen})

    kinds = [type(event) for event in told]
    assert kinds.index(AttemptMade) < kinds.index(RunStarted) < kinds.index(RunEnded)
    (started,) = (event for event in told if isinstance(event, RunStarted))
    assert started.outcomes["created"] == 0  # as they stood before the first request
    assert summary.outcomes["created"] == sum(summary.outcomes.values())


@pytest.mark.parametrize(
    ("earlier", "changes"),
    [
        pytest.param(True, {}, id="all done"),
        pytest.param(False, {"only": ("no-such-*",)}, id="none selected"),
    ],
)
async def test_rows_are_counted_once_where_nothing_is_to_be_sent(
    job: Job, run_job: RunJob, monkeypatch: pytest.MonkeyPatch, *, earlier: bool, changes: dict[str, Any]
) -> None:
    counts: list[dict[str, int]] = []

    def count(connection: sqlite3.Connection) -> dict[str, int]:
        counts.append(count_outcomes(connection))
        return counts[-1]

    async with Sandbox(CONFIG) as box:
        if earlier:
            await run_job(job, box)
        monkeypatch.setattr("bulk.ledger.views.snapshot.count_outcomes", count)
        monkeypatch.setattr("bulk.ledger.store.count_outcomes", count)
        summary = await run_job(job, box, **changes)

    assert counts == [summary.outcomes]
    assert sum(summary.requests.values()) == 0
    assert summary.outcomes["created" if earlier else "pending"] == summary.rows > 0


async def test_rows_that_cannot_be_counted_end_the_run(
    job: Job, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Snapshot) -> dict[str, int]:
        raise LedgerError("the disk failed")

    monkeypatch.setattr(Snapshot, "outcomes", refuse)
    async with Sandbox(CONFIG) as box:
        with pytest.raises(LedgerError, match="the disk failed"):
            await run_job(job, box)


async def test_a_run_that_breaks_off_does_not_wait_for_the_count(
    job: Job, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    told: list[Event] = []

    def count_for_ever(snapshot: Snapshot) -> dict[str, int]:
        snapshot._connection.execute(endless)
        return {}

    def break_off(_reader: LaneReader, _products: int) -> None:
        raise LedgerError("the lanes can't be read")

    monkeypatch.setattr(Snapshot, "outcomes", count_for_ever)
    monkeypatch.setattr(LaneReader, "next_lanes", break_off)
    async with Sandbox(CONFIG) as box:
        with pytest.raises(LedgerError, match="the lanes can't be read"):
            await run_job(job, box, run_with={"listener": told.append})

    assert not any(isinstance(event, RunStarted) for event in told)
