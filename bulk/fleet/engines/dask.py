"""Workers as Dask tasks, each pinned to one Dask worker: so Dask does not queue, steal or repeat anything.

A task that Dask believes dead may continue: the lease makes that safe. A task that waits for a lease waits in its
worker's thread.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bulk.fleet.engines import Try

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Client, Future

__all__ = ["DaskEngine"]

_LOOKED_EVERY_S = 0.5
_SILENT_S = 15.0
"""A Dask worker that has not reported for this long may be stopped: another gets its shard, and it gets no new one."""

_ANSWER_S = 5.0


class DaskEngine:
    """Runs one shard at a time on each Dask worker."""

    def __init__(self, address: str, task: Callable[[str], str], words: Sequence[str], *, ended_by: str) -> None:
        """Connect to nothing yet.

        Args:
            address: Address of the scheduler.
            task: Function that a worker calls in its thread; text in, text out.
            words: Arguments of `bulk fleet work`, without the shard.
            ended_by: Name in the store under which the driver asks workers to end.
        """
        self._address = address
        self._task = task
        self._words = tuple(words)
        self._ended_by = ended_by
        self._client: Client | None = None
        self._seen: dict[str, tuple[float, float]] = {}
        """Address of a worker → its last report by the scheduler's clock, and when this process first saw it."""

        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._busy: set[str] = set()

    async def slots(self) -> int:
        """See `Engine.slots`."""
        await self._look()
        return len(self._free())

    async def work(self, shard: int, *, attempt: str) -> Try:
        """See `Engine.work`."""
        free, client = self._free(), self._client
        if not free or client is None:
            return Try(exit_code=None, why="no worker of Dask is free", counts=False)
        worker = free[0]
        text = json.dumps({"words": [*self._words, "--shard", str(shard)], "ended_by": self._ended_by})
        self._busy.add(worker)
        try:
            future = client.submit(self._task, text, key=f"bulk-{attempt}", workers=[worker], retries=0, pure=False)
            return await self._until_ended(future, worker, client)
        finally:
            self._busy.discard(worker)

    async def ask_to_end(self) -> None:
        """See `Engine.ask_to_end`: the driver writes to the store, where each worker looks."""

    async def close(self) -> None:
        """Disconnect from the scheduler."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # the scheduler may be gone
                async with asyncio.timeout(_ANSWER_S):
                    await client.close()  # type: ignore[no-untyped-call]  # distributed's

    async def _until_ended(self, future: Future[Any], worker: str, client: Client) -> Try:
        waiting = asyncio.ensure_future(future.result())
        try:
            while not (await asyncio.wait([waiting], timeout=_LOOKED_EVERY_S))[0]:
                await self._look()
                if client is not self._client:
                    return Try(exit_code=None, why="Dask's scheduler is gone", counts=False)
                if not self._reports(worker):
                    return Try(exit_code=None, why=f"Dask lost its worker {worker}")
            return _told(waiting)
        finally:
            if not waiting.done() and worker in self._seen:
                self._seen[worker] = self._seen[worker][0], float("-inf")  # no new shard until it reports again
            waiting.cancel()
            future.release()  # type: ignore[no-untyped-call]  # distributed's

    def _free(self) -> list[str]:
        return [worker for worker in self._seen if worker not in self._busy and self._reports(worker)]

    def _reports(self, worker: str) -> bool:
        return worker in self._seen and time.monotonic() - self._seen[worker][1] < _SILENT_S

    async def _look(self) -> None:
        """Find out which workers exist, and connect again if the scheduler was gone."""
        async with self._looking:
            if time.monotonic() - self._looked_at < _LOOKED_EVERY_S:
                return
            try:
                async with asyncio.timeout(_ANSWER_S):
                    scheduler: Any = (await self._connected()).scheduler
                    found = await scheduler.identity(n_workers=-1)
            except Exception:  # noqa: BLE001 - Dask raises its own, tornado's and OSError alike
                self._seen = {}
                await self.close()
            else:
                self._note(found["workers"])
            self._looked_at = time.monotonic()

    async def _connected(self) -> Client:
        from distributed import Client  # noqa: PLC0415 - an extra, and it takes 0.3 s

        if self._client is None:
            self._client = await Client(  # type: ignore[no-untyped-call]  # distributed's
                self._address, asynchronous=True, set_as_default=False, timeout=_ANSWER_S
            )
        return self._client

    def _note(self, workers: dict[str, Any]) -> None:
        now = time.monotonic()
        for worker in self._seen.keys() - workers.keys():
            del self._seen[worker]
        for worker, said in workers.items():
            if worker not in self._seen or self._seen[worker][0] != said["last_seen"]:
                self._seen[worker] = said["last_seen"], now


def _told(waiting: asyncio.Future[Any]) -> Try:
    if waiting.cancelled():
        return Try(exit_code=None, why="Dask cancelled its task", counts=False)
    if error := waiting.exception():
        lost = "Cancelled" in type(error).__name__
        return Try(exit_code=None, why=f"{type(error).__name__}: {error}", counts=not lost)
    said = json.loads(waiting.result())
    return Try(exit_code=said["exit_code"], why=said["stopped"] or "")
