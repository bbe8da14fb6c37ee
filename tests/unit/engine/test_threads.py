"""Threads here wait for a word of the test, so what a cancellation meets is the same each time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from bulk.engine.threads import held, in_thread, interruptible, until_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_S = 10


class Work:
    """Blocking work that ends when it is told to; like a ledger, it is closed once."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = False
        self.closed = 0

    def __call__(self) -> Work:
        self.begun.set()
        assert self.may_end.wait(LONGEST_S)
        self.ended = True
        return self

    def fail(self) -> None:
        self()
        raise ValueError("the disk is full")

    def close(self) -> None:
        assert self.ended
        self.closed += 1


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()  # a test that failed must not leave its thread behind


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[object], *, times: int = 4) -> None:
    for _ in range(times):
        task.cancel()
        await turns()


async def test_what_the_work_returns_or_raises_comes_out() -> None:
    assert await in_thread(int, "12") == 12
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "twelve")


async def test_a_cancellation_is_raised_when_the_work_has_ended(work: Work) -> None:
    task: asyncio.Task[object] = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(work.begun.wait, LONGEST_S)

    await cancelled(task)
    assert not task.done()

    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


@pytest.mark.parametrize("times", [1, 4])
async def test_what_the_work_raised_is_the_cause_of_a_cancellation_that_waited_for_it(work: Work, times: int) -> None:
    task: asyncio.Task[object] = asyncio.ensure_future(in_thread(work.fail))
    await asyncio.to_thread(work.begun.wait, LONGEST_S)
    await cancelled(task, times=times)

    work.may_end.set()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert "the disk is full" in str(caught.value.__cause__)


async def test_a_scope_of_anyio_that_is_cancelled_waits_too(work: Work) -> None:
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_later(0, scope.cancel)
        await interruptible(work, interrupt=work.may_end.set)

    assert scope.cancelled_caught
    assert work.ended


async def test_work_that_takes_long_is_interrupted(work: Work) -> None:
    task: asyncio.Task[object] = asyncio.ensure_future(interruptible(work, interrupt=work.may_end.set))
    await asyncio.to_thread(work.begun.wait, LONGEST_S)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


async def test_what_is_held_is_closed_when_the_block_ends(work: Work) -> None:
    work.may_end.set()

    async with held(work) as opened:
        assert opened is work
        assert work.closed < 1

    assert work.closed == 1


async def test_a_cancellation_stays_one_though_closing_fails(work: Work) -> None:
    async def hold() -> None:
        async with held(work):
            await asyncio.Event().wait()

    task: asyncio.Task[object] = asyncio.ensure_future(hold())
    work.may_end.set()
    await asyncio.to_thread(work.begun.wait, LONGEST_S)
    while not work.ended:
        await turns()
    work.ended = False  # closing it now fails
    await cancelled(task, times=1)

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, AssertionError)


async def test_what_could_not_be_opened_is_not_closed(work: Work) -> None:
    work.may_end.set()

    with pytest.raises(ValueError, match="the disk is full"):
        async with held(work.fail):  # type: ignore[type-var] # it never returns
            pytest.fail("it is not open")

    assert not work.closed


async def test_what_was_opened_after_a_cancellation_is_closed(work: Work) -> None:
    async def hold() -> None:
        async with held(work):
            pytest.fail("its task was cancelled")

    task: asyncio.Task[object] = asyncio.ensure_future(hold())
    await asyncio.to_thread(work.begun.wait, LONGEST_S)
    await cancelled(task)

    work.may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.closed == 1


async def test_what_failed_to_open_after_a_cancellation_is_its_cause_and_is_not_closed(work: Work) -> None:
    async def hold() -> None:
        async with held(work.fail):  # type: ignore[type-var] # it never returns
            pytest.fail("it is not open")

    task: asyncio.Task[object] = asyncio.ensure_future(hold())
    await asyncio.to_thread(work.begun.wait, LONGEST_S)
    await cancelled(task, times=1)

    work.may_end.set()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, ValueError)
    assert not work.closed


async def test_a_loop_that_shuts_down_does_not_take_its_work_for_ended(work: Work) -> None:
    task: asyncio.Task[object] = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(work.begun.wait, LONGEST_S)

    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        each.cancel()
    await turns()

    assert not task.done()
    work.may_end.set()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_task_that_was_cancelled_itself_has_ended() -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()

    assert await until_ended(task) is None

    assert task.cancelled()
