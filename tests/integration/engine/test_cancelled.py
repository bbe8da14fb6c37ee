"""A run inside somebody else's program: whoever cancels it finds a ledger that is closed and complete."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

import bulk
from bulk.events import RowSettled
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bulk.events import Event

ROWS = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "modules.csv"
    rows = "".join(f"a1Cancel{row // 5:03d},module-{row % 5}\n" for row in range(ROWS))
    path.write_text(f"ProductKey,ModuleName\n{rows}")
    return path


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    faults = FaultPlan.parse("latency=2-6ms")
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, faults=faults, starting_world=False)) as sandbox:
        yield sandbox


def settings_for(box: Sandbox) -> bulk.Settings:
    return bulk.Settings(endpoint=box.endpoint, qps=0, list_qps=0, concurrency=4)


def keys_of(box: Sandbox) -> bulk.StaticCredentials:
    return bulk.StaticCredentials(bulk.Credentials(box.credentials.access_key_id, box.credentials.access_key_secret))


def after_rows(count: int, act: Callable[[], None]) -> Callable[[Event], None]:
    settled = 0

    def listen(event: Event) -> None:
        nonlocal settled
        if isinstance(event, RowSettled):
            settled += 1
            if settled == count:
                act()

    return listen


async def finished_by_a_second_run(source: Path, box: Sandbox) -> None:
    with closing(sqlite3.connect(f"{source}.ledger.db")) as ledger:
        recorded = ledger.execute("SELECT count(*) FROM modules WHERE outcome IN ('created', 'sending')").fetchone()[0]
        ends = ledger.execute("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL").fetchone()[0]
    assert 10 <= recorded < ROWS
    assert ends == 1
    summary = await bulk.run(str(source), settings_for(box), credentials=keys_of(box))
    assert summary.outcomes["created"] == ROWS
    assert len(box.carried_out) == ROWS


async def test_a_run_in_an_anyio_scope_that_is_cancelled_leaves_a_complete_ledger(source: Path, box: Sandbox) -> None:
    with anyio.CancelScope() as scope:
        listener = after_rows(10, scope.cancel)
        await bulk.run(str(source), settings_for(box), credentials=keys_of(box), listener=listener)

    assert scope.cancelled_caught
    await finished_by_a_second_run(source, box)


async def test_a_credential_provider_that_times_out_is_not_taken_for_the_end(source: Path, box: Sandbox) -> None:
    class Slow:
        asked = 0

        async def current(self) -> bulk.Credentials:
            self.asked += 1
            if self.asked == 20:
                raise TimeoutError("the token service did not answer")
            return await keys_of(box).current()

    with pytest.raises(TimeoutError, match="token service"):
        await bulk.run(str(source), settings_for(box), credentials=Slow())

    await finished_by_a_second_run(source, box)


async def test_a_task_that_is_cancelled_again_and_again_leaves_a_complete_ledger(source: Path, box: Sandbox) -> None:
    def cancel_until_it_ends() -> None:
        if not task.done():
            task.cancel()
            loop.call_soon(cancel_until_it_ends)

    loop = asyncio.get_running_loop()
    listener = after_rows(10, cancel_until_it_ends)
    task = asyncio.create_task(bulk.run(str(source), settings_for(box), credentials=keys_of(box), listener=listener))
    with pytest.raises(asyncio.CancelledError):
        await task

    await finished_by_a_second_run(source, box)
