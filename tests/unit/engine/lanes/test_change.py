"""One change to its outcome: what its replies and the listings after them mean, by its kind."""

from __future__ import annotations

import pytest

from bulk.engine.lanes.change import Rest, is_unchanged
from bulk.model import Change, ChangeKind, FailureKind, OtaModule, Outcome
from tests.unit.engine.lanes.change_bench import (
    ANOTHER,
    CHANGED,
    CREATE,
    DELETE,
    DOUBTFUL,
    EXISTS,
    FOUND,
    GONE,
    KEY,
    MADE_AT,
    UPDATE,
    WANTED,
    Bench,
    failure,
    listing,
)


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
    assert settlement.written == (WANTED if change is UPDATE else None), "a delete writes no texts"


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
    ("found", "there", "is_same"),
    [
        ((None, None), ("", ""), True),
        (("", ""), (None, None), True),
        ((None, "d"), ("a", "d"), False),
        (("a", "d"), ("a", None), False),
    ],
)
def test_a_text_that_is_empty_and_one_that_is_left_out_are_the_same(
    found: tuple[str | None, str | None], there: tuple[str | None, str | None], is_same: bool
) -> None:
    before = OtaModule(KEY, "m0", *found, MADE_AT)

    assert is_unchanged(Change(ChangeKind.DELETE, before, before), OtaModule(KEY, "m0", *there, MADE_AT)) is is_same


def test_nothing_is_unchanged_where_nothing_was_found() -> None:
    assert not is_unchanged(CREATE, WANTED)


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
