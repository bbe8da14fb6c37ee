"""A shard that is held for long, in simulated time: outages, a thief, clocks that are set, an orderly end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import StoppedError
from bulk.fleet.holding import held_shard
from bulk.fleet.lease import Host, Instant, Terms
from bulk.fleet.store import ABSENT, Outage, Put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from bulk.fleet.holding import Held
    from bulk.fleet.store import Absent

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

TERMS = Terms()
HERE = Host(boot_id="here")
THERE = Host(boot_id="there")


class MemoryStore:
    """A store that can be cut off."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_cut_off = False
        self.writes = 0

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        return Outage("cut off") if self.is_cut_off else self.objects.get(name, ABSENT)

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        raise AssertionError(f"nobody asks for {name} as the file {path}")

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        if self.is_cut_off:
            return Outage("cut off")
        return Put.STORED if self.objects.setdefault(name, data) == data else Put.EXISTS

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        assert isinstance(data, bytes)
        if self.is_cut_off:
            return Outage("cut off")
        self.writes += 1
        self.objects[name] = data
        return Put.STORED

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        return tuple(sorted(name for name in self.objects if name.startswith(f"{prefix}/")))

    async def discard(self, name: str) -> None:
        self.objects.pop(name, None)


class Machine:
    """Its clocks are the loop's, until somebody sets one."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.set_s = 0.0
        self.stop = StopSignal()

    def clock(self) -> Instant:
        now_s = asyncio.get_running_loop().time()
        return Instant(now_s, now_s + self.set_s)

    @asynccontextmanager
    async def holding(self, store: MemoryStore) -> AsyncIterator[Held]:
        async with held_shard(store, 0, terms=TERMS, host=self.host, stop=self.stop, clock=self.clock) as held:
            yield held


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_shard_that_is_renewed_may_be_sent_for_at_any_time(simulate: Simulate) -> None:
    async def main() -> None:
        async with Machine(HERE).holding(MemoryStore()) as held:
            for _ in range(3000):
                assert held.may_send()
                await asyncio.sleep(0.1)

    simulate(main())


def test_outage_ends_the_right_within_a_term_and_its_end_gives_it_back(simulate: Simulate) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with Machine(HERE).holding(store) as held:
            store.is_cut_off = True
            await asyncio.sleep(TERMS.term_s)
            at_end = held.may_send()
            await asyncio.sleep(100)
            store.is_cut_off = False
            await asyncio.sleep(TERMS.retry_every_s + 0.1)

            assert not at_end
            assert held.may_send()

    simulate(main())


def test_shard_that_another_took_stops_the_work_and_is_not_released(simulate: Simulate) -> None:
    async def main() -> None:
        store, machine = MemoryStore(), Machine(HERE)
        async with machine.holding(store) as held:
            store.objects["lease/0.2"] = b"another's"
            await asyncio.sleep(TERMS.renew_every_s + 0.1)

            assert not held.may_send()
            assert machine.stop.reason == (
                "another machine took shard 0 and continues it; this process sends nothing more for it"
            )
        assert b"released" not in store.objects["lease/0.1"]

    simulate(main())


def test_wall_clock_that_is_set_is_followed_by_a_renewal_at_once(simulate: Simulate) -> None:
    async def main() -> None:
        store, machine = MemoryStore(), Machine(HERE)
        async with machine.holding(store) as held:
            writes, machine.set_s = store.writes, 60.0
            before = held.may_send()
            await asyncio.sleep(0.001)

            assert not before
            assert held.may_send()
            assert store.writes == writes + 1

    simulate(main())


def test_shard_that_is_released_goes_to_the_next_in_less_than_a_term(simulate: Simulate) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with Machine(HERE).holding(store):
            await asyncio.sleep(50)
        released_s = now_s()
        async with Machine(THERE).holding(store) as held:
            assert held.fence == 2
            assert now_s() - released_s == pytest.approx(TERMS.quiet_s)

    simulate(main())


def test_held_shard_is_waited_for_until_a_stop_is_requested(simulate: Simulate) -> None:
    async def main() -> None:
        store, waiting = MemoryStore(), Machine(THERE)
        async with Machine(HERE).holding(store) as held:
            asyncio.get_running_loop().call_later(600, waiting.stop.request, "Ctrl-C")
            with pytest.raises(StoppedError):
                async with waiting.holding(store):
                    pass

            assert now_s() == pytest.approx(600)
            assert held.may_send()

    simulate(main())


def test_machine_that_is_cut_off_alone_sends_nothing_before_another_does(simulate: Simulate) -> None:
    async def main() -> None:
        store = MemoryStore()
        own_way = MemoryStore()
        own_way.objects = store.objects
        cut_off, other = Machine(HERE), Machine(THERE)
        async with cut_off.holding(own_way) as held:
            own_way.is_cut_off = True
            async with other.holding(store) as taken:
                assert taken.may_send()
                assert not held.may_send()
                own_way.is_cut_off = False
                await asyncio.sleep(TERMS.renew_every_s + 0.1)

                assert cut_off.stop.requested
                assert not other.stop.requested
                assert taken.may_send()

    simulate(main())
