"""A thousand accounts in one process, in simulated time: none is slow, none is too fast, and faults break no promise.

The platform and the ledger are twins in memory, everything between them is the engine. A seed says all that happens.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from bulk.cloud.wire.transport import at_once
from bulk.engine.sessions.session import Clock, RateGroup
from bulk.engine.stop import StopSignal
from bulk.errors import TurnMissedError
from bulk.model import (
    MAX_CUSTOM_MODULES,
    Accepted,
    Action,
    Failure,
    FailureKind,
    Listing,
    OtaModule,
    Outcome,
    Row,
)
from tests.property.simulated import LOST, PER_S, RATES, Ledger, ModulesOnly, no_second_is_too_full, work_off_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk.model import Change

    InSimulatedTime = Callable[..., float]

ACCOUNTS = 1_000
ROWS = 40_000
"""Some seconds of each account's rate: longer runs are more of the same, and this one allows fewer ms to lose."""

WAY_THERE_S = 0.005, 0.007
WORK_AND_WAY_BACK_S = 0.005, 0.02

NO_KEY = Failure(kind=FailureKind.FATAL, code="InvalidAccessKeyId.NotFound", message="no", http_status=403)
THROTTLED = Failure(kind=FailureKind.THROTTLED, code="Throttling", message="slower", http_status=400)
NOT_SENT = Failure(kind=FailureKind.NOT_SENT, code="not_connected", message="no way")

_Answer = TypeVar("_Answer", Listing, Accepted)


class Weather(NamedTuple):
    """What goes wrong at a platform: shares of its requests."""

    unsent: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    throttled: float = 0.0
    refuses_from_s: float = float("inf")
    """Its account's key is refused from then on."""


@dataclass
class Cloud(ModulesOnly):
    """An account's platform. It looks at every request that arrives."""

    dice: random.Random
    weather: Weather
    arrived: dict[Action, list[float]] = field(default_factory=lambda: {action: [] for action in RATES})
    modules: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    broken: set[str] = field(default_factory=set)
    _in_doubt: set[tuple[str, str]] = field(default_factory=set)
    """Modules whose create may have been carried out, and whose product nobody has listed since."""

    async def list_modules(self, product_key: str, /, *, leave: Callable[[], bool] = at_once) -> Listing | Failure:
        def answer() -> Listing:
            self._in_doubt = {module for module in self._in_doubt if module[0] != product_key}
            return Listing(tuple(OtaModule(product_key, name) for name in self.modules[product_key]), "R", 200)

        return await self._carry(Action.LIST, answer, leave)

    async def apply(self, change: Change, /, *, leave: Callable[[], bool] = at_once) -> Accepted | Failure:
        product_key, name = change.wanted.product_key, change.wanted.module_name

        def answer() -> Accepted:
            made = self.modules[product_key]
            self._note(name not in made, f"{name} of {product_key} was made twice")
            self._note((product_key, name) not in self._in_doubt, f"{name} of {product_key} was sent again unlisted")
            made.add(name)
            self._note(len(made) <= MAX_CUSTOM_MODULES, f"{product_key} has more than ten")
            return Accepted("R", 200)

        got = await self._carry(Action.CREATE, answer, leave)
        if got is LOST:
            self._in_doubt.add((product_key, name))
        return got

    async def _carry(
        self, action: Action, answer: Callable[[], _Answer], leave: Callable[[], bool]
    ) -> _Answer | Failure:
        if self.dice.random() < self.weather.unsent:
            await asyncio.sleep(0.1)
            return NOT_SENT
        if not leave():
            raise TurnMissedError("too late")
        await asyncio.sleep(self.dice.uniform(*WAY_THERE_S))
        now = asyncio.get_running_loop().time()
        self.arrived[action].append(now)
        back_s = self.dice.uniform(*WORK_AND_WAY_BACK_S)
        luck = self.dice.random() - self.weather.throttled
        if now >= self.weather.refuses_from_s or luck < 0:
            await asyncio.sleep(back_s)
            return NO_KEY if now >= self.weather.refuses_from_s else THROTTLED
        if luck < self.weather.lost_before:
            await asyncio.sleep(1.0)
            return LOST
        got = answer()
        lost = luck < self.weather.lost_before + self.weather.lost_after
        await asyncio.sleep(1.0 if lost else back_s)
        return LOST if lost else got

    def _note(self, holds: bool, broken: str) -> None:
        if not holds:
            self.broken.add(broken)


@dataclass
class World:
    """Accounts with their rows and platforms."""

    seed: int
    accounts: int = ACCOUNTS
    rows: int = ROWS
    weather: Callable[[random.Random], Weather] = lambda _: Weather()
    is_spared: Callable[[int], bool] = lambda _: False
    """Says of an account's number whether its platform is well, whatever the weather."""

    group_of: Callable[[int], int] = lambda number: number
    stops_after_s: float | None = None
    stopped_alone: dict[str, float] = field(default_factory=dict)
    """Account → when a person stops it."""

    def __post_init__(self) -> None:
        middle = self.rows // self.accounts
        sizes = (middle - middle // 2, middle, middle + middle // 2)
        self.names = [f"a{number}" for number in range(self.accounts)]
        self.ledger = Ledger({name: list(_rows(sizes[number % 3])) for number, name in enumerate(self.names)})
        self.clouds = {name: self._cloud(number, name) for number, name in enumerate(self.names)}
        self.stopped: dict[str, str | None] = {}

    def _cloud(self, number: int, name: str) -> Cloud:
        weather = self.weather(random.Random(f"{self.seed} {name}"))
        return Cloud(random.Random(name), Weather() if self.is_spared(number) else weather)

    async def run(self) -> float:
        """Work off every account side by side, and return how long it took."""
        loop = asyncio.get_running_loop()
        clock = Clock(monotonic=loop.time, wall=loop.time)
        began, stop = loop.time(), StopSignal()
        groups: dict[int, RateGroup] = {}
        if self.stops_after_s is not None:
            loop.call_later(self.stops_after_s, stop.request, "enough")
        async with asyncio.TaskGroup() as tasks:
            for number, name in enumerate(self.names):
                group = groups.setdefault(self.group_of(number), RateGroup(RATES, clock=clock))
                tasks.create_task(self._account(name, group, stop.scope(), clock, number / self.accounts / PER_S))
        return loop.time() - began

    async def _account(self, name: str, group: RateGroup, stop: StopSignal, clock: Clock, start_in_s: float) -> None:
        if name in self.stopped_alone:
            asyncio.get_running_loop().call_later(self.stopped_alone[name], stop.request, "alone")
        await work_off_account(
            self.ledger,
            name,
            seed=self.seed,
            start_in_s=start_in_s,
            platform=self.clouds[name],
            group=group,
            writer=self.ledger,
            stop=stop,
            clock=clock,
        )
        self.stopped[name] = stop.reason

    @property
    def bound_s(self) -> float:
        """How long the largest account takes at least."""
        return max(len(rows) for rows in self.ledger.rows.values()) / PER_S

    def outcomes(self, name: str) -> Counter[Outcome]:
        return Counter(self.ledger.outcome_of(name, row)[0] for row in self.ledger.rows[name])

    def windows_hold(self) -> None:
        """Check that no second at a platform had more than ten requests of one action, group by group."""
        arrived: dict[tuple[int, Action], list[float]] = defaultdict(list)
        for number, name in enumerate(self.names):
            for action, times in self.clouds[name].arrived.items():
                arrived[self.group_of(number), action] += times
        for of, times in arrived.items():
            no_second_is_too_full(times, of)

    def promises_hold(self) -> None:
        """Check what must be true after any run that left no request in flight."""
        self.windows_hold()
        for name, cloud in self.clouds.items():
            assert not cloud.broken, (name, cloud.broken)
            for row in self.ledger.rows[name]:
                outcome, _ = self.ledger.outcome_of(name, row)
                is_there = row.module.module_name in cloud.modules[row.module.product_key]
                assert outcome is not Outcome.CREATED or is_there, (name, row)
                assert not is_there or outcome in (Outcome.CREATED, Outcome.UNKNOWN, Outcome.SENDING), (name, row)


def _rows(number: int) -> Iterator[Row]:
    for line in range(number):
        yield Row(line + 2, OtaModule(f"p{line // MAX_CUSTOM_MODULES}", f"m{line}"))


def rough(dice: random.Random) -> Weather:
    """Some platforms are well, some lose and throttle, and some refuse their account's key after a while."""
    if dice.random() < 0.5:
        return Weather()
    refuses = dice.uniform(0.0, 8.0) if dice.random() < 0.2 else float("inf")
    return Weather(
        unsent=dice.uniform(0, 0.05),
        lost_before=dice.uniform(0, 0.05),
        lost_after=dice.uniform(0, 0.05),
        throttled=dice.uniform(0, 0.02),
        refuses_from_s=refuses,
    )


@pytest.mark.timeout(300)
def test_a_thousand_accounts_take_hardly_longer_than_their_rates_ask_for(in_simulated_time: InSimulatedTime) -> None:
    world = World(seed=1)

    took_s = in_simulated_time(world.run())

    assert sum(len(rows) for rows in world.ledger.rows.values()) >= ROWS - ACCOUNTS
    assert took_s <= 1.03 * world.bound_s
    world.promises_hold()
    assert {world.outcomes(name)[Outcome.CREATED] == len(world.ledger.rows[name]) for name in world.names} == {True}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [2])
def test_whatever_befalls_a_thousand_accounts_no_promise_is_broken(
    seed: int, in_simulated_time: InSimulatedTime
) -> None:
    dice = random.Random(seed)
    stops_after_s = 3.5
    alone = {f"a{number}": dice.uniform(0, 8) for number in range(0, ACCOUNTS, 50)}
    world = World(
        seed=seed,
        rows=2 * round(stops_after_s * PER_S) * ACCOUNTS,  # half of that in the smallest accounts
        weather=rough,
        group_of=lambda number: number - number % 3 if number < 60 else number,
        stops_after_s=stops_after_s,
        stopped_alone=alone,
    )

    in_simulated_time(world.run())

    world.promises_hold()
    together = set(world.names[:60])
    well = [name for name, cloud in world.clouds.items() if cloud.weather == Weather() and name not in alone]
    # Those that share a rate are slower together, and neither faults nor stops of others slow anybody else.
    least = min(world.outcomes(name)[Outcome.CREATED] for name in well if name not in together)
    assert least >= 9.6 * 3.3
    refused = [name for name, cloud in world.clouds.items() if cloud.weather.refuses_from_s < 2.5]
    assert refused
    assert all("InvalidAccessKeyId" in (world.stopped[name] or "") for name in refused if name not in alone)


def test_what_befalls_others_costs_an_account_nothing(in_simulated_time: InSimulatedTime) -> None:
    fair = World(seed=5, accounts=40, rows=40 * 60)
    rough_for_odd = World(seed=5, accounts=40, rows=40 * 60, weather=rough, is_spared=lambda number: number % 2 == 0)

    for world in (fair, rough_for_odd):
        in_simulated_time(world.run())

    assert any(rough_for_odd.stopped.values())
    for name in fair.names[::2]:
        alone, among_others = (world.clouds[name].arrived[Action.CREATE] for world in (fair, rough_for_odd))
        assert len(among_others) == len(alone)
        assert among_others[-1] - among_others[0] == pytest.approx(alone[-1] - alone[0], rel=0.01)


def test_a_next_run_finishes_what_faults_and_stops_left(in_simulated_time: InSimulatedTime) -> None:
    world = World(seed=3, accounts=100, rows=100 * 70, weather=rough, stops_after_s=4.0)
    in_simulated_time(world.run())
    for cloud in world.clouds.values():
        cloud.weather = Weather()
    world.stops_after_s = None
    for cloud in world.clouds.values():
        cloud.arrived = {action: [] for action in RATES}

    in_simulated_time(world.run())

    world.promises_hold()
    assert {world.outcomes(name)[Outcome.CREATED] == len(world.ledger.rows[name]) for name in world.names} == {True}


def test_the_same_seed_is_the_same_night(in_simulated_time: InSimulatedTime) -> None:
    worlds = [World(seed=4, accounts=20, rows=20 * 60, weather=rough) for _ in range(2)]
    for world in worlds:
        in_simulated_time(world.run())

    first, second = worlds
    assert first.ledger.outcomes == second.ledger.outcomes
    assert first.stopped == second.stopped
    assert [cloud.arrived for cloud in first.clouds.values()] == [cloud.arrived for cloud in second.clouds.values()]
