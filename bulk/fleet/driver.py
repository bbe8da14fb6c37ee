"""Drive a fleet: give each shard to an engine until it is done, or until further tries are useless.

A driver keeps no state: what is done is in the store. If a driver dies, you can start another one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.engine.conclude import gravest
from bulk.exits import ExitCode
from bulk.fleet.holding import latest_fence
from bulk.fleet.progress import GivenUp, Shards, ShardState, failed_name, outcomes_of, read_shards
from bulk.fleet.stillness import Stillness
from bulk.fleet.store import Outage

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Callable, Mapping

    from bulk.engine.stop import StopSignal
    from bulk.fleet.engines import Engine, Try
    from bulk.fleet.manifest import Manifest
    from bulk.fleet.store import Store

__all__ = ["FleetLook", "FleetSummary", "drive", "ended_name"]

MOST_TRIES = 5
"""Consecutive tries without a provisioned row. Then the shard is given up and named; the others continue."""

_FINISHED = frozenset({ExitCode.DONE, ExitCode.INCOMPLETE})
_ASKED_EVERY_S = 0.2
_LONGEST_PAUSE_S = 5.0
_PATIENCE_S = 60.0
"""How long an engine may be out of reach, or have no worker."""

_END_S = 15.0
"""How long workers may take to end after a request; the driver does not wait for them any longer."""

_ENDING_S = 2.0
"""How long a worker may take to end once the store has its last word; then the driver stops waiting for it."""

_NO_WORKER = "the engine has had no worker for {:g} s: start some, and run the same command again to go on"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLook:
    """State of a fleet at one moment."""

    manifest: Manifest
    shards: Shards
    working: tuple[int, ...]
    """Shards that the engine is working on."""

    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSummary:
    """State of a fleet when its driver ends. Its fields are the keys of the JSON."""

    store: str
    input: str
    rows: int
    outcomes: Mapping[str, int]
    """Outcomes in all shards; rows that no shard reports are ``pending``."""

    shards: Mapping[str, int]
    """``done``, ``incomplete``, ``failed`` and ``left`` → number of shards."""

    failed: Mapping[str, str]
    """Shard that was given up → how its last try ended."""

    elapsed_s: float
    exit_code: int
    stopped: str | None


async def drive(
    store: Store,
    manifest: Manifest,
    engine: Engine,
    *,
    url: str,
    stop: StopSignal,
    ended_by: str,
    show: Callable[[FleetLook], None] = lambda _: None,
) -> FleetSummary:
    """Work on all shards that are not done, and return their state.

    Args:
        store: The fleet's store.
        manifest: The manifest in the store.
        engine: Starts workers.
        url: The store's URL, for the summary.
        stop: Ends it early: workers are asked to finish cleanly.
        ended_by: Name in the store for that request, if the engine can't reach its workers.
        show: Called every few seconds.
    """
    driver = _Driver(store, manifest, engine, stop, ended_by, show)
    await driver.run()
    return await driver.conclude(url)


@dataclass(slots=True)
class _Shard:
    """What this driver knows about a shard."""

    number: int
    vain: int = 0
    """Consecutive tries without progress."""

    tries: int = 0
    fence: int = 0
    """The highest fence before the last try, or before this driver: reports under a later fence are new."""

    provisioned: int = 0
    not_before_s: float = 0.0
    exit_code: int | None = None
    """Exit code of a completed try, as its engine or the store says."""

    is_ending: bool = False
    """True: the store says that it is done, and the driver waits for its worker to end."""

    failed: str | None = None


@dataclass
class _Driver:
    store: Store
    manifest: Manifest
    engine: Engine
    stop: StopSignal
    ended_by: str
    show: Callable[[FleetLook], None]
    _shards: dict[int, _Shard] = field(init=False)
    _waiting: deque[_Shard] = field(init=False, default_factory=deque)
    _running: dict[Task[Try], _Shard] = field(init=False, default_factory=dict)
    _seen: Shards = field(init=False, default_factory=lambda: Shards({}, {}))

    def __post_init__(self) -> None:
        self._began_at = self._had_worker_at = _now_s()
        self._shards = {shard.number: _Shard(shard.number) for shard in self.manifest.shards}
        self._stillness = Stillness(self.store, self.manifest.terms)
        self._ended = False

    async def run(self) -> None:
        """Assign all shards, and wait for them."""
        await self._look()
        for shard in self._shards.values():
            progress = self._seen.progress.get(shard.number)
            shard.provisioned = progress.provisioned if progress else 0
            shard.fence = progress.fence if progress else 0
            if progress and progress.state is ShardState.ENDED and progress.exit_code == ExitCode.DONE:
                shard.exit_code = ExitCode.DONE
            else:
                self._waiting.append(shard)
        async with self._looking():
            try:
                while (self._waiting and not self.stop.requested) or self._running:
                    await self._turn()
            finally:
                await self._leave()

    async def _turn(self) -> None:
        """Start the tries that can be started, and process those that have ended."""
        if self.stop.requested:
            await self._end_all()
        else:
            await self._start()
        if self._running:
            done, _ = await asyncio.wait(self._running, timeout=_ASKED_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                await self._take(one, self._running.pop(one))
        else:
            await self.stop.sleep(_ASKED_EVERY_S)

    async def _start(self) -> None:
        now = _now_s()
        self._waiting = deque(shard for shard in self._waiting if shard.exit_code is None)
        slots = await self.engine.slots() if self._waiting else 0
        if slots or self._running or not self._waiting:
            self._had_worker_at = now
        elif now - self._had_worker_at > _PATIENCE_S:
            self.stop.request(_NO_WORKER.format(_PATIENCE_S))
            return
        ready = [shard for shard in self._waiting if shard.not_before_s <= now][: max(0, slots)]
        for shard in ready:
            self._waiting.remove(shard)
            shard.fence = await latest_fence(self.store, shard.number)
            attempt = f"{self.manifest.split}-{shard.number}-{shard.fence}-{shard.vain}"
            self._stillness.begin(shard.number, shard.fence)
            self._running[asyncio.create_task(self.engine.work(shard.number, attempt=attempt))] = shard
            await asyncio.sleep(0)  # it takes its slot

    async def _take(self, task: Task[Try], shard: _Shard) -> None:
        """Process a try that ended."""
        self._stillness.end(shard.number)
        why, code, counts = _told(task)
        shard.tries += counts
        await self._look()
        if shard.exit_code is not None:
            return
        if code == ExitCode.DONE:
            shard.exit_code = code
            return
        # Python itself ends with 1 where it can't start a worker: whether rows are left, only the store can say.
        if self.stop.requested:
            return
        progress = self._seen.progress.get(shard.number)
        provisioned = progress.provisioned if progress else 0
        has_moved, shard.provisioned = provisioned > shard.provisioned, max(provisioned, shard.provisioned)
        shard.vain = 0 if has_moved else shard.vain + counts
        if shard.vain >= MOST_TRIES:
            told = progress.stopped if progress and progress.fence > shard.fence else None
            await self._give_up(shard, told or why)
            return
        shard.not_before_s = _now_s() + min(_ASKED_EVERY_S * 2**shard.vain, _LONGEST_PAUSE_S)
        if shard.vain <= 1:
            shard.not_before_s = 0.0
        self._waiting.append(shard)

    async def _give_up(self, shard: _Shard, why: str) -> None:
        shard.failed = why
        fence = await latest_fence(self.store, shard.number)
        left = GivenUp(shard=shard.number, fence=fence, tries=shard.tries, why=why, at=time.time())
        await self.store.overwrite(failed_name(shard.number), left.encoded())

    async def _end_all(self) -> None:
        if self._ended:
            return
        self._ended = True
        asyncio.get_running_loop().call_later(_END_S, self._cancel_all)
        await self.engine.ask_to_end()
        await self.store.overwrite(self.ended_by, b"{}")

    def _cancel_all(self) -> None:
        for task in self._running:
            task.cancel()

    async def _leave(self) -> None:
        self._cancel_all()
        if self._running:
            await asyncio.wait(self._running)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        """Read the store every few seconds: to show progress, and to find workers that no longer do anything."""
        looking = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])
        if not looking.cancelled():
            looking.result()

    async def _look_on(self) -> None:
        while True:
            await self._look()
            working = tuple(sorted(shard.number for shard in self._running.values()))
            elapsed_s = _now_s() - self._began_at
            self.show(FleetLook(manifest=self.manifest, shards=self._seen, working=working, elapsed_s=elapsed_s))
            still = await self._stillness.look()
            for task, shard in self._running.items():
                if shard.number in still:
                    task.cancel()
                elif shard.exit_code is not None and not shard.is_ending:
                    shard.is_ending = True
                    asyncio.get_running_loop().call_later(_ENDING_S, task.cancel)
            await asyncio.sleep(self.manifest.terms.renew_every_s / 3)

    async def _look(self) -> None:
        found = await read_shards(self.store)
        if isinstance(found, Outage):
            return
        self._seen = found
        for shard in self._shards.values():
            progress = found.progress.get(shard.number)
            is_news = progress is not None and progress.fence > shard.fence and shard.failed is None
            if progress and is_news and progress.state is ShardState.ENDED and progress.exit_code in _FINISHED:
                shard.exit_code = progress.exit_code

    async def conclude(self, url: str) -> FleetSummary:
        """Count everything again, and return the summary."""
        await self._look()
        outcomes: Counter[str] = Counter()
        for shard in self.manifest.shards:
            progress = self._seen.progress.get(shard.number)
            outcomes.update(outcomes_of(progress, shard.rows))
        states = Counter(_word(shard) for shard in self._shards.values())
        failed = {str(shard.number): shard.failed for shard in self._shards.values() if shard.failed is not None}
        codes = [ExitCode.INCOMPLETE] if states["incomplete"] else []
        codes += [ExitCode.STOPPED] if failed else []
        left = states["left"] and self.stop.requested
        return FleetSummary(
            store=url,
            input=self.manifest.input,
            rows=self.manifest.rows,
            outcomes=dict(outcomes),
            shards={word: states[word] for word in ("done", "incomplete", "failed", "left")},
            failed=failed,
            elapsed_s=round(_now_s() - self._began_at, 3),
            exit_code=gravest(ExitCode.DONE, *codes, *([self.stop.exit_code or ExitCode.STOPPED] if left else [])),
            stopped=self.stop.reason if left else None,
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _told(task: Task[Try]) -> tuple[str, int | None, bool]:
    """Return how a try ended, in words, its exit code, and whether it says something about the shard."""
    if task.cancelled():
        return "it stopped responding, and was given up", None, True
    if error := task.exception():
        return f"the engine could not start it: {error}", None, True
    ended = task.result()
    return ended.why, ended.exit_code, ended.counts


def _word(shard: _Shard) -> str:
    if shard.failed is not None:
        return "failed"
    if shard.exit_code is None:
        return "left"
    return "incomplete" if shard.exit_code else "done"


def ended_name(token: str) -> str:
    """Return the name under which a driver asks its workers to end."""
    return f"stop/{token}"
