"""One account's requests: where they wait, when they give up their place, and what their answers lead to."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.wire.transport import at_once
from bulk.control.breaker import Breaker
from bulk.control.pace import Pace
from bulk.control.retry import RetryPolicy
from bulk.engine.looking.looker import Looker
from bulk.engine.sessions.calls import Calls
from bulk.engine.sessions.gate import Gate
from bulk.engine.sessions.notes import Notes
from bulk.engine.sessions.requests import Way, spoken
from bulk.engine.stop import StopSignal
from bulk.errors import TurnMissedError
from bulk.events import AttemptMade, Event, RateChanged
from bulk.model import Action, Failure, FailureKind, Listing, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.wire.transport import Leave
    from bulk.model import Change

SILENT = Failure(kind=FailureKind.DOUBTFUL, code="timeout", message="no answer")
DENIED = Failure(kind=FailureKind.DENIED, code="Forbidden", message="no right", http_status=403, permission="iot:List")
OVERDUE = Failure(kind=FailureKind.FATAL, code="Overdue", message="pay", http_status=400)
THROTTLED = Failure(kind=FailureKind.THROTTLED, code="Throttling", message="slow down", http_status=400)


@dataclass
class Platform:
    """Answers by script, then always well."""

    script: list[Any] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    during: Callable[[], None] = lambda: None
    """Called while a request is on its way."""

    async def list_modules(self, product_key: str, /, *, leave: Leave = at_once) -> Any:
        return await self._answer(product_key, leave, Listing((), "R", 200))

    async def list_packages(self, product_key: str | None, /, *, page: int = 1, leave: Leave = at_once) -> Any:
        return await self._answer(str(product_key), leave, Page((), page, 1, 0, "R", 200))

    async def list_products(self, *, page: int = 1, leave: Leave = at_once) -> Any:
        return await self._answer("", leave, Page((), page, 1, 0, "R", 200))

    async def show_product(self, _product_key: str, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def apply(self, _change: Change, /, **_: object) -> Failure:
        raise AssertionError("nobody changes anything here")

    async def _answer(self, subject: str, leave: Leave, well: Any) -> Any:
        if not leave():
            raise TurnMissedError("too late")
        self.asked[subject] += 1
        self.during()
        return self.script.pop(0) if self.script else well


@dataclass
class Bench:
    """An account's way to the platform, at a pace of so many listings a second; 0: unlimited."""

    per_s: float = 0.0
    now: float = 10_000.0
    on_look: Callable[[], None] = lambda: None
    """Called each time somebody looks at the clock."""

    has_right: bool = True
    platform: Platform = field(default_factory=Platform)
    stop: StopSignal = field(default_factory=StopSignal)
    events: list[Event] = field(default_factory=list)
    breaker: Breaker = field(default_factory=lambda: Breaker(now=0.0))

    def __post_init__(self) -> None:
        self.gate = Gate(Pace(self.per_s, now=0.0), clock=self.clock, may_send=lambda: self.has_right)
        self.way = self.way_of(self.stop)

    def clock(self) -> float:
        self.on_look()
        return self.now

    def way_of(self, stop: StopSignal) -> Way:
        actions = (Action.LIST, Action.LIST_PACKAGES, Action.LIST_PRODUCTS)
        return Way(
            gates=dict.fromkeys(actions, self.gate),
            policy=RetryPolicy(max_attempts=2, first_s=0.0),
            breaker=self.breaker,
            notes=Notes(listener=self.events.append),
            stop=stop,
            listener=self.events.append,
            clock=self.clock,
        )

    def looker(self) -> Looker:
        return Looker(self.platform, self.way)

    def break_down(self) -> None:
        """Let others' requests for listings get no answer: with the next one, it is an outage."""
        for number in range(5):
            self.breaker.failed(SILENT, action=Action.LIST, key=(f"p{number}", None), sent_at=0.0, now=0.0)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def attempts(events: list[Event]) -> list[str | None]:
    return [event.attempt.code for event in events if isinstance(event, AttemptMade)]


async def test_stop_sends_home_the_one_that_probes_and_those_behind_it() -> None:
    bench = Bench(per_s=0.001)
    bench.break_down()
    bench.platform.script = [SILENT]
    looker = bench.looker()
    probing = asyncio.ensure_future(looker.list_modules("a1A"))
    await turns()
    waiting = asyncio.ensure_future(looker.list_modules("a1B"))
    await turns()
    assert looker.held_back

    bench.stop.request("enough")
    await turns()

    assert (probing.done(), waiting.done()) == (True, True)
    assert (await probing, await waiting) == (None, None)
    assert bench.platform.asked == {"a1A": 1}


async def test_probe_that_is_cancelled_in_the_queue_leaves_its_turn_to_the_next() -> None:
    bench = Bench(per_s=0.001)
    bench.break_down()
    bench.platform.script = [SILENT]
    looker = bench.looker()
    probing = asyncio.ensure_future(looker.list_modules("a1A"))
    await turns()
    waiting = asyncio.ensure_future(looker.list_modules("a1B"))
    await turns()
    assert bench.gate.waiting == 1

    probing.cancel()
    await turns()

    assert probing.cancelled()
    assert bench.gate.waiting == 1  # the next one probes now
    bench.stop.request("enough")
    assert await waiting is None


async def test_request_that_is_released_as_its_account_stops_gives_its_place_back() -> None:
    bench = Bench(per_s=1_000.0)
    looker = bench.looker()
    await looker.list_modules("a1A")
    late = asyncio.ensure_future(looker.list_modules("a1B"))
    await asyncio.sleep(0)
    assert bench.gate.waiting == 1

    # Its place is released, and before it goes its account stops alone.
    bench.now += 0.0011

    def stop_at_once() -> None:
        asyncio.get_running_loop().call_soon(bench.stop.request, "enough")

    bench.on_look = stop_at_once

    assert await late is None
    assert bench.platform.asked == {"a1A": 1}
    # Another account of the group makes up for it: its second request leaves sooner than one step after the first.
    for later_s in (0.0011, 0.0006):
        bench.now += later_s
        other = asyncio.ensure_future(bench.gate.acquire())
        await turns()
        assert other.done()


async def test_denied_packages_are_an_answer_and_stop_nothing() -> None:
    bench = Bench()
    bench.platform.script = [DENIED, OVERDUE, OVERDUE]
    calls = Calls(bench.platform, bench.way)

    assert await calls.list_packages("a1A") == DENIED
    assert await calls.list_packages("a1A") == OVERDUE
    assert not bench.stop.requested
    assert await calls.list_modules("a1A") == OVERDUE
    assert bench.stop.reason == spoken(OVERDUE)


async def test_request_waits_for_the_right_to_send_and_this_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.engine.sessions.requests._WITHOUT_RIGHT_S", 0.0)
    bench = Bench()
    answers = iter([False, False, True, True])
    bench.gate.may_send = lambda: next(answers)

    assert isinstance(await bench.looker().list_modules("a1A"), Listing)

    assert attempts(bench.events) == [None]


async def test_stop_ends_the_wait_for_the_right_to_send() -> None:
    bench = Bench(has_right=False)
    waiting = asyncio.ensure_future(bench.looker().list_modules("a1A"))
    await turns()

    bench.stop.request("enough")

    assert await waiting is None
    assert bench.platform.asked == {}


async def test_request_that_misses_every_turn_has_not_left() -> None:
    bench = Bench()
    bench.platform.script = []
    missed: list[str] = []

    async def list_modules(product_key: str, /, **_: Any) -> Listing | Failure:
        missed.append(product_key)
        if len(missed) > 10:
            return Listing((), "R", 200)
        raise TurnMissedError("no connection in time")

    bench.platform.list_modules = list_modules  # type: ignore[method-assign] # a platform that is never ready

    assert isinstance(await bench.looker().list_modules("a1A"), Listing)
    assert attempts(bench.events) == ["connect_timeout", None]


async def test_turn_missed_for_want_of_the_right_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.engine.sessions.requests._WITHOUT_RIGHT_S", 0.0)
    bench = Bench()
    # The right is there as the request waits, and is gone as it would leave: many more times than turns may be missed.
    answers = [True, False, False] * 30 + [True, True]
    bench.gate.may_send = lambda: answers.pop(0) if answers else True

    assert isinstance(await bench.looker().list_modules("a1A"), Listing)
    assert attempts(bench.events) == [None]


async def test_request_that_is_cancelled_on_its_way_is_noted_as_abandoned() -> None:
    bench = Bench()
    arrived = asyncio.Event()

    async def list_modules(_product_key: str, /, **_: Any) -> Listing | Failure:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    bench.platform.list_modules = list_modules  # type: ignore[method-assign] # a platform that is silent
    asking = asyncio.ensure_future(bench.looker().list_modules("a1A"))
    await arrived.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert attempts(bench.events) == ["abandoned"]


async def test_throttled_reply_lowers_the_rate_and_it_is_told() -> None:
    bench = Bench(per_s=1_000.0)
    bench.platform.script = [THROTTLED]
    asking = asyncio.ensure_future(bench.looker().list_modules("a1A"))
    await turns()
    bench.stop.request("enough")
    await asking

    (changed,) = [event for event in bench.events if isinstance(event, RateChanged)]
    assert (changed.throttled, changed.asked_per_s) == (True, 1_000.0)
    assert changed.per_s < 1_000.0


async def test_answer_ends_an_outage_for_every_action() -> None:
    bench = Bench()
    bench.break_down()
    bench.platform.script = [SILENT]
    looker = bench.looker()
    progress: list[bool] = []
    looker.on_progress = lambda: progress.append(looker.held_back)

    assert isinstance(await looker.list_modules("a1A"), Listing)

    assert not looker.held_back
    assert progress == [False, True, False]


@pytest.mark.parametrize(
    ("message", "remedy", "said"),
    [
        ("No right", "Ask", "c: No right. Ask"),
        ("No right.", "Ask", "c: No right. Ask"),
        ("No right!", None, "c: No right!"),
    ],
)
def test_failure_is_a_sentence_and_its_remedy_another(message: str, remedy: str | None, said: str) -> None:
    assert spoken(Failure(kind=FailureKind.FATAL, code="c", message=message, remedy=remedy)) == said
