"""Engines start, place and watch workers. Nothing that is right depends on them: that is the lease's part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Engine", "Try"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """How a worker ended."""

    exit_code: int | None
    """As `bulk fleet work` ends; ``None``: it died, or the engine lost it."""

    why: str = ""
    """What it said last, or what became of it; empty: it went through."""

    counts: bool = True
    """False: the engine itself failed, which says nothing of the shard."""


class Engine(Protocol):
    """Runs `bulk fleet work` somewhere."""

    async def slots(self) -> int:
        """Return how many more workers can be started now; 0: none yet. Never raises."""
        ...

    async def work(self, shard: int, *, attempt: str) -> Try:
        """Start a worker on a shard, and return how it ended; when cancelled, give it up without waiting.

        Args:
            shard: Its number.
            attempt: The same for drivers that see the same store, another one after each try.
        """
        ...

    async def ask_to_end(self) -> None:
        """Let all workers end in order, if the engine can reach them; they are waited for elsewhere."""
        ...
