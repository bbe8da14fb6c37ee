"""Blocking work in threads that never outlives who waits for it.

A cancelled task goes on at once, the thread that it waited for does not end. Whoever then closed what the thread uses
would pull a ledger from under a commit: so here a cancellation is raised when the thread has ended, however often it
is repeated. A user's program may cancel our task many times, and an anyio scope cancels every wait until it is left.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import anyio

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

__all__ = ["closed_in_thread", "entered", "held", "in_thread", "interruptible", "until_ended"]


class _Closable(Protocol):
    def close(self) -> None: ...


_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")
_Entered = TypeVar("_Entered")
_Held = TypeVar("_Held", bound=_Closable)


async def in_thread(
    work: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
) -> _Result:
    """Return what the work returns, or raise what it raises, once it has ended; a cancellation waits for that too."""
    return await interruptible(partial(work, *args, **kwargs), interrupt=lambda: None)


async def interruptible(work: Callable[[], _Result], *, interrupt: Callable[[], None]) -> _Result:
    """Do as `in_thread` does, for work that takes long: call ``interrupt`` when cancelled, to make it end early."""
    working = _started(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError as cancelled:
        interrupt()
        raise cancelled from await until_ended(working)


@asynccontextmanager
async def held(
    open_: Callable[_Parameters, _Held], *args: _Parameters.args, **kwargs: _Parameters.kwargs
) -> AsyncIterator[_Held]:
    """Open something in a thread, and close it in a thread when the block ends.

    It is closed also where it was opened only after the task that asked for it had been cancelled.
    """
    opening = _started(partial(open_, *args, **kwargs))
    try:
        await until_ended(opening)
    except asyncio.CancelledError:
        if opening.exception() is None:
            async with closed_in_thread(opening.result()):
                raise
        raise
    async with closed_in_thread(opening.result()) as opened:
        yield opened


@asynccontextmanager
async def closed_in_thread(opened: _Held) -> AsyncIterator[_Held]:
    """Close in a thread what is open when the block ends; a cancellation stays one, also where closing fails."""
    cancelled: asyncio.CancelledError | None = None
    try:
        yield opened
    except asyncio.CancelledError as exc:
        cancelled = exc
        raise
    finally:
        failure = await until_ended(_started(opened.close))
        if failure and cancelled:
            raise cancelled from failure
        if failure:
            raise failure


@asynccontextmanager
async def entered(block: AbstractContextManager[_Entered]) -> AsyncIterator[_Entered]:
    """Enter and leave a block in threads: both may take long, and what leaving does depends on how the block ended."""
    value = await in_thread(block.__enter__)
    try:
        yield value
    except BaseException as exc:
        await in_thread(block.__exit__, type(exc), exc, exc.__traceback__)
        raise
    else:
        await in_thread(block.__exit__, None, None, None)


async def until_ended(work: Future[Any]) -> BaseException | None:
    """Wait until the work has ended, and return what it raised, if anything.

    A cancellation meanwhile is raised then, caused by what the work raised.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError as exc:
                cancelled = exc
    failure = None if work.cancelled() else work.exception()
    if cancelled:
        raise cancelled from failure
    return failure


def _started(work: Callable[[], _Result]) -> Future[_Result]:
    # A future, not a task: a loop that shuts down cancels every task, and would take this for an end of the work.
    return asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
