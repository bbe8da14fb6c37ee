from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.gate import Gate
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.errors import TurnMissedError
from bulk.events import ignore
from bulk.model import (
    Accepted,
    Action,
    Change,
    ChangeKind,
    Failure,
    FailureKind,
    Lane,
    Listing,
    OtaModule,
    Outcome,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.model import Attempt, Settlement

KEY = "p1"


def module(name: str) -> OtaModule:
    return OtaModule(KEY, name)


def failure(kind: FailureKind, code: str = "code") -> Failure:
    status = None if kind is FailureKind.NOT_SENT else 400
    return Failure(kind=kind, code=code, message="message", http_status=status)


@dataclass
class ScriptedPlatform:
    """Answers creates by script, then always well; a listing shows what was made and what was there."""

    there: list[OtaModule] = field(default_factory=list)
    script: dict[str, list[Failure]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    listing_failures: list[Failure] = field(default_factory=list)
    turns_missed: int = 0
    """How many requests more can't leave in time."""

    hidden: int = 0
    """How many of the newest modules a listing does not show yet."""

    async def list_packages(self, _product_key: str | None, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for packages here")

    async def list_products(self, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, _product_key: str, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        self._leave()
        self.sent.append("list")
        if self.listing_failures:
            return self.listing_failures.pop(0)
        return Listing(tuple(self.there[: len(self.there) - self.hidden]), "R", 200)

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        wanted = change.wanted
        self._leave()
        self.sent.append(wanted.module_name)
        if self.script.get(wanted.module_name):
            return self.script[wanted.module_name].pop(0)
        self.there.append(wanted)
        return Accepted("R", 200)

    def _leave(self) -> None:
        if self.turns_missed:
            self.turns_missed -= 1
            raise TurnMissedError("no connection in time")


@dataclass
class Notebook:
    """A ledger that only remembers."""

    outcomes: dict[int, Settlement] = field(default_factory=dict)
    claims: list[list[int]] = field(default_factory=list)
    claimed: list[Settlement] = field(default_factory=list)

    def settle(self, settlement: Settlement) -> None:
        assert settlement.line is not None
        self.outcomes[settlement.line] = settlement

    def note(self, _attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        claimed = list(settlements)
        self.claimed += claimed
        self.claims.append([settlement.line for settlement in claimed if settlement.line is not None])


@dataclass
class Bench:
    platform: ScriptedPlatform
    notebook: Notebook
    counters: Counters
    stop: StopSignal
    breaker: Breaker = field(default_factory=lambda: Breaker(now=time.monotonic()))

    async def work_off(self, *rows: Row, max_attempts: int = 2) -> dict[int, str]:
        group = RateGroup(dict.fromkeys(Action, 0.0))
        group.close_on(self.stop)
        session = Session(
            platform=self.platform,
            group=group,
            writer=self.notebook,
            breaker=self.breaker,
            counters=self.counters,
            stop=self.stop,
            listener=ignore,
            policy=RetryPolicy(max_attempts=max_attempts, first_s=0.0),
            uniform=lambda _low, high: high,
        )
        await work_off(Lane(KEY, rows), session)
        return {line: settlement.outcome.value for line, settlement in self.notebook.outcomes.items()}


@pytest.fixture
def bench() -> Bench:
    return Bench(ScriptedPlatform(), Notebook(), Counters(), StopSignal())


def rows(*names: str) -> tuple[Row, ...]:
    return tuple(Row(line, module(name)) for line, name in enumerate(names, 2))


def blame(bench: Bench, name: str) -> None:
    """Let a row's create fail while another's is answered: what fails then is the row's own trouble."""
    bench.breaker.failed(
        failure(FailureKind.DOUBTFUL), action=Action.CREATE, key=module(name).key, sent_at=0.0, now=0.0
    )
    bench.breaker.answered(Action.CREATE, "another")


async def test_rows_are_listed_claimed_and_created_in_file_order(bench: Bench) -> None:
    outcomes = await bench.work_off(*rows("a", "b"))

    assert bench.platform.sent == ["list", "a", "b"]
    assert bench.notebook.claims == [[2, 3]]
    assert outcomes == {2: "created", 3: "created"}


async def test_a_claim_says_what_is_to_be_done_and_what_was_found(bench: Bench) -> None:
    await bench.work_off(*rows("a"))

    (claim,) = bench.notebook.claimed
    assert (claim.kind, claim.module, claim.found, claim.line) == (ChangeKind.CREATE, module("a"), None, 2)


async def test_a_request_that_could_not_leave_in_time_takes_another_turn_and_is_no_attempt(bench: Bench) -> None:
    bench.platform.turns_missed = 2

    outcomes = await bench.work_off(*rows("a"), max_attempts=1)

    assert outcomes == {2: "created"}
    assert bench.platform.sent == ["list", "a"]
    assert sum(bench.counters.requests.values()) == 2
    assert bench.counters.retries == 0


async def test_the_pace_measures_the_requests_that_were_carried_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = []
    monkeypatch.setattr(Gate, "answered", lambda _, released_at: measured.append(released_at))
    bench.platform.turns_missed = 1
    bench.platform.script["a"] = [failure(FailureKind.THROTTLED)]

    await bench.work_off(*rows("a", "b"))

    assert bench.platform.sent == ["list", "a", "a", "b"]
    assert len(measured) == 3
    assert measured == sorted(measured)


async def test_a_request_that_misses_turn_after_turn_fails_like_one_without_connection(bench: Bench) -> None:
    bench.platform.turns_missed = 11

    outcomes = await bench.work_off(*rows("a"))

    assert outcomes == {2: "created"}
    assert sum(bench.counters.requests.values()) == 2
    assert bench.counters.retries == 1


async def test_a_listing_that_lags_does_not_free_the_slots_of_what_was_just_made(bench: Bench) -> None:
    bench.platform.hidden = 2
    bench.platform.script["m7"] = [failure(FailureKind.DOUBTFUL)]

    outcomes = await bench.work_off(*rows(*(f"m{number}" for number in range(12))))

    assert len(bench.platform.there) == 10
    assert list(outcomes.values()).count("created") == 10
    assert list(outcomes.values()).count("over_budget") == 2
    assert "m10" not in bench.platform.sent


async def test_a_row_whose_create_may_still_come_keeps_its_slot(bench: Bench) -> None:
    bench.platform.there = [module(f"old-{number}") for number in range(9)]
    bench.platform.script["a"] = [failure(FailureKind.DOUBTFUL)] * 2
    blame(bench, "a")

    outcomes = await bench.work_off(*rows("a", "b"))

    assert outcomes == {2: "failed", 3: "over_budget"}
    assert "b" not in bench.platform.sent
    assert "1 by an earlier row that is still open" in (bench.notebook.outcomes[3].message or "")


async def test_a_row_in_doubt_from_an_earlier_run_that_is_refused_for_good_leaves_its_slot(bench: Bench) -> None:
    bench.platform.there = [module(f"old-{number}") for number in range(9)]
    bench.platform.script["a"] = [failure(FailureKind.REFUSED)]
    doubted, behind = rows("a", "b")

    outcomes = await bench.work_off(doubted._replace(in_doubt=True), behind)

    assert outcomes == {2: "failed", 3: "created"}


async def test_a_row_that_was_refused_for_good_leaves_its_slot_to_a_later_one(bench: Bench) -> None:
    bench.platform.there = [module(f"old-{number}") for number in range(9)]
    bench.platform.script["a"] = [failure(FailureKind.REFUSED)]

    outcomes = await bench.work_off(*rows("a", "b"))

    assert outcomes == {2: "failed", 3: "created"}
    assert bench.notebook.claims == [[2], [3]]


async def test_a_create_of_unknown_outcome_is_asked_about_before_it_is_sent_again(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.DOUBTFUL)]

    outcomes = await bench.work_off(*rows("a"))

    assert bench.platform.sent == ["list", "a", "list", "a"]
    assert outcomes == {2: "created"}
    assert bench.notebook.outcomes[2].attempts == 2


async def test_a_throttled_create_is_sent_again_without_asking_and_uses_up_no_attempt(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.THROTTLED)] * 5

    outcomes = await bench.work_off(*rows("a"), max_attempts=1)

    assert bench.platform.sent == ["list", *["a"] * 6]
    assert outcomes == {2: "created"}
    assert (bench.counters.throttled, bench.counters.retries) == (5, 5)


async def test_creates_that_never_left_fail_no_row_while_others_are_answered(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.NOT_SENT)] * 5

    outcomes = await bench.work_off(*rows("a"), max_attempts=1)

    assert bench.platform.sent == ["list", *["a"] * 6]
    assert outcomes == {2: "created"}


async def test_a_create_that_was_not_sent_is_no_request(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.NOT_SENT)]

    outcomes = await bench.work_off(*rows("a"))

    assert outcomes == {2: "created"}
    assert bench.counters.requests == {Action.LIST: 1, Action.CREATE: 1}


async def test_a_name_that_somebody_else_took_meanwhile_exists(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.EXISTS, "iot.ota.CreateOTAModuleNameExist")]
    listings = [Listing((), "R", 200), Listing((module("a"),), "R", 200)]

    async def list_modules(_product_key: str, /, **_: object) -> Listing:
        return listings.pop(0)

    bench.platform.list_modules = list_modules  # type: ignore[method-assign]  # two listings that differ

    outcomes = await bench.work_off(*rows("a"))

    assert outcomes == {2: "exists"}
    assert not bench.notebook.outcomes[2].recovered


async def test_an_unknown_product_fails_all_its_rows_without_sending_them(bench: Bench) -> None:
    bench.platform.listing_failures = [failure(FailureKind.PRODUCT, "iot.prod.NotExistedProduct")]

    outcomes = await bench.work_off(*rows("a", "b"))

    assert bench.platform.sent == ["list"]
    assert outcomes == {2: "failed", 3: "failed"}
    assert {settled.code for settled in bench.notebook.outcomes.values()} == {"iot.prod.NotExistedProduct"}


async def test_a_product_that_is_refused_at_its_first_create_sends_no_second(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.PRODUCT, "iot.Prod.NotProductOwner")]

    outcomes = await bench.work_off(*rows("a", "b", "c"))

    assert bench.platform.sent == ["list", "a"]
    assert outcomes == {2: "failed", 3: "failed", 4: "failed"}


async def test_the_platforms_word_that_a_product_is_full_is_believed(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.QUOTA, "iot.ota.CreateOTAModuleExceedLimit")]

    outcomes = await bench.work_off(*rows("a", "b"))

    assert bench.platform.sent == ["list", "a", "list"]
    assert outcomes == {2: "over_budget", 3: "over_budget"}


async def test_a_fatal_refusal_stops_the_run_and_leaves_the_rows_open(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.FATAL, "InvalidAccessKeyId.NotFound")]

    outcomes = await bench.work_off(*rows("a", "b"))

    assert outcomes == {2: "pending", 3: "pending"}
    assert bench.stop.exit_code == 3
    assert "InvalidAccessKeyId.NotFound" in (bench.stop.reason or "")


async def test_a_listing_that_keeps_failing_leaves_a_row_in_doubt_unknown(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.DOUBTFUL, "timeout")]
    listings: list[Listing | Failure] = [Listing((), "R", 200), *[failure(FailureKind.DOUBTFUL, "http_502")] * 2]

    async def list_modules(_product_key: str, /, **_: object) -> Listing | Failure:
        bench.breaker.answered(Action.LIST, "another product")
        return listings.pop(0)

    bench.platform.list_modules = list_modules  # type: ignore[method-assign]  # fails from the second on

    outcomes = await bench.work_off(*rows("a"))

    assert outcomes == {2: "unknown"}
    settled = bench.notebook.outcomes[2]
    assert (settled.code, settled.in_doubt) == ("timeout", True)
    assert "http_502" in (settled.message or "")


async def test_a_row_in_doubt_from_an_earlier_run_is_recovered_by_the_first_listing(bench: Bench) -> None:
    bench.platform.there = [module("a")]

    outcomes = await bench.work_off(Row(2, module("a"), attempts=1, in_doubt=True))

    assert bench.platform.sent == ["list"]
    assert outcomes == {2: "created"}
    assert bench.counters.recovered == 1


async def test_a_stop_gives_unsent_claims_back(bench: Bench) -> None:
    async def apply(change: Change, /, **_: object) -> Accepted:
        bench.stop.request("enough", exit_code=130)
        bench.platform.sent.append(change.wanted.module_name)
        return Accepted("R", 200)

    bench.platform.apply = apply  # type: ignore[method-assign]  # a stop comes while it is in flight

    outcomes = await bench.work_off(*rows("a", "b"))

    assert bench.platform.sent == ["list", "a"]
    assert outcomes == {2: Outcome.CREATED.value, 3: Outcome.PENDING.value}


async def test_what_a_stop_kept_from_being_sent_again_is_no_retry(bench: Bench) -> None:
    async def apply(change: Change, /, **_: object) -> Failure:
        bench.stop.request("enough", exit_code=130)
        bench.platform.sent.append(change.wanted.module_name)
        return failure(FailureKind.THROTTLED)

    bench.platform.apply = apply  # type: ignore[method-assign]  # a stop comes while it is in flight

    outcomes = await bench.work_off(*rows("a"))

    assert bench.platform.sent == ["list", "a"]
    assert outcomes == {2: "pending"}
    assert (bench.counters.throttled, bench.counters.retries) == (1, 0)


async def test_a_listing_that_is_repeated_is_a_retry(bench: Bench) -> None:
    bench.platform.listing_failures = [failure(FailureKind.THROTTLED)] * 2

    await bench.work_off(*rows("a"))

    assert bench.platform.sent == ["list", "list", "list", "a"]
    assert (bench.counters.throttled, bench.counters.retries) == (2, 2)


NAME_EXISTS = "iot.ota.CreateOTAModuleNameExist"


async def test_a_name_that_is_taken_is_listed_until_it_shows_and_not_sent_again(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.EXISTS, NAME_EXISTS)]
    listings = [Listing((), "R", 200)] * 3 + [Listing((module("a"),), "R", 200)]

    async def list_modules(_product_key: str, /, **_: object) -> Listing:
        bench.platform.sent.append("list")
        return listings.pop(0)

    bench.platform.list_modules = list_modules  # type: ignore[method-assign]  # shows late what is there

    outcomes = await bench.work_off(*rows("a"), max_attempts=4)

    assert bench.platform.sent == ["list", "a", "list", "list", "list"]
    assert outcomes == {2: "exists"}


async def test_a_name_that_is_taken_and_never_listed_is_in_doubt_and_keeps_its_slot(bench: Bench) -> None:
    bench.platform.there = [module(f"old-{number}") for number in range(9)]
    bench.platform.script["a"] = [failure(FailureKind.EXISTS, NAME_EXISTS)]

    outcomes = await bench.work_off(*rows("a", "b"), max_attempts=3)

    assert bench.platform.sent == ["list", "a", "list", "list", "list"]
    assert outcomes == {2: "unknown", 3: "over_budget"}
    assert not bench.notebook.outcomes[2].in_doubt
    assert "does not show it yet" in (bench.notebook.outcomes[2].message or "")


async def test_a_create_whose_reply_was_lost_is_ours_when_a_listing_shows_it_late(bench: Bench) -> None:
    bench.platform.script["a"] = [failure(FailureKind.DOUBTFUL), failure(FailureKind.EXISTS, NAME_EXISTS)]
    listings = [Listing((), "R", 200)] * 3 + [Listing((module("a"),), "R", 200)]

    async def list_modules(_product_key: str, /, **_: object) -> Listing:
        return listings.pop(0)

    bench.platform.list_modules = list_modules  # type: ignore[method-assign]  # shows late what is there

    outcomes = await bench.work_off(*rows("a"), max_attempts=4)

    assert outcomes == {2: "created"}
    assert bench.notebook.outcomes[2].recovered
