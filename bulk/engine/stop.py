"""The one way to end a run early: no new request, those in flight end, everything known is settled."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["StopSignal"]


class StopSignal:
    """Asked for once, obeyed by everybody. Used on the event loop's thread; ``requested`` may be read on any."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code: int | None = None
        self._event = asyncio.Event()
        self._followers: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self.reason is not None

    def request(self, reason: str, *, exit_code: int) -> None:
        """End the run; the first reason stands.

        Args:
            reason: Why, and what to do about it, for the operator.
            exit_code: What the run exits with: 3, or 130 and 143 for signals.
        """
        if self.requested:
            return
        self.reason, self.exit_code = reason, exit_code
        self._event.set()
        for follower in self._followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> None:
        """Call ``follower`` as soon as a stop is requested; at once if it was already."""
        self._followers.append(follower)
        if self.requested:
            follower()

    @contextmanager
    def following(self, follower: Callable[[], None]) -> Iterator[None]:
        """Do as `follow` does, but only until the block ends."""
        self.follow(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    async def sleep(self, delay_s: float) -> bool:
        """Wait, but no longer than until a stop is requested; return whether it was."""
        if delay_s > 0 and not self.requested:
            try:
                async with asyncio.timeout(delay_s):
                    await self._event.wait()
            except TimeoutError:
                pass
        return self.requested
