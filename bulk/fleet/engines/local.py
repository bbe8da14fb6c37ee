"""Workers as processes of this machine."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from bulk.engine.threads import in_thread
from bulk.fleet.engines import Try
from bulk.legible import legible

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["LocalEngine"]

_LAST_WORDS_BYTES = 4_096


class LocalEngine:
    """Runs each worker in its own process and session: Ctrl-C reaches the driver, which passes it on once."""

    def __init__(self, words: Sequence[str], *, processes: int, logs: Path) -> None:
        """Start nothing yet.

        Args:
            words: Arguments of `bulk fleet work`, without the shard.
            processes: How many run at once.
            logs: A folder for the workers' output.
        """
        self._words = tuple(words)
        self._processes = processes
        self._logs = logs
        self._running: set[Process] = set()

    async def slots(self) -> int:
        """See `Engine.slots`."""
        return self._processes - len(self._running)

    async def work(self, shard: int, *, attempt: str) -> Try:  # noqa: ARG002 - of the protocol: a process needs no name
        """See `Engine.work`."""
        log = self._logs / f"{shard}.log"
        with await in_thread(log.open, "ab") as said:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bulk", "fleet", "work", *self._words, "--shard", str(shard)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._running.add(process)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            self._running.discard(process)
        if code < 0:
            return Try(exit_code=None, why=f"its process was ended by {signal.Signals(-code).name}; see {log}")
        return Try(exit_code=code, why=await in_thread(_last_line, log) if code else "")

    async def ask_to_end(self) -> None:
        """See `Engine.ask_to_end`."""
        for process in self._running:
            _signal(process, signal.SIGTERM)

    async def close(self) -> None:
        """Stop watching: workers that still run continue, and keep their leases until they end."""


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _LAST_WORDS_BYTES))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error: ")]
    return legible((errors or lines or [f"see {log}"])[-1].removeprefix("Error: "))
