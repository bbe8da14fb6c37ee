"""Blocking work in threads that never outlives the task that waits for it.

A cancelled task continues at once, but the thread that it waited for still runs. If the task then closed what the
thread uses, it would close a ledger in the middle of a commit. So here a cancellation is raised only when the thread
has ended, no matter how often it is repeated. A user's program may cancel our task many times, and an anyio scope
cancels every wait until it is left.
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
    """Like `in_thread`, for work that takes long: when cancelled, call ``interrupt`` to make the work end early."""
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

    It is also closed if the task was cancelled before it was open.
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
    """When the block ends, close what is open, in a thread; a cancellation is still raised if closing fails."""
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
    """Enter and leave a block in threads: both may take long. Leaving depends on how the block ended."""
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

    A cancellation in the meantime is raised afterwards; its cause is what the work raised.
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
    # A future, not a task: a loop that shuts down cancels every task, which would look like the end of the work.
    return asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
