"""`--limit` and `--only` try a few products, and leave the rows of the others for another run."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from sqlite3 import connect
from typing import TYPE_CHECKING

import pytest

from bulk.engine.conclude import summary_json
from bulk.engine.stop import StopSignal
from bulk.events import Event, RunStarted
from bulk.model import OtaModule
from bulk.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from bulk.model import Summary
    from tests.conftest import Audit, Job

    RunJob = Callable[..., Coroutine[Any, Any, Summary]]

CONFIG = SandboxConfig(qps=0, list_qps=0, starting_world=False)


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Return a job of two rows a product, whose keys differ in letter case only."""
    job = make_job(products=0)
    job.wanted[:] = [OtaModule(key, name, None, None) for name in ("a", "b") for key in ("Lamp1", "lamp1", "Plug1")]
    job.write()
    return job


@pytest.mark.parametrize(
    ("selection", "tried"),
    [
        ({"limit": 2}, {"Lamp1", "lamp1"}),
        ({"limit": 9}, {"Lamp1", "lamp1", "Plug1"}),
        ({"only": ("Lamp*",)}, {"Lamp1"}),
        ({"only": ("?lug1", "lamp1")}, {"lamp1", "Plug1"}),
        ({"only": ("*1",), "limit": 1}, {"Lamp1"}),
        ({"only": ("nothing",)}, set()),
    ],
)
async def test_only_selected_products_are_asked_for(
    job: Job, run_job: RunJob, selection: dict[str, Any], tried: set[str]
) -> None:
    told: list[Event] = []
    async with Sandbox(CONFIG) as box:
        summary = await run_job(job, box, run_with={"listener": told.append}, **selection)

        assert {seen.product_key for seen in box.seen} == tried
    assert (summary.outcomes["created"], summary.outcomes["pending"]) == (2 * len(tried), 6 - 2 * len(tried))
    assert summary.exit_code == (0 if len(tried) == 3 else 1)
    assert summary.stopped is None
    assert [event.outside for event in told if isinstance(event, RunStarted)] == [6 - 2 * len(tried)]


async def test_next_try_takes_the_next_products_and_a_run_without_limit_the_rest(
    job: Job, run_job: RunJob, audit: Callable[[Path, Sandbox], Audit]
) -> None:
    async with Sandbox(CONFIG) as box:
        counts = [(await run_job(job, box, **selection)).outcomes["created"] for selection in ({"limit": 1},) * 2]
        whole = await run_job(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert counts == [2, 4]
    assert (whole.exit_code, whole.outcomes["created"]) == (0, 6)


async def test_ledger_keeps_the_summary_in_the_form_that_the_caller_gives_it(job: Job, run_job: RunJob) -> None:
    stop = StopSignal()
    stop.request("interrupted by Ctrl-C", exit_code=130)
    to_json = partial(summary_json, resume="the same")
    async with Sandbox(CONFIG) as box:
        summary = await run_job(job, box, run_with={"stop": stop, "to_json": to_json}, limit=2)

    with closing(connect(job.ledger)) as connection:
        ((kept,),) = connection.execute("SELECT summary FROM runs").fetchall()
    assert summary.exit_code == 130
    assert kept == to_json(summary).decode()
