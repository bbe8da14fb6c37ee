"""The one way to end a run early: no new request, those in flight end, everything known is settled."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from bulk.errors import BulkError, StoppedError
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

__all__ = ["StopSignal"]

_Result = TypeVar("_Result")


class StopSignal:
    """A stop is requested once, and every part obeys. Use it on the event loop's thread; read ``requested`` on any."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code: int | None = None
        self._event = asyncio.Event()
        self._followers: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether the run must end."""
        return self.reason is not None

    def request(self, reason: str, *, exit_code: int = ExitCode.STOPPED) -> None:
        """End the run; the first reason is kept.

        Args:
            reason: Why, and what to do about it, for the operator.
            exit_code: Exit code of the run; a signal has a different one.
        """
        if self.requested:
            return
        self.reason, self.exit_code = reason, exit_code
        self._event.set()
        for follower in self._followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> None:
        """Call ``follower`` as soon as a stop is requested; at once if it is already requested."""
        self._followers.append(follower)
        if self.requested:
            follower()

    def scope(self) -> StopSignal:
        """Return a signal for a part of the run. It is requested when this one is, and can also be requested alone."""
        part = StopSignal()
        self.follow(lambda: part.request(self.reason or "", exit_code=self.exit_code or ExitCode.STOPPED))
        return part

    @contextmanager
    def following(self, follower: Callable[[], None]) -> Iterator[None]:
        """Do as `follow` does, but only until the block ends."""
        self.follow(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    @contextmanager
    def after(self, deadline_s: float | None, *, hint: str = "") -> Iterator[None]:
        """Request a stop ``deadline_s`` seconds after the block began, unless it ended before; ``None``: never.

        Args:
            deadline_s: In seconds.
            hint: What to do then, added to the reason.
        """
        if deadline_s is None:
            yield
            return
        reason = f"the deadline of {deadline_s:g} s is over{hint}"
        timer = asyncio.get_running_loop().call_later(deadline_s, self.request, reason)
        try:
            yield
        finally:
            timer.cancel()

    async def unless_requested(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return what the work returns, but stop waiting when a stop is requested.

        Raises:
            StoppedError: A stop was requested first; the work is cancelled.
        """
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()
        if not working.done():
            raise StoppedError(self.reason or "", exit_code=self.exit_code or BulkError.exit_code)
        return working.result()

    async def sleep(self, delay_s: float) -> bool:
        """Wait, but at most until a stop is requested; return whether it was."""
        if delay_s > 0 and not self.requested:
            try:
                async with asyncio.timeout(delay_s):
                    await self._event.wait()
            except TimeoutError:
                pass
        return self.requested
