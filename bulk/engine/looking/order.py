"""Do the same work for many items in parallel and return the results in order; end all of it when a stop comes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from bulk.errors import StoppedError
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable

    from bulk.engine.stop import StopSignal

__all__ = ["in_order", "side_by_side", "until_stopped"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def in_order(
    items: Iterable[_Item], work: Callable[[_Item], Coroutine[Any, Any, _Result]], *, ahead: int
) -> AsyncGenerator[_Result, None]:
    """Yield what the work returns for each item, in their order, with a limit on parallel work."""
    waiting: deque[asyncio.Task[_Result]] = deque()
    try:
        for item in items:
            waiting.append(asyncio.create_task(work(item)))
            if len(waiting) >= ahead:
                yield await waiting[0]
                waiting.popleft()
        while waiting:
            yield await waiting[0]
            waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def side_by_side(works: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Return all results, in their order; the first error ends the other works and is raised unchanged."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        # One error ended the others: the operator needs its message, not that of a group.
        raise _first_of(errors) from None
    return [task.result() for task in tasks]


async def until_stopped(
    work: Awaitable[_Result], stop: StopSignal, *, consequence: str, deadline_s: float | None = None
) -> _Result:
    """Return what the work returns. For work that only reads: a stop ends it at once, also between two requests.

    Args:
        work: Cancelled by a stop.
        stop: The signal.
        consequence: What a stop means for the result; added to its reason.
        deadline_s: Seconds after which a stop is requested automatically; ``None``: never.

    Raises:
        StoppedError: The stop came first.
    """
    task = asyncio.ensure_future(work)

    def cancel() -> None:
        task.cancel()

    try:
        with stop.after(deadline_s), stop.following(cancel):
            return await task
    except (asyncio.CancelledError, StoppedError):
        me = asyncio.current_task()
        if not stop.requested or (me is not None and me.cancelling()):
            raise
        reason = f"{stop.reason}; {consequence}"
        raise StoppedError(reason, exit_code=stop.exit_code or ExitCode.STOPPED) from None


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
