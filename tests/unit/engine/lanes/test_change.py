"""One change to its outcome: what its replies and the listings after them mean, by its kind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.change import ChangeWork, Ending, Rest
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.events import RetryScheduled, RowSettled
from bulk.model import (
    NO_LINE,
    Accepted,
    Action,
    Change,
    ChangeKind,
    Failure,
    FailureKind,
    Listing,
    OtaModule,
    Outcome,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk.events import Event
    from bulk.model import Attempt, Settlement

KEY, MADE_AT = "p1", "2026-01-01T00:00Z"
FOUND = OtaModule(KEY, "m0", "before", "d", MADE_AT)
WANTED = OtaModule(KEY, "m0", "after", "d")
CHANGED = OtaModule(KEY, "m0", "theirs", "d", MADE_AT)
ANOTHER = OtaModule(KEY, "m0", "before", "d", "2026-02-02T00:00Z")
"""Somebody deleted the module and made it again, with the same texts."""

CREATE = Change(ChangeKind.CREATE, WANTED, line=2)
UPDATE = Change(ChangeKind.UPDATE, WANTED, FOUND, 2)
DELETE = Change(ChangeKind.DELETE, FOUND, FOUND)

DOUBTFUL, GONE, EXISTS = FailureKind.DOUBTFUL, FailureKind.GONE, FailureKind.EXISTS
REFUSED, HELD, QUOTA = FailureKind.REFUSED, FailureKind.HELD, FailureKind.QUOTA
FATAL, THROTTLED = FailureKind.FATAL, FailureKind.THROTTLED


def failure(kind: FailureKind, *, permission: str | None = None, may_be_done: bool = False) -> Failure:
    return Failure(
        kind=kind, code=f"code.{kind}", message="no", http_status=400, permission=permission, may_be_done=may_be_done
    )


def listing(*modules: OtaModule) -> Listing:
    return Listing(modules, "L", 200)


@dataclass
class Bench:
    """A platform that answers by two scripts, and a ledger that only remembers."""

    answers: list[Failure] = field(default_factory=list)
    """To changes, then all are accepted."""

    listings: list[Listing | Failure] = field(default_factory=list)
    """The last one is repeated."""

    stop: StopSignal = field(default_factory=StopSignal)
    sent: list[str] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    at_request: Callable[[int], None] = lambda _: None
    """Called with the number of each request, starting at 1, before it is answered."""

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        self._arrives("list")
        return self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        self._arrives(change.kind)
        return self.answers.pop(0) if self.answers else Accepted("R", 200)

    async def list_packages(self, *_: object, **__: object) -> Failure:
        raise AssertionError("nobody asks for packages here")

    async def list_products(self, *_: object, **__: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, *_: object, **__: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    def settle(self, _settlement: Settlement) -> None:
        pass

    def note(self, _attempt: Attempt) -> None:
        pass

    def amend(self, _statement: str, *_: object) -> None:
        pass

    async def claim(self, _settlements: Iterable[Settlement]) -> None:
        pass

    async def run(self, change: Change, row: Row | None = None, *, max_attempts: int = 3) -> Ending:
        breaker = Breaker(now=time.monotonic())
        # Others are answered: what fails is then this change's own trouble, and its attempts are counted.
        breaker.failed(failure(DOUBTFUL), action=change.action, key=change.wanted.key, sent_at=0.0, now=0.0)
        breaker.answered(change.action, "another")
        group = RateGroup(dict.fromkeys(Action, 0.0))
        group.close_on(self.stop)
        session = Session(
            platform=self,
            group=group,
            writer=self,
            breaker=breaker,
            counters=Counters(),
            stop=self.stop,
            listener=self.heard.append,
            policy=RetryPolicy(max_attempts=max_attempts, first_s=0.0),
        )
        line = NO_LINE if change.line is None else change.line
        self.work = ChangeWork(row or Row(line, change.wanted), change, session)
        return await self.work.run()

    def settled(self) -> list[Settlement]:
        return [event.settlement for event in self.heard if isinstance(event, RowSettled)]

    def _arrives(self, what: str) -> None:
        self.sent.append(what)
        self.at_request(len(self.sent))


@pytest.mark.parametrize(
    ("change", "outcome"),
    [(CREATE, Outcome.CREATED), (UPDATE, Outcome.UPDATED), (DELETE, Outcome.DELETED)],
)
async def test_an_accepted_change_is_done_without_a_listing(change: Change, outcome: Outcome) -> None:
    bench = Bench()

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (ending.outcome, ending.rest, bench.sent) == (outcome, Rest.GO_ON, [change.kind])
    assert (settlement.outcome, settlement.recovered, settlement.attempts) == (outcome, False, 1)


@pytest.mark.parametrize(
    ("change", "there", "outcome"),
    [(CREATE, (WANTED,), Outcome.CREATED), (UPDATE, (WANTED,), Outcome.UPDATED), (DELETE, (), Outcome.DELETED)],
)
async def test_a_change_whose_reply_was_lost_is_recovered_by_a_listing_and_not_sent_again(
    change: Change, there: tuple[OtaModule, ...], outcome: Outcome
) -> None:
    bench = Bench([failure(DOUBTFUL)], [listing(*there)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (ending.outcome, bench.sent) == (outcome, [change.kind, "list"])
    assert (settlement.recovered, settlement.in_doubt, settlement.code) == (True, False, None)


@pytest.mark.parametrize(("change", "there"), [(CREATE, ()), (UPDATE, (FOUND,))])
async def test_a_change_that_was_surely_not_carried_out_is_sent_again(
    change: Change, there: tuple[OtaModule, ...]
) -> None:
    bench = Bench([failure(DOUBTFUL)], [listing(*there)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert bench.sent == [change.kind, "list", change.kind]
    assert (ending.in_doubt, settlement.recovered, settlement.attempts) == (True, False, 2)


@pytest.mark.parametrize(("change", "there"), [(CREATE, ()), (UPDATE, (FOUND,))])
async def test_a_change_that_never_succeeds_fails_when_its_attempts_are_spent(
    change: Change, there: tuple[OtaModule, ...]
) -> None:
    bench = Bench([failure(DOUBTFUL)] * 9, [listing(*there)])

    ending = await bench.run(change)

    assert bench.sent == [change.kind, "list"] * 3
    assert (ending.outcome, ending.in_doubt, ending.rest) == (Outcome.FAILED, True, Rest.GO_ON)


async def test_a_delete_in_doubt_is_given_back_for_a_new_decision() -> None:
    """The old claim alone never permits a second delete."""
    bench = Bench([failure(DOUBTFUL)], [listing(FOUND)])

    ending = await bench.run(DELETE)

    assert (ending.rest, ending.row and ending.row.in_doubt, bench.sent) == (Rest.ANEW, True, [DELETE.kind, "list"])
    assert bench.settled() == []
    assert bench.work.listing == listing(FOUND)


@pytest.mark.parametrize(
    ("there", "owned", "how"),
    [
        ((CHANGED,), None, "somebody else has changed the module"),
        ((ANOTHER,), False, "somebody else has changed the module"),
        ((), False, "the module is not there any more"),
    ],
)
async def test_an_update_is_not_sent_again_over_what_somebody_else_did(
    there: tuple[OtaModule, ...], owned: bool | None, how: str
) -> None:
    bench = Bench([failure(DOUBTFUL)], [listing(*there)])

    await bench.run(UPDATE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.owned, bench.sent) == (Outcome.MOVED, owned, [UPDATE.kind, "list"])
    assert settlement.message == f"no; {how}"


@pytest.mark.parametrize(("there", "owned"), [(CHANGED, None), (ANOTHER, False)])
async def test_a_delete_is_not_sent_again_if_somebody_uses_the_module(there: OtaModule, owned: bool | None) -> None:
    bench = Bench([failure(DOUBTFUL)], [listing(there)])

    await bench.run(DELETE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.code, settlement.owned) == (Outcome.SURPLUS, "changed", owned)
    assert bench.sent == [DELETE.kind, "list"]


# The platform says that the module is gone, or there already.


async def test_an_update_of_a_module_that_is_gone_has_moved_and_is_ours_no_more() -> None:
    bench = Bench([failure(GONE)])

    await bench.run(UPDATE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.owned, bench.sent) == (Outcome.MOVED, False, [UPDATE.kind])


async def test_a_delete_of_a_module_that_is_gone_is_believed_as_soon_as_a_listing_shows_it() -> None:
    bench = Bench([failure(GONE)], [listing(FOUND), listing()])

    ending = await bench.run(DELETE)

    (settlement,) = bench.settled()
    assert (ending.outcome, settlement.recovered, bench.sent) == (Outcome.DELETED, False, [DELETE.kind, "list", "list"])


@pytest.mark.parametrize(
    ("change", "kind", "there", "shows"),
    [
        (DELETE, GONE, (FOUND,), "still shows it"),
        (CREATE, EXISTS, (), "does not show it yet"),
    ],
)
async def test_reply_and_listings_that_disagree_to_the_end_leave_the_result_unknown(
    change: Change, kind: FailureKind, there: tuple[OtaModule, ...], shows: str
) -> None:
    bench = Bench([failure(kind)], [listing(*there)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (ending.outcome, bench.sent) == (Outcome.UNKNOWN, [change.kind, *["list"] * 3])
    assert settlement.message == f"no; but the product's listing {shows}: run again later"


async def test_a_module_that_was_gone_and_is_another_by_now_stays() -> None:
    bench = Bench([failure(GONE)], [listing(ANOTHER)])

    await bench.run(DELETE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.code, settlement.owned) == (Outcome.SURPLUS, "changed", False)


async def test_a_create_whose_name_somebody_took_exists_or_has_drifted() -> None:
    bench = Bench([failure(EXISTS)], [listing(), listing(CHANGED)])

    await bench.run(CREATE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.code, bench.sent) == (
        Outcome.DRIFTED,
        "code.exists",
        [CREATE.kind, "list", "list"],
    )


# Refusals.


@pytest.mark.parametrize(
    ("change", "kind", "outcome", "code"),
    [
        (CREATE, REFUSED, Outcome.FAILED, "code.refused"),
        (UPDATE, REFUSED, Outcome.FAILED, "code.refused"),
        (DELETE, REFUSED, Outcome.SURPLUS, "code.refused"),
        (DELETE, HELD, Outcome.SURPLUS, "package"),
    ],
)
async def test_a_refused_change_is_settled_by_its_kind(
    change: Change, kind: FailureKind, outcome: Outcome, code: str
) -> None:
    bench = Bench([failure(kind)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.code, ending.rest) == (outcome, code, Rest.GO_ON)
    assert bench.sent == [change.kind]


async def test_a_refused_product_is_said_to_the_rows_behind() -> None:
    bench = Bench([failure(FailureKind.PRODUCT)])

    ending = await bench.run(UPDATE)

    assert (ending.rest, ending.outcome, ending.failure) == (
        Rest.REFUSED,
        Outcome.FAILED,
        failure(FailureKind.PRODUCT),
    )


@pytest.mark.parametrize("change", [UPDATE, DELETE])
async def test_a_missing_right_to_updates_or_deletes_settles_nothing_and_stops_nobody(change: Change) -> None:
    bench = Bench([failure(FATAL, permission="iot:X")])

    ending = await bench.run(change)

    assert (ending.rest, ending.in_doubt, bench.settled(), bench.stop.requested) == (Rest.DENIED, False, [], False)


@pytest.mark.parametrize(
    ("there", "outcome"),
    [(listing(), Outcome.OVER_BUDGET), (failure(REFUSED), Outcome.OVER_BUDGET), (listing(WANTED), Outcome.EXISTS)],
)
async def test_a_full_product_is_believed_unless_a_listing_shows_the_module(
    there: Listing | Failure, outcome: Outcome
) -> None:
    bench = Bench([failure(QUOTA)], [there])

    ending = await bench.run(CREATE)

    assert (ending.outcome, ending.rest) == (outcome, Rest.GO_ON if outcome is Outcome.EXISTS else Rest.FULL)


async def test_a_create_is_not_sent_again_if_others_took_the_last_slot_meanwhile() -> None:
    theirs = [OtaModule(KEY, f"theirs{index}") for index in range(10)]
    bench = Bench([failure(DOUBTFUL)], [listing(*theirs)])

    ending = await bench.run(CREATE)

    assert (ending.outcome, bench.sent) == (Outcome.OVER_BUDGET, [CREATE.kind, "list"])


# Stops.


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [(CREATE, Outcome.PENDING, None), (UPDATE, Outcome.PENDING, None), (DELETE, Outcome.SURPLUS, "stopped")],
)
async def test_a_claim_is_given_back_if_the_account_is_refused(
    change: Change, outcome: Outcome, code: str | None
) -> None:
    bench = Bench([failure(FATAL)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (ending.rest, settlement.outcome, settlement.code) == (Rest.STOPPED, outcome, code)
    assert bench.stop.requested


async def test_a_fatal_refusal_that_may_hide_a_carried_out_change_leaves_it_in_doubt() -> None:
    bench = Bench([failure(FATAL, may_be_done=True)])

    await bench.run(UPDATE)

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.in_doubt) == (Outcome.UNKNOWN, True)


async def test_a_module_that_was_to_be_made_again_is_deleted_if_the_run_stops_before() -> None:
    bench = Bench([failure(FATAL)])

    await bench.run(Change(ChangeKind.CREATE, WANTED))

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.code, settlement.line) == (Outcome.DELETED, "stopped", None)


@pytest.mark.parametrize(
    ("first", "stops_at", "outcome"),
    [
        (THROTTLED, 1, Outcome.PENDING),
        (DOUBTFUL, 1, Outcome.UNKNOWN),
        (DOUBTFUL, 2, Outcome.UNKNOWN),
    ],
    ids=["before it is repeated", "before the listing", "before the listing is repeated"],
)
async def test_a_stop_leaves_in_doubt_what_may_have_been_carried_out(
    first: FailureKind, stops_at: int, outcome: Outcome
) -> None:
    stop = StopSignal()
    bench = Bench([failure(first)], [failure(DOUBTFUL), listing(FOUND)], stop)
    bench.at_request = lambda number: stop.request("interrupted") if number == stops_at else None

    ending = await bench.run(UPDATE)

    (settlement,) = bench.settled()
    assert (ending.rest, len(bench.sent), settlement.outcome) == (Rest.STOPPED, stops_at, outcome)
    if outcome is Outcome.UNKNOWN:
        assert settlement.message
        assert settlement.message.startswith("an update may have been carried out")


async def test_a_listing_that_stops_the_account_leaves_the_change_in_doubt() -> None:
    bench = Bench([failure(DOUBTFUL)], [failure(FATAL)])

    ending = await bench.run(DELETE)

    (settlement,) = bench.settled()
    assert (ending.rest, settlement.outcome, settlement.code) == (Rest.STOPPED, Outcome.UNKNOWN, "stopped")


@pytest.mark.parametrize("change", [CREATE, UPDATE, DELETE])
async def test_a_change_in_doubt_is_unknown_if_its_product_cannot_be_listed(change: Change) -> None:
    bench = Bench([failure(DOUBTFUL)], [failure(REFUSED)])

    ending = await bench.run(change)

    (settlement,) = bench.settled()
    assert (ending.outcome, ending.in_doubt, settlement.in_doubt) == (Outcome.UNKNOWN, True, True)
    assert settlement.message == "no; and the listing that would show it failed: code.refused, no"


# What is noted.


@pytest.mark.parametrize(("known", "expected"), [(10.0, 10.0), (9e12, None)])
async def test_the_first_doubt_is_kept(known: float, expected: float | None) -> None:
    """A module that was made after it may be this ledger's."""
    bench = Bench([failure(DOUBTFUL)], [failure(REFUSED)])
    row = Row(2, WANTED)._replace(in_doubt=True, doubted=ChangeKind.CREATE, doubted_since=known)

    ending = await bench.run(CREATE, row)

    assert ending.row is not None
    assert ending.row.doubted_since is not None
    assert (ending.row.doubted_since == expected) if expected else (ending.row.doubted_since < known)


@pytest.mark.parametrize(("change", "line"), [(UPDATE, 2), (Change(ChangeKind.CREATE, WANTED), None)])
async def test_a_retry_is_announced_with_the_line_of_its_row_if_it_has_one(change: Change, line: int | None) -> None:
    bench = Bench([failure(THROTTLED)])

    await bench.run(change)

    (retry,) = [event for event in bench.heard if isinstance(event, RetryScheduled)]
    assert (retry.line, retry.attempt) == (line, 1)
