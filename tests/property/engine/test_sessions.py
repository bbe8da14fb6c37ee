"""Many accounts in one process, in simulated time: each keeps its own pace, and stops alone."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.dispatch import Dispatcher
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Clock, RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.model import Accepted, Action, Failure, FailureKind, Lane, Listing, OtaModule, Outcome, Row
from tests.property.simulated import ModulesOnly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bulk.model import Attempt, Change, Settlement

ACCOUNTS = 1_000
PER_S = 10.0
LATENCY_S = 0.05
NO_KEY = Failure(kind=FailureKind.FATAL, code="InvalidAccessKeyId.NotFound", message="no", http_status=403)


@dataclass
class Platform(ModulesOnly):
    refuses: bool = False
    created_at: list[float] = field(default_factory=list)
    listed_at: list[float] = field(default_factory=list)

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        self.listed_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LATENCY_S)
        return NO_KEY if self.refuses else Listing((), "R", 200)

    async def apply(self, _change: Change, /, **_: object) -> Accepted | Failure:
        self.created_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LATENCY_S)
        return Accepted("R", 200)


@dataclass
class Notebook:
    """The process's one writer."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def settle(self, settlement: Settlement) -> None:
        self.outcomes[settlement.outcome] += 1

    def note(self, attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        pass


def session_of(platform: Platform, notebook: Notebook, group: RateGroup, clock: Clock) -> Session:
    return Session(
        platform=platform,
        group=group,
        writer=notebook,
        breaker=Breaker(now=clock.monotonic()),
        counters=Counters(),
        stop=StopSignal(),
        listener=ignore,
        policy=RetryPolicy(),
        uniform=random.Random(1).uniform,
        clock=clock,
    )


async def feed(session: Session, *, products: int, rows: int) -> None:
    async def lanes() -> AsyncIterator[Lane]:
        for product in range(products):
            key = f"p{product}"
            yield Lane(key, tuple(Row(line, OtaModule(key, f"m{line}")) for line in range(rows)))

    await Dispatcher(session, concurrency=10).run(lanes(), lambda lane: work_off(lane, session))


def simulated_clock() -> Clock:
    time = asyncio.get_running_loop().time
    return Clock(monotonic=time, wall=time)


async def work_of_all(platforms: list[Platform], notebook: Notebook, *, shared: bool = False) -> list[Session]:
    clock = simulated_clock()
    rates = {Action.CREATE: PER_S, Action.LIST: PER_S}
    one = RateGroup(rates, clock=clock)
    sessions = [
        session_of(platform, notebook, one if shared else RateGroup(rates, clock=clock), clock)
        for platform in platforms
    ]
    await asyncio.gather(*(feed(session, products=2, rows=3) for session in sessions))
    return sessions


def test_a_thousand_accounts_keep_a_pace_each_and_take_no_longer_than_one(
    in_simulated_time: Callable[..., float],
) -> None:
    platforms, notebook = [Platform() for _ in range(ACCOUNTS)], Notebook()

    async def main() -> float:
        await work_of_all(platforms, notebook)
        return asyncio.get_running_loop().time()

    took_s = in_simulated_time(main())

    assert notebook.outcomes == {Outcome.CREATED: ACCOUNTS * 6}
    assert took_s < 2.0


def test_accounts_of_one_rate_group_share_its_pace(in_simulated_time: Callable[..., object]) -> None:
    platforms, notebook = [Platform() for _ in range(10)], Notebook()

    in_simulated_time(work_of_all(platforms, notebook, shared=True))

    sent = sorted(at for platform in platforms for at in platform.created_at)
    assert len(sent) == 60
    assert max(sum(at <= other < at + 1.0 for other in sent) for at in sent) <= PER_S


def test_an_account_without_a_key_stops_alone(in_simulated_time: Callable[..., list[Session]]) -> None:
    platforms, notebook = [Platform(refuses=account == 1) for account in range(3)], Notebook()

    sessions = in_simulated_time(work_of_all(platforms, notebook))

    assert [session.stop.requested for session in sessions] == [False, True, False]
    assert notebook.outcomes[Outcome.CREATED] == 12


def test_what_waits_for_a_shared_pace_is_not_sent_once_its_account_has_stopped(
    in_simulated_time: Callable[..., list[float]],
) -> None:
    refused, other, notebook = Platform(refuses=True), Platform(), Notebook()

    async def main() -> list[float]:
        clock = simulated_clock()
        group = RateGroup({Action.CREATE: PER_S, Action.LIST: PER_S}, clock=clock)
        ends, stays = (session_of(platform, notebook, group, clock) for platform in (refused, other))
        stopped_at: list[float] = []
        ends.stop.follow(lambda: stopped_at.append(clock.monotonic()))
        await asyncio.gather(feed(ends, products=30, rows=1), feed(stays, products=30, rows=1))
        return stopped_at

    (stopped_at,) = in_simulated_time(main())

    assert max(refused.listed_at) <= stopped_at
    assert (len(other.listed_at), notebook.outcomes[Outcome.CREATED]) == (30, 30)
