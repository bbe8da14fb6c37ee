"""Never past ten: slots are counted by what the lane itself has made, not by its listings alone."""

from __future__ import annotations

from bulk.engine.sync.account import AccountWork
from bulk.engine.sync.work import work_off_changes
from bulk.ledger.planning import PlannedWork, ProductWork
from bulk.model import Change, ChangeKind, FailureKind, OtaModule, Outcome, Row
from tests.unit.engine.lanes.change_bench import Bench, failure, listing

PRODUCT = "p1"


async def test_a_listing_that_lags_does_not_free_the_slots_of_what_was_just_made() -> None:
    """The listing for the second create, whose reply was lost, shows neither it nor the first one."""
    there = [OtaModule(PRODUCT, f"m{index}") for index in range(8)]
    creates = [Change(ChangeKind.CREATE, OtaModule(PRODUCT, name), line=line) for line, name in enumerate("abc", 2)]
    work = tuple(PlannedWork(Row(change.line or 0, change.wanted), change, None) for change in creates)
    bench = Bench(listings=[listing(*there)])
    account = AccountWork(session=bench.session(creates[1]), writer=bench, run_id="r1")

    def lose_second(number: int) -> None:
        if number == 3:
            bench.answers.append(failure(FailureKind.DOUBTFUL))

    bench.at_request = lose_second

    await work_off_changes(ProductWork(product_key=PRODUCT, rows=tuple(each.row for each in work), work=work), account)

    assert bench.sent == ["list", "create", "create", "list", "create"]
    assert [one.outcome for one in bench.settled()] == [Outcome.CREATED, Outcome.CREATED, Outcome.OVER_BUDGET]
