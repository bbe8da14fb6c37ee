"""One product's life against a model of the platform: whatever goes wrong, in whatever order, the promises hold."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Clock, RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.model import (
    MAX_CUSTOM_MODULES,
    RESERVED_MODULE_NAME,
    Accepted,
    Action,
    Attempt,
    Change,
    Failure,
    FailureKind,
    Lane,
    Listing,
    OtaModule,
    Outcome,
    Row,
    Settlement,
)
from tests.property.simulated import ModulesOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PRODUCT = "a1Model0001"
MAX_ATTEMPTS = 3
RUNS = 40

Key = tuple[str, str]


class Luck(StrEnum):
    """What befalls one request."""

    FINE = "fine"
    THROTTLED = "throttled"
    NOT_SENT = "not_sent"
    CLOCK = "clock"
    LOST_BEFORE = "lost_before"  #: no answer, not carried out
    LOST_AFTER = "lost_after"  #: no answer, carried out
    LATE = "late"  #: no answer, carried out only after the next listing was answered
    REFUSED = "refused"  #: by an error that is permanent for this row
    PRODUCT = "product"  #: by an error that is permanent for the product
    FATAL = "fatal"  #: by an error that is permanent for the account
    INTERRUPTED = "interrupted"  #: fine, but a stop is requested meanwhile
    CRASH_BEFORE = "crash_before"  #: the process dies, the request never arrives
    CRASH_AFTER = "crash_after"  #: the process dies, the request is carried out
    OTHER_ADDS = "other_adds"  #: fine, but somebody else makes a module first
    OTHER_TAKES_NAME = "other_takes_name"  #: fine, but somebody else makes this very module first, with another alias


REFUSALS = {
    Luck.THROTTLED: FailureKind.THROTTLED,
    Luck.NOT_SENT: FailureKind.NOT_SENT,
    Luck.CLOCK: FailureKind.CLOCK,
    Luck.REFUSED: FailureKind.REFUSED,
    Luck.PRODUCT: FailureKind.PRODUCT,
    Luck.FATAL: FailureKind.FATAL,
    Luck.LOST_BEFORE: FailureKind.DOUBTFUL,
    Luck.LOST_AFTER: FailureKind.DOUBTFUL,
    Luck.LATE: FailureKind.DOUBTFUL,
}
OTHERS = {Luck.OTHER_ADDS, Luck.OTHER_TAKES_NAME}
"""With these the platform may have to refuse a create for the limit, and nobody is to blame."""


class CrashedError(Exception):
    """The process is gone; only the test is left."""


@dataclass
class ModelPlatform(ModulesOnly):
    """The platform's rules, in memory; what befalls each request is given, and then everything is fine."""

    modules: dict[Key, OtaModule]
    script: list[Luck]
    stop: StopSignal = field(init=False)
    made: set[Key] = field(default_factory=set)
    """What was carried out for `bulk`."""

    creates: int = 0
    refused_for_the_limit: int = 0
    was_late: bool = False
    """A create was carried out after a listing that did not show it; in later runs that may fill the product."""

    disturbed: bool = False
    """By somebody else."""

    _shown: set[Key] = field(default_factory=set)
    """What `bulk` knows to be there: by the last listing, and by replies since."""

    _late: list[OtaModule] = field(default_factory=list)
    _in_doubt: set[Key] = field(default_factory=set)

    def customs(self) -> int:
        return sum(key[1] != RESERVED_MODULE_NAME for key in self.modules)

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        luck = await self._luck(None)
        if luck in REFUSALS:
            return failure(REFUSALS[luck])
        listing = Listing(tuple(self.modules.values()), "list", 200)
        self._in_doubt.clear()
        self._shown = set(self.modules)
        while self._late:
            self._carry_out(self._late.pop())
        return listing

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        module = change.wanted
        self.creates += 1
        assert module.key not in self._in_doubt, f"sent again, and nobody listed: {module}"
        assert module.key not in self._shown, f"sent, and the last listing showed it: {module}"
        assert len(self._shown - {(PRODUCT, RESERVED_MODULE_NAME)}) < MAX_CUSTOM_MODULES, "sent without a free slot"
        luck = await self._luck(module)
        if luck in {Luck.LOST_BEFORE, Luck.LOST_AFTER, Luck.LATE}:
            self._in_doubt.add(module.key)
            if luck is Luck.LOST_AFTER:
                self._carry_out(module)
            if luck is Luck.LATE:
                self._late.append(module)
                self.was_late = True
        if luck in REFUSALS:
            return failure(REFUSALS[luck])
        answer = self._carry_out(module)
        if luck is Luck.CRASH_AFTER:
            raise CrashedError
        if isinstance(answer, Accepted):
            self._shown.add(module.key)
        return answer

    async def _luck(self, module: OtaModule | None) -> Luck:
        await asyncio.sleep(0.01)
        luck = self.script.pop(0) if self.script else Luck.FINE
        self.disturbed |= luck in OTHERS
        match luck:
            case Luck.CRASH_BEFORE:
                raise CrashedError
            case Luck.CRASH_AFTER if module is None:
                raise CrashedError
            case Luck.INTERRUPTED:
                self.stop.request("interrupted by Ctrl-C", exit_code=130)
            case Luck.OTHER_ADDS:
                self._somebody_else_makes(OtaModule(PRODUCT, f"foreign-{len(self.modules)}"))
            case Luck.OTHER_TAKES_NAME if module is not None:
                self._somebody_else_makes(OtaModule(PRODUCT, module.module_name, "another"))
        return luck

    def _somebody_else_makes(self, module: OtaModule) -> None:
        if self.customs() < MAX_CUSTOM_MODULES:
            self.modules.setdefault(module.key, module)

    def _carry_out(self, module: OtaModule) -> Accepted | Failure:
        if module.key in self.modules:
            return failure(FailureKind.EXISTS)
        if self.customs() >= MAX_CUSTOM_MODULES:
            self.refused_for_the_limit += 1
            return failure(FailureKind.QUOTA)
        assert module.key not in self.made, f"carried out twice: {module}"
        self.made.add(module.key)
        self.modules[module.key] = module
        return Accepted("create", 200)


@dataclass
class ModelLedger:
    """What is on disk, and what the writer still gathers: a crash loses that, or a part of it."""

    rows: Sequence[OtaModule]
    dice: random.Random
    on_disk: dict[Key, Settlement] = field(default_factory=dict)
    _gathered: list[Settlement] = field(default_factory=list)

    def settle(self, settlement: Settlement) -> None:
        self._gathered.append(settlement)

    def note(self, attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        self._gathered.extend(settlements)
        await asyncio.sleep(0.01)
        self.commit()

    def commit(self) -> None:
        self.on_disk.update({settlement.module.key: settlement for settlement in self._gathered})
        self._gathered.clear()

    def crash(self) -> None:
        del self._gathered[self.dice.randint(0, len(self._gathered)) :]
        self.commit()

    def outcome(self, module: OtaModule) -> Outcome:
        return self.on_disk[module.key].outcome if module.key in self.on_disk else Outcome.PENDING

    def open_rows(self) -> tuple[Row, ...]:
        """As the query of that name does it."""
        rows = []
        for line, module in enumerate(self.rows, 2):
            record = self.on_disk.get(module.key)
            if record is None:
                rows.append(Row(line, module))
            elif record.outcome not in {Outcome.CREATED, Outcome.EXISTS}:
                in_doubt = record.in_doubt or record.outcome is Outcome.SENDING
                rows.append(Row(line, module, record.attempts, in_doubt))
        return tuple(rows)


def failure(kind: FailureKind) -> Failure:
    replied = kind not in {FailureKind.NOT_SENT, FailureKind.DOUBTFUL}
    return Failure(kind=kind, code=kind.value, message="as the script says", http_status=400 if replied else None)


async def run_once(platform: ModelPlatform, ledger: ModelLedger) -> bool:
    """Do what a run does with one product; return whether it came to its end."""
    stop = platform.stop = StopSignal()
    clock = asyncio.get_running_loop().time
    breaker = Breaker(now=clock())
    simulated = Clock(monotonic=clock, wall=clock)
    group = RateGroup(dict.fromkeys(Action, 0.0), clock=simulated)
    group.close_on(stop)
    session = Session(
        platform=platform,
        group=group,
        writer=ledger,
        breaker=breaker,
        counters=Counters(),
        stop=stop,
        listener=ignore,
        policy=RetryPolicy(max_attempts=MAX_ATTEMPTS),
        uniform=ledger.dice.uniform,
        clock=simulated,
    )
    rows = ledger.open_rows()
    try:
        if rows:
            await work_off(Lane(PRODUCT, rows), session)
    except CrashedError:
        ledger.crash()
        return False
    ledger.commit()
    return not stop.requested


def check_after_run(platform: ModelPlatform, ledger: ModelLedger, *, finished: bool) -> None:
    assert platform.customs() <= MAX_CUSTOM_MODULES
    if not platform.disturbed:
        assert platform.refused_for_the_limit == 0
    for module in ledger.rows:
        outcome = ledger.outcome(module)
        assert not finished or outcome not in {Outcome.PENDING, Outcome.SENDING}
        if outcome in {Outcome.CREATED, Outcome.EXISTS}:
            assert platform.modules[module.key] == module


async def check_convergence(platform: ModelPlatform, ledger: ModelLedger) -> None:
    """Check that nothing is left to be done once everything has been fine for two runs."""
    await run_once(platform, ledger)
    await run_once(platform, ledger)
    check_after_run(platform, ledger, finished=True)
    creates, before = platform.creates, dict(ledger.on_disk)
    await run_once(platform, ledger)

    assert platform.creates == creates
    outcomes = {module.key: ledger.outcome(module) for module in ledger.rows}
    assert outcomes == {key: before[key].outcome for key in outcomes}
    assert {key for key, outcome in outcomes.items() if outcome is Outcome.CREATED} >= platform.made
    free = MAX_CUSTOM_MODULES - platform.customs()
    lost = [key for key, outcome in outcomes.items() if outcome is Outcome.OVER_BUDGET]
    assert set(outcomes.values()) <= {Outcome.CREATED, Outcome.EXISTS, Outcome.DRIFTED, Outcome.OVER_BUDGET}
    assert not lost or free == 0


async def live(rows: Sequence[OtaModule], there: Sequence[OtaModule], script: list[Luck], seed: int) -> None:
    """Run again and again until the script is played; check after each run, and at the end."""
    platform = ModelPlatform({module.key: module for module in there}, script)
    ledger = ModelLedger(rows, random.Random(seed))
    for _ in range(RUNS):
        finished = await run_once(platform, ledger)
        check_after_run(platform, ledger, finished=finished)
        platform.disturbed |= platform.was_late
        if not platform.script:
            break
    platform.script.clear()
    await check_convergence(platform, ledger)


MODULES = [OtaModule(PRODUCT, f"Module-{number}", "alias", "desc") for number in range(13)]
FOREIGN = [OtaModule(PRODUCT, f"old-{number}") for number in range(10)]
THERE = [*FOREIGN, *MODULES[:3], OtaModule(PRODUCT, RESERVED_MODULE_NAME), OtaModule(PRODUCT, "MODULE-4")]

lives = {
    "rows": st.permutations(MODULES).flatmap(lambda order: st.integers(1, len(order)).map(lambda n: order[:n])),
    # Products that are nearly full are where it can go wrong.
    "there": st.integers(0, 9).flatmap(
        lambda most: st.lists(st.sampled_from(THERE), min_size=most // 2, max_size=9, unique=True)
    ),
    "script": st.lists(st.sampled_from(list(Luck)), max_size=30),
    "seed": st.integers(0, 2**16),
}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**lives)
def test_promises_hold_whatever_befalls_the_requests(
    in_simulated_time: Callable[..., None],
    rows: list[OtaModule],
    there: list[OtaModule],
    script: list[Luck],
    seed: int,
) -> None:
    in_simulated_time(live(rows, there, script, seed))


@pytest.mark.torture
@pytest.mark.timeout(900)
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**lives)
def test_promises_hold_in_many_lives(
    in_simulated_time: Callable[..., None],
    rows: list[OtaModule],
    there: list[OtaModule],
    script: list[Luck],
    seed: int,
) -> None:
    in_simulated_time(live(rows, there, script, seed))
