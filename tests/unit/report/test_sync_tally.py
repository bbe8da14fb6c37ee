from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.events import (
    AccountStart,
    AccountStopped,
    Event,
    LaneClosed,
    LaneOpened,
    PhaseStarted,
    RetryScheduled,
    RowSettled,
    SyncPhase,
)
from bulk.model import NO_LINE, Action, OtaModule, Outcome, Settlement
from bulk.report.progress import plain_line, start_line
from bulk.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.report.conftest import Clock

RATES = dict.fromkeys((Action.CREATE, Action.LIST, Action.UPDATE, Action.DELETE), 10.0)


def settled(outcome: Outcome, *, line: int | None = 2, account: str = "") -> Event:
    return RowSettled(
        Settlement(
            line=None if line == NO_LINE else line,
            module=OtaModule("a1", "m"),
            outcome=outcome,
            at=0.0,
            account=account,
        )
    )


def looked(tally: Tally, products: int, *, account: str = "") -> None:
    for _ in range(products):
        tally(LaneOpened("a1", 1, account))
        tally(LaneClosed("a1", account))


@pytest.fixture
def tally(clock: Clock, make_started: Callable[..., Any]) -> Tally:
    tally = Tally(clock)
    tally(make_started(rows=100, outcomes={"created": 100}, rates=RATES, syncs=True))
    return tally


def test_look_counts_products(tally: Tally, clock: Clock) -> None:
    tally(PhaseStarted(phase=SyncPhase.LOOK, products=80))
    looked(tally, 20)
    clock.now += 2

    line = plain_line(tally.look())

    assert line.startswith("[2.0 s] 20 of 80 products looked at (25%); 10.0/s; 6.0 s left; 0 products at once, ")
    assert line.endswith("waiting for the rate limit")


def test_row_that_look_and_work_both_settle_counts_once(tally: Tally, clock: Clock) -> None:
    tally(PhaseStarted(phase=SyncPhase.LOOK, products=1))
    tally(settled(Outcome.DRIFTED))
    looked(tally, 1)
    tally(PhaseStarted(phase=SyncPhase.WORK, products=1, changes=2))
    for event in (settled(Outcome.SENDING), settled(Outcome.UPDATED)):
        tally(event)
    half = tally.look()
    tally(settled(Outcome.DELETED, line=None))
    clock.now += 1

    whole = tally.look()

    assert (half.settled, half.rows, dict(half.counts)) == (1, 2, {"updated": 1})
    assert dict(whole.counts) == {"updated": 1, "deleted": 1}
    assert "2 of 2 changes (100%); updated 1, deleted 1" in plain_line(whole)


def test_nothing_to_change_is_all_done(tally: Tally) -> None:
    tally(PhaseStarted(phase=SyncPhase.LOOK, products=3))
    looked(tally, 3)
    tally(PhaseStarted(phase=SyncPhase.WORK, products=0, changes=0))

    assert plain_line(tally.look()).startswith("[0.0 s] 0 of 0 changes (100%); 0.0/s; 0.0 s left")


def test_more_endings_than_changes_are_no_more_than_all(tally: Tally) -> None:
    tally(PhaseStarted(phase=SyncPhase.WORK, products=1, changes=1))
    for _ in range(3):  # a module that was made again after its swap failed
        tally(settled(Outcome.SURPLUS, line=None))

    assert (tally.look().settled, tally.look().rows) == (1, 1)


def test_accounts_are_in_phases_of_their_own(clock: Clock, make_started: Callable[..., Any]) -> None:
    tally = Tally(clock)
    start = AccountStart(target="https://h (tuya)", rows=4, outcomes={"created": 4}, rates=RATES)
    tally(make_started(rates=RATES, syncs=True, accounts={"cn": start, "eu": start, "us": start}))
    for account in ("cn", "eu"):
        tally(PhaseStarted(phase=SyncPhase.LOOK, products=10, account=account))
    looked(tally, 10, account="cn")
    looked(tally, 4, account="eu")
    tally(PhaseStarted(phase=SyncPhase.WORK, products=2, changes=6, account="cn"))
    tally(settled(Outcome.UPDATED, account="cn"))
    tally(AccountStopped(account="us", reason="the key is not known"))

    state = tally.look()
    by_name = {account.name: account for account in state.accounts}

    assert (state.phase, state.settled, state.rows) == (SyncPhase.LOOK, 14, 20)
    assert (by_name["cn"].settled, by_name["cn"].rows, by_name["cn"].phase) == (1, 6, SyncPhase.WORK)
    assert (by_name["eu"].settled, by_name["eu"].rows, by_name["eu"].is_done) == (4, 10, False)
    assert by_name["us"].stopped == "the key is not known"
    assert "accounts: 2 at work, 0 done, 1 stopped (us)" in plain_line(state)


def test_retry_is_named_while_it_is_new(tally: Tally) -> None:
    tally(PhaseStarted(phase=SyncPhase.LOOK, products=3))
    tally(
        RetryScheduled(
            action=Action.LIST, product_key="a1", line=None, attempt=1, delay_s=1.0, code="Throttling", message="m"
        )
    )

    assert "waiting for a retry after Throttling" in plain_line(tally.look())


def test_first_line_of_a_sync_says_what_it_is(make_started: Callable[..., Any]) -> None:
    line = start_line(make_started(run_id="cafe0001beef", rates=RATES, syncs=True))

    assert line == "Sync cafe0001: 1,000 rows, to https://h (tuya); ledger modules.csv.ledger.db"
