"""One change that is refused, or whose run stops: what is settled, and what stays in doubt."""

from __future__ import annotations

import pytest

from bulk.engine.lanes.change import Rest
from bulk.engine.stop import StopSignal
from bulk.events import RetryScheduled
from bulk.model import Change, ChangeKind, Failure, FailureKind, Listing, OtaModule, Outcome, Row
from tests.unit.engine.lanes.change_bench import (
    CREATE,
    DELETE,
    DOUBTFUL,
    FATAL,
    FOUND,
    HELD,
    KEY,
    QUOTA,
    REFUSED,
    THROTTLED,
    UPDATE,
    WANTED,
    Bench,
    failure,
    listing,
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


async def test_a_missing_right_to_create_stops_the_account() -> None:
    """Every run and every sync needs it."""
    bench = Bench([failure(FATAL, permission="iot:CreateOTAModule")])

    ending = await bench.run(CREATE)

    assert (ending.rest, [one.outcome for one in bench.settled()]) == (Rest.STOPPED, [Outcome.PENDING])
    assert bench.stop.requested


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


async def test_a_module_that_may_have_been_made_again_stays_in_doubt_if_the_run_stops() -> None:
    bench = Bench([failure(DOUBTFUL)], [failure(FATAL)])

    await bench.run(Change(ChangeKind.CREATE, WANTED))

    (settlement,) = bench.settled()
    assert (settlement.outcome, settlement.in_doubt) == (Outcome.UNKNOWN, True)


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
