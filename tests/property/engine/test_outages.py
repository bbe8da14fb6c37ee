"""A run of many lanes against a platform that is out for a while, in whatever form, in simulated time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.dispatch import Dispatcher
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Clock, RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.model import Accepted, Action, Change, Failure, FailureKind, Lane, Listing, OtaModule, Outcome, Row
from tests.property.simulated import ModulesOnly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bulk.model import Attempt, Settlement

PER_S = 10
LATENCY_S = 0.05
FORMS = {
    "503": Failure(kind=FailureKind.DOUBTFUL, code="ServiceUnavailable", message="down", http_status=503),
    "page": Failure(kind=FailureKind.DOUBTFUL, code="unreadable_reply", message="<html>", http_status=200),
    "busy": Failure(kind=FailureKind.DOUBTFUL, code="iot.system.SystemException", message="later", http_status=200),
    "wait": Failure(kind=FailureKind.DOUBTFUL, code="http_503", message="down", http_status=503, retry_after_s=60.0),
    "reset": Failure(kind=FailureKind.DOUBTFUL, code="connection_lost", message="lost"),
    "refused": Failure(kind=FailureKind.NOT_SENT, code="connection_refused", message="refused"),
}


@dataclass(frozen=True)
class Outage:
    """When nobody is answered, and how that looks."""

    begins_at: float
    ends_at: float
    form: str
    actions: frozenset[Action] = frozenset(Action)
    carried_out: bool = False

    def meets(self, action: Action, now: float) -> bool:
        return action in self.actions and self.begins_at <= now < self.ends_at


@dataclass
class Platform(ModulesOnly):
    outage: Outage
    poisoned: frozenset[str] = frozenset()
    """Names of modules that the platform can't make."""

    modules: dict[str, dict[str, OtaModule]] = field(default_factory=dict)
    asked: list[tuple[Action, float]] = field(default_factory=list)
    creates: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def list_modules(self, product_key: str, /, **_: object) -> Listing | Failure:
        if await self._is_met(Action.LIST):
            return FORMS[self.outage.form]
        return Listing(tuple(self.modules.get(product_key, {}).values()), "R", 200)

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        module = change.wanted
        met = await self._is_met(Action.CREATE)
        if module.module_name in self.poisoned:
            return FORMS["503"]
        if not met or (self.outage.carried_out and self.outage.form != "refused"):
            self.creates[module.key] += 1
            self.modules.setdefault(module.product_key, {})[module.module_name] = module
        return FORMS[self.outage.form] if met else Accepted("R", 200)

    async def _is_met(self, action: Action) -> bool:
        now = asyncio.get_running_loop().time()
        self.asked.append((action, now))
        await asyncio.sleep(LATENCY_S)
        return self.outage.meets(action, now)

    def asked_in_the_outage(self) -> int:
        return sum(self.outage.meets(action, at) for action, at in self.asked)

    def most_in_a_second(self, action: Action) -> int:
        times = [at for asked, at in self.asked if asked is action]
        return max((sum(at <= other < at + 1.0 for other in times) for at in times), default=0)


@dataclass
class Notebook:
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    def settle(self, settlement: Settlement) -> None:
        self.outcomes[settlement.module.key] = settlement.outcome

    def note(self, attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        pass


@dataclass
class Ended:
    outcomes: Counter[Outcome]
    stop: StopSignal
    elapsed_s: float


async def run(platform: Platform, *, products: int, rows: int, seed: int, max_attempts: int = 6) -> Ended:
    stop, clock, notebook = StopSignal(), asyncio.get_running_loop().time, Notebook()
    breaker = Breaker(now=clock())
    group = RateGroup(dict.fromkeys(Action, PER_S), clock=Clock(monotonic=clock, wall=clock))
    group.close_on(stop)
    session = Session(
        platform=platform,
        group=group,
        writer=notebook,
        breaker=breaker,
        counters=Counters(),
        stop=stop,
        listener=ignore,
        policy=RetryPolicy(max_attempts=max_attempts),
        uniform=random.Random(seed).uniform,
        clock=Clock(monotonic=clock, wall=clock),
    )
    dispatcher = Dispatcher(session, concurrency=2_000)

    async def lanes() -> AsyncIterator[Lane]:
        for product in range(products):
            key = f"p{product}"
            yield Lane(key, tuple(Row(line, OtaModule(key, f"m{product}-{line}")) for line in range(rows)))

    await dispatcher.run(lanes(), lambda lane: work_off(lane, session))
    return Ended(Counter(notebook.outcomes.values()), stop, clock())


outages = {
    "begins_at": st.floats(0.0, 20.0),
    "form": st.sampled_from(sorted(FORMS)),
    "actions": st.sampled_from([frozenset(Action), frozenset({Action.CREATE}), frozenset({Action.LIST})]),
    "carried_out": st.booleans(),
    "rows": st.sampled_from([1, 3, 10]),
    "seed": st.integers(0, 2**16),
}
SLOW = [HealthCheck.function_scoped_fixture]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(length_s=st.floats(1.0, 38.0), max_attempts=st.integers(2, 6), **outages)
def test_an_outage_costs_its_time_and_no_row(
    in_simulated_time: Callable[..., Ended],
    length_s: float,
    max_attempts: int,
    begins_at: float,
    form: str,
    actions: frozenset[Action],
    carried_out: bool,
    rows: int,
    seed: int,
) -> None:
    outage = Outage(begins_at, begins_at + length_s, form, actions, carried_out)
    platform = Platform(outage)
    products = 120 // rows

    ended = in_simulated_time(run(platform, products=products, rows=rows, seed=seed, max_attempts=max_attempts))

    assert ended.stop.reason is None
    assert ended.outcomes == {Outcome.CREATED: 120}
    assert set(platform.creates.values()) == {1}
    assert max(platform.most_in_a_second(action) for action in Action) <= PER_S
    assert ended.elapsed_s <= max(120, products) / PER_S * 1.1 + length_s + 15.0


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(**outages)
def test_an_outage_that_lasts_stops_the_run_with_every_row_open(
    in_simulated_time: Callable[..., Ended],
    begins_at: float,
    form: str,
    actions: frozenset[Action],
    carried_out: bool,
    rows: int,
    seed: int,
) -> None:
    platform = Platform(Outage(begins_at, 1e9, form, actions, carried_out and Action.LIST in actions))

    ended = in_simulated_time(run(platform, products=600 // rows, rows=rows, seed=seed))

    assert ended.stop.exit_code == 3
    assert "out of reach" in (ended.stop.reason or "")
    assert set(ended.outcomes) <= {Outcome.CREATED, Outcome.PENDING, Outcome.UNKNOWN}
    assert ended.elapsed_s <= begins_at + 70.0
    assert platform.asked_in_the_outage() <= 60


@pytest.mark.parametrize("poisoned", [["m0-0"], ["m0-0", "m3-1"], ["m39-2"], ["m0-0", "m39-2"]])
def test_a_row_that_always_fails_is_given_up_while_others_are_answered(
    in_simulated_time: Callable[..., Ended], poisoned: list[str]
) -> None:
    platform = Platform(Outage(0.0, 0.0, "503"), frozenset(poisoned))

    ended = in_simulated_time(run(platform, products=40, rows=3, seed=1))

    assert ended.stop.reason is None
    assert ended.outcomes == {Outcome.CREATED: 120 - len(poisoned), Outcome.FAILED: len(poisoned)}
