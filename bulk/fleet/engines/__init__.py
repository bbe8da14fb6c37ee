"""Engines start, place and watch workers. Correctness does not depend on them: the lease ensures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Engine", "Try"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """How a worker ended."""

    exit_code: int | None
    """Exit code of `bulk fleet work`; ``None``: the worker died, or the engine lost it."""

    why: str = ""
    """Its last message, or what happened to it; empty: it completed."""

    counts: bool = True
    """False: the engine itself failed, which says nothing about the shard."""


class Engine(Protocol):
    """Runs `bulk fleet work` somewhere."""

    async def slots(self) -> int:
        """Return how many more workers can be started now; 0: none yet. Never raises."""
        ...

    async def work(self, shard: int, *, attempt: str) -> Try:
        """Start a worker on a shard, and return how it ended; when cancelled, leave the worker without waiting.

        Args:
            shard: Number of the shard.
            attempt: Name of the try. Drivers that see the same store use the same name; it changes after each try.
        """
        ...

    async def ask_to_end(self) -> None:
        """Ask all workers to finish cleanly, if the engine can reach them; the driver waits for them."""
        ...
