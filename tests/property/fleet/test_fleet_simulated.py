"""A fleet for ten minutes in simulated time: kills, pauses, partitions and outages by seed, and no promise is broken.

Lease, segments, gates, paces and lanes are the real ones. Twins are the platform, which looks at every request that
arrives, the store, and the machines with their clocks. A machine that is stopped does nothing that anybody else could
see; one that is killed is never heard of again, but what it had sent still arrives.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pytest

from bulk.cloud.wire.transport import at_once
from bulk.engine.sessions.session import Clock, RateGroup
from bulk.engine.stop import StopSignal
from bulk.errors import LedgerError, StoppedError, TurnMissedError
from bulk.fleet.holding import held_shard
from bulk.fleet.lease import Host, Instant, Terms
from bulk.fleet.manifest import Member
from bulk.fleet.records import decoded, opened
from bulk.fleet.segments import ShippingWriter, place_of, replay, segment_names, segments_of, standing_after
from bulk.fleet.store import ABSENT, Outage, Put
from bulk.fleet.windows import Windows
from bulk.model import (
    MAX_CUSTOM_MODULES,
    TRIED_AGAIN_OUTCOMES,
    Accepted,
    Action,
    Dialect,
    Failure,
    Listing,
    OtaModule,
    Outcome,
    Row,
    Target,
)
from tests.property.simulated import LOST, PER_S, RATES, Ledger, ModulesOnly, no_second_is_too_full, work_off_account

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path

    from bulk.cloud.wire.transport import Leave
    from bulk.fleet.store import Absent
    from bulk.model import Change, Settlement

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

TERMS = Terms()
LATEST_S = TERMS.request_timeout_s * 0.9
"""So late a request of a process that was killed may still arrive."""

_MOST_AT_ONCE = 3
"""Processes of a shard, of which all but one wait."""

_Answer = TypeVar("_Answer", Listing, Accepted)


class Disk:
    """What the store has, and since when it does not answer."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.objects: dict[str, bytes] = {}
        self.is_out = False


class Process:
    """One worker on one machine: its clocks, its way to the store, and what becomes of it."""

    def __init__(self, disk: Disk, dice: random.Random, host: Host) -> None:
        self._disk = disk
        self._dice = dice
        self.host = host
        self.drift = 1 + dice.uniform(-1, 1) / 30
        self.set_s = 0.0
        self.is_dead = False
        self.is_cut_off = False
        self._going = asyncio.Event()
        self._going.set()
        self.is_sending = False
        """It has had the right to send."""

        self.stop = StopSignal()

    def clock(self) -> Instant:
        boot_s = asyncio.get_running_loop().time() * self.drift
        return Instant(boot_s, boot_s + self.set_s)

    async def pause(self, pause_s: float) -> None:
        self._going.clear()
        await asyncio.sleep(pause_s)
        self._going.set()

    async def going(self) -> None:
        """Return when the process is not stopped."""
        await self._going.wait()

    async def _asked(self, answer: Callable[[], Any]) -> Any:
        await self.going()
        await asyncio.sleep(self._dice.uniform(0.005, 0.1))
        await self.going()
        if self.is_dead or self.is_cut_off or self._disk.is_out:
            await asyncio.sleep(0 if self.is_dead else 5)
            return Outage("no answer")
        found = answer()
        await asyncio.sleep(self._dice.uniform(0.005, 0.1))
        await self.going()
        return Outage("its answer is lost") if self._dice.random() < 0.01 else found

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        found: bytes | Outage = await self._asked(lambda: self._disk.objects.get(name, ABSENT))
        return found

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        raise AssertionError(f"nobody asks for {name} as the file {path}")

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        def put() -> Put:
            return Put.STORED if self._disk.objects.setdefault(name, data) == data else Put.EXISTS

        end: Put | Outage = await self._asked(put)
        return end

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        def put() -> Put:
            assert isinstance(data, bytes)
            self._disk.objects[name] = data
            return Put.STORED

        end: Literal[Put.STORED] | Outage = await self._asked(put)
        return end

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        found: tuple[str, ...] | Outage = await self._asked(
            lambda: tuple(sorted(name for name in self._disk.objects if name.startswith(f"{prefix}/")))
        )
        return found

    async def discard(self, name: str) -> None:
        raise AssertionError(f"{name} is kept")


@dataclass
class Cloud:
    """An account's platform. It looks at every request that arrives."""

    dice: random.Random
    arrived: dict[Action, list[float]] = field(default_factory=lambda: {action: [] for action in RATES})
    modules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    broken: list[str] = field(default_factory=list)
    fence: int = 0
    """The highest that a request came from."""

    delivering: set[asyncio.Task[Any]] = field(default_factory=set)

    async def send(
        self, process: Process, fence: int, action: Action, answer: Callable[[], _Answer], leave: Leave
    ) -> _Answer | Failure:
        await process.going()
        await asyncio.sleep(self.dice.uniform(0.0, 0.03))  # a connection
        await process.going()
        if process.is_dead or not leave():
            raise TurnMissedError("too late")
        delivery = asyncio.create_task(self._deliver(process, fence, action, answer))
        self.delivering.add(delivery)
        delivery.add_done_callback(self.delivering.discard)
        got = await asyncio.shield(delivery)
        await process.going()
        return got

    async def _deliver(
        self, process: Process, fence: int, action: Action, answer: Callable[[], _Answer]
    ) -> _Answer | Failure:
        await asyncio.sleep(self.dice.uniform(0.005, 0.007))
        if process.is_dead and not process.host.boot_id.startswith("same"):
            await asyncio.sleep(self.dice.uniform(0, LATEST_S))
        self.arrived[action].append(asyncio.get_running_loop().time())
        if fence < self.fence:
            self.broken.append(f"a request of fence {fence} after one of fence {self.fence}")
        self.fence = max(fence, self.fence)
        got = answer()
        luck = self.dice.random()
        await asyncio.sleep(1.0 if luck < 0.005 else self.dice.uniform(0.005, 0.02))
        return LOST if luck < 0.005 else got

    def create(self, product_key: str, name: str) -> Accepted:
        made = self.modules[product_key]
        if name in made:
            self.broken.append(f"{name} of {product_key} was made twice")
        made.add(name)
        if len(made) > MAX_CUSTOM_MODULES:
            self.broken.append(f"{product_key} has more than ten")
        return Accepted("R", 200)


@dataclass
class Platform(ModulesOnly):
    """An account's platform, as a process with a fence reaches it."""

    cloud: Cloud
    process: Process
    fence: int

    async def list_modules(self, product_key: str, /, *, leave: Leave = at_once) -> Listing | Failure:
        def answer() -> Listing:
            return Listing(tuple(OtaModule(product_key, name) for name in self.cloud.modules[product_key]), "R", 200)

        return await self.cloud.send(self.process, self.fence, Action.LIST, answer, leave)

    async def apply(self, change: Change, /, *, leave: Leave = at_once) -> Accepted | Failure:
        def answer() -> Accepted:
            return self.cloud.create(change.wanted.product_key, change.wanted.module_name)

        return await self.cloud.send(self.process, self.fence, Action.CREATE, answer, leave)


@dataclass
class Fleet:
    """Shards of accounts, each with its supervisor, and what befalls them."""

    seed: int
    accounts: int
    shards: int
    rows: int
    """Of each account."""

    fates: int
    """So many times something befalls each shard."""

    apart_s: float = 6.0
    """A process works for up to this long before that."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.disk = Disk(self.dice)
        self.clouds = {f"a{number}": Cloud(random.Random(f"{self.seed} {number}")) for number in range(self.accounts)}
        self.befell: list[str] = []
        self._numbers = 0

    def rows_of(self, shard: int) -> dict[str, list[Row]]:
        """Return account → its rows, product by product; a line is a row's in all of the fleet."""
        return {
            f"a{number}": [
                Row(2 + number * self.rows + row, OtaModule(f"p{number}x{row // MAX_CUSTOM_MODULES}", f"m{row}"))
                for row in range(self.rows)
            ]
            for number in range(shard, self.accounts, self.shards)
        }

    async def run(self) -> None:
        async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
            outages = asyncio.create_task(self._outages())
            supervising = [group.create_task(self._supervise(shard)) for shard in range(self.shards)]
            await asyncio.wait(supervising)
            outages.cancel()

    async def _outages(self) -> None:
        while True:
            await asyncio.sleep(self.dice.uniform(20, 150))
            self.disk.is_out = True
            await asyncio.sleep(self.dice.uniform(1, 45))
            self.disk.is_out = False

    async def _supervise(self, shard: int) -> None:
        """Keep a process on a shard until it is done, as an engine does that knows nothing of leases."""
        left, running = self.fates, dict[asyncio.Task[bool], Process]()
        while not self._is_done(shard, running):
            alive = [task for task in running if not task.done()]
            if not alive:
                self._start(shard, running)
                continue
            if not left:
                await asyncio.wait(alive, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(self.dice.uniform(0, 3))
                continue
            await asyncio.sleep(self.dice.uniform(0, self.apart_s))
            sending = [task for task in alive if running[task].is_sending and not task.done()]
            if not sending:
                await asyncio.wait(alive, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                continue
            left -= 1
            victim = self.dice.choice(sending)
            fate = self.dice.choice([self._kill, self._kill, self._pause, self._cut_off, self._set_clock])
            self.befell.append(fate.__name__)
            await fate(running[victim], victim)
            if fate != self._set_clock and len(alive) < _MOST_AT_ONCE:
                self._start(shard, running)
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    def _start(self, shard: int, running: dict[asyncio.Task[bool], Process]) -> None:
        process = Process(self.disk, self.dice, self._host(f"same {shard}"))
        running[asyncio.create_task(self._work(shard, process))] = process

    def _is_done(self, shard: int, running: Iterable[asyncio.Task[bool]]) -> bool:
        ended = [task for task in running if task.done() and not task.cancelled()]
        return any(task.result() for task in ended) and self._is_shipped(shard)

    def _is_shipped(self, shard: int) -> bool:
        """Say whether the store has all outcomes: it may not answer just when a process ends."""
        names = sorted((name for name in self.disk.objects if name.startswith(f"segments/{shard}/")), key=place_of)
        last = standing_after(one for name in names for one in decoded(self.disk.objects[name]))
        done = sum(one.outcome not in TRIED_AGAIN_OUTCOMES for one in last)
        return done == sum(len(rows) for rows in self.rows_of(shard).values())

    def _host(self, home: str) -> Host:
        self._numbers += 1
        # A process on the machine of the one before has its lock only if that one ended: paused ones keep it.
        return Host(boot_id=f"elsewhere {self._numbers}" if self.dice.random() < 0.8 else f"{home} {self._numbers}")

    async def _kill(self, process: Process, working: asyncio.Task[bool]) -> None:
        process.is_dead = True
        working.cancel()

    async def _pause(self, process: Process, _working: asyncio.Task[bool]) -> None:
        """The engine takes it for dead sooner or later, and it goes on sooner or later."""
        pausing = asyncio.create_task(process.pause(self.dice.uniform(0.5, 100)))
        self._fading.add(pausing)
        await asyncio.sleep(self.dice.uniform(0, 30))

    async def _cut_off(self, process: Process, _working: asyncio.Task[bool]) -> None:
        process.is_cut_off = True
        asyncio.get_running_loop().call_later(self.dice.uniform(1, 100), setattr, process, "is_cut_off", False)
        await asyncio.sleep(self.dice.uniform(0, 30))

    async def _set_clock(self, process: Process, _working: asyncio.Task[bool]) -> None:
        process.set_s += self.dice.choice([-3600.0, -3.0, 3.0, 3600.0])

    _fading: set[asyncio.Task[None]] = field(default_factory=set)

    async def _work(self, shard: int, process: Process) -> bool:
        """Do what a worker does; say whether the shard is done."""
        with suppress(StoppedError, LedgerError):
            async with held_shard(
                process, shard, terms=TERMS, host=process.host, stop=process.stop, clock=process.clock
            ) as held:
                process.is_sending = True
                ledger = Ledger(self.rows_of(shard))
                while isinstance(shipped := await segments_of(process, shard), Outage):
                    if await process.stop.sleep(1.0):
                        return False
                await replay(shipped, ledger)
                async with (
                    ShippingWriter(ledger, process, shard=shard, fence=held.fence) as writer,
                    asyncio.TaskGroup() as group,
                ):
                    for name in ledger.rows:
                        platform = Platform(self.clouds[name], process, held.fence)
                        group.create_task(self._account(name, platform, ledger, writer, held.may_send))
                return ledger.is_done and not process.stop.requested
        return False

    async def _account(
        self, name: str, platform: Platform, ledger: Ledger, writer: ShippingWriter, may_send: Callable[[], bool]
    ) -> None:
        loop = asyncio.get_running_loop()
        clock = Clock(monotonic=loop.time, wall=loop.time)
        group = RateGroup(RATES, clock=clock, may_send=may_send)
        stop = platform.process.stop
        group.close_on(stop)
        await work_off_account(
            ledger,
            name,
            seed=self.seed,
            start_in_s=random.Random(name).uniform(0, 1 / PER_S),
            platform=platform,
            group=group,
            writer=writer,
            stop=stop,
            clock=clock,
        )

    def windows_hold(self) -> None:
        """Check that no second at a platform had more than ten requests of one action, whoever sent them."""
        for name, cloud in self.clouds.items():
            for action, times in cloud.arrived.items():
                no_second_is_too_full(times, (name, action))

    def nothing_is_broken(self) -> None:
        assert {name: cloud.broken for name, cloud in self.clouds.items() if cloud.broken} == {}

    async def every_row_was_created_and_shipped(self) -> None:
        process = Process(self.disk, random.Random(0), Host())
        for shard in range(self.shards):
            last = standing_after(await _stored(process, shard))
            wanted = {row.module.key for rows in self.rows_of(shard).values() for row in rows}
            assert {one.module.key for one in last if one.outcome is Outcome.CREATED} == wanted

    def what_was_shipped_proves_the_windows(self) -> None:
        """Check that a merge would find the windows of each fence as they were: none too full, few requests missing."""
        target = Target(Dialect.TUYA, "https://platform")
        members = {
            name: Member(group=name, target=target, create_per_s=PER_S, list_per_s=PER_S) for name in self.clouds
        }
        fences: dict[tuple[str, int], Windows] = defaultdict(lambda: Windows(members))
        for name, data in self.disk.objects.items():
            if name.startswith("segments/"):
                windows = fences[name.split("/")[1], place_of(name)[0]]
                for account, actions in opened(data).sent.items():
                    for action, times in actions.items():
                        windows.note(account, action, times)
        assert [found for windows in fences.values() for found in windows.crowded()] == []
        proven = sum(windows.requests.total() for windows in fences.values())
        arrived = sum(len(times) for cloud in self.clouds.values() for times in cloud.arrived.values())
        assert 0.6 * arrived < proven <= arrived


async def _stored(process: Process, shard: int) -> list[Settlement]:
    while isinstance(names := await segment_names(process, shard), Outage):
        pass
    while isinstance(found := await segments_of(process, shard), Outage):
        pass
    assert names
    return found


def befall(simulate: Simulate, fleet: Fleet) -> float:
    """Let a fleet work to its end, check what must be true, and return how long it took."""
    took_s: list[float] = []

    async def main() -> None:
        await fleet.run()
        took_s.append(asyncio.get_running_loop().time())
        fleet.disk.is_out = False
        await fleet.every_row_was_created_and_shipped()

    simulate(main())
    fleet.nothing_is_broken()
    fleet.windows_hold()
    fleet.what_was_shipped_proves_the_windows()
    return took_s[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_befalls_a_fleet_no_promise_is_broken(seed: int, simulate: Simulate) -> None:
    fleet = Fleet(seed=seed, accounts=12, shards=6, rows=120, fates=6)

    befall(simulate, fleet)

    assert {"_kill", "_pause", "_cut_off", "_set_clock"} <= {*fleet.befell}


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_accounts_for_ten_minutes(seed: int, simulate: Simulate) -> None:
    fleet = Fleet(seed=seed, accounts=1_000, shards=20, rows=200, fates=25, apart_s=2.0)

    took_s = befall(simulate, fleet)

    assert took_s >= 600
