from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.events import (
    AccountStart,
    AccountStopped,
    AttemptMade,
    IngestProgressed,
    LaneClosed,
    LaneOpened,
    LookStarted,
    PlanStarted,
    RateChanged,
    RetryScheduled,
    RowSettled,
    RunStopping,
)
from bulk.model import Action, Attempt, OtaModule, Outcome, Settlement
from bulk.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tally(clock: Any) -> Tally:
    return Tally(clock)


def settled(outcome: Outcome) -> RowSettled:
    return RowSettled(Settlement(line=2, module=OtaModule("pk", "m"), outcome=outcome, at=0.0))


def attempted(action: Action) -> AttemptMade:
    return AttemptMade(
        Attempt(
            at=0.0,
            action=action,
            product_key="pk",
            module_name=None,
            http_status=200,
            code=None,
            request_id=None,
            latency_s=0.05,
        )
    )


def retry(code: str = "timeout") -> RetryScheduled:
    return RetryScheduled(
        action=Action.CREATE, product_key="pk", line=2, attempt=1, delay_s=1.0, code=code, message="m"
    )


def lowered(per_s: float, action: Action = Action.CREATE) -> RateChanged:
    return RateChanged(action=action, per_s=per_s, asked_per_s=10.0, throttled=True)


def test_plan_is_as_far_as_its_products_are_listed(tally: Tally, clock: Any) -> None:
    tally(IngestProgressed(50))
    tally(PlanStarted(10))
    before = tally.look()
    for product_key in ("pk1", "pk2"):
        tally(LaneOpened(product_key, 1))
        tally(LaneClosed(product_key))
    clock.now += 1.0

    after = tally.look()

    assert (before.products, before.listed, before.left_s) == (10, 0, None)
    assert (after.products, after.listed, after.left_s) == (10, 2, 4.0)


def test_rows_that_a_run_leaves_for_another_one_are_neither_done_nor_open(
    tally: Tally, make_started: Callable[..., Any]
) -> None:
    tally(make_started(outcomes={"pending": 900, "created": 100}, outside=850))

    state = tally.look()

    assert (state.rows, state.settled) == (150, 100)


def test_input_that_is_read_has_no_pace_yet(tally: Tally) -> None:
    tally(IngestProgressed(500))

    state = tally.look()
    assert (state.started, state.rows, state.settled, state.left_s) == (None, 500, 0, None)
    assert state.waiting_for == "the input to be read"


def test_settled_row_moves_from_open_to_its_outcome(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())

    tally(settled(Outcome.CREATED))
    tally(settled(Outcome.FAILED))

    state = tally.look()
    assert state.settled == 102
    assert state.counts == {"created": 101, "failed": 1}


def test_rows_that_are_settled_while_all_are_counted_are_not_lost(
    tally: Tally, make_started: Callable[..., Any]
) -> None:
    tally(IngestProgressed(1000))
    tally(lowered(4.0))
    tally(settled(Outcome.CREATED))
    before = tally.look()
    tally(make_started(outcomes={"pending": 900, "created": 100}))

    after = tally.look()

    assert (before.settled, before.counts) == (0, {})
    assert (after.settled, after.counts) == (101, {"created": 101})
    assert after.allowed_per_s == 4.0


def test_claim_is_no_outcome(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())

    tally(settled(Outcome.SENDING))

    assert tally.look().settled == 100


def test_rows_claimed_by_an_earlier_run_are_open(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started(rows=2, outcomes={"sending": 2}))

    tally(settled(Outcome.CREATED))

    state = tally.look()
    assert (state.settled, state.counts) == (1, {"created": 1})


def test_rows_that_failed_before_are_open_again(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started(rows=6, outcomes={"created": 3, "invalid": 1, "over_budget": 1, "failed": 1}))

    before = tally.look()
    tally(settled(Outcome.CREATED))
    tally(settled(Outcome.OVER_BUDGET))

    after = tally.look()
    assert (before.settled, before.counts) == (4, {"created": 3, "invalid": 1})
    assert (after.settled, after.counts) == (6, {"created": 4, "invalid": 1, "over_budget": 1})


def test_create_rate_is_that_of_the_last_seconds(tally: Tally, clock: Any, make_started: Callable[..., Any]) -> None:
    tally(make_started())
    for _ in range(30):
        clock.now += 1
        for _ in range(8):
            tally(attempted(Action.CREATE))
        tally(attempted(Action.LIST))
        tally.look()
    for _ in range(10):
        clock.now += 1
        tally(attempted(Action.CREATE))
        tally.look()

    assert tally.look().create_per_s == pytest.approx(1.0)


def test_time_left_follows_the_speed_of_this_run(tally: Tally, clock: Any, make_started: Callable[..., Any]) -> None:
    tally(make_started())
    clock.now += 10
    for _ in range(50):
        tally(settled(Outcome.EXISTS))

    assert tally.look().left_s == pytest.approx(850 / 5)


def test_time_left_is_guessed_from_the_granted_rate_at_first(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())

    assert tally.look().left_s == pytest.approx(90.0)


def test_first_look_after_ten_seconds_knows_the_speed(
    tally: Tally, clock: Any, make_started: Callable[..., Any]
) -> None:
    tally(make_started(rows=300, outcomes={"pending": 300}, rates={Action.CREATE: 10.0, Action.LIST: 10.0}))
    clock.now += 10.0
    for _ in range(96):
        tally(attempted(Action.CREATE))

    state = tally.look()

    assert state.create_per_s == pytest.approx(9.6)
    assert state.waiting_for == "the rate limit"


def test_time_left_is_unknown_while_nothing_is_settled(
    tally: Tally, clock: Any, make_started: Callable[..., Any]
) -> None:
    tally(make_started(rows=10, outcomes={"pending": 10}, rates={Action.CREATE: 10.0, Action.LIST: 10.0}))
    clock.now += 60.0

    assert tally.look().left_s is None


def test_time_left_is_unknown_at_first_without_a_limit(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started(rates={Action.CREATE: 0.0, Action.LIST: 10.0}))

    assert tally.look().left_s is None


def test_lanes_are_those_that_were_not_closed(tally: Tally) -> None:
    for event in (LaneOpened("a", 1), LaneOpened("b", 1), LaneClosed("a")):
        tally(event)

    assert tally.look().lanes == 1


def test_throttle_is_named_until_the_rate_is_back(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())
    tally(lowered(5.0))

    assert tally.look().waiting_for == "the platform's throttle"

    tally(lowered(10.0))

    assert "throttle" not in tally.look().waiting_for


def test_throttled_listings_leave_the_create_rate(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())

    tally(lowered(5.0, Action.LIST))

    assert tally.look().allowed_per_s == 10.0


def test_retry_is_named_for_a_while(tally: Tally, clock: Any, make_started: Callable[..., Any]) -> None:
    tally(make_started())
    tally(LaneOpened("pk", 1))
    tally(retry("timeout"))

    assert tally.look().waiting_for == "a retry after timeout"

    clock.now += 6

    assert tally.look().waiting_for == "the platform's replies"


def test_full_rate_waits_for_the_rate_limit(tally: Tally, clock: Any, make_started: Callable[..., Any]) -> None:
    tally(make_started())
    tally.look()
    clock.now += 10
    for _ in range(99):
        tally(attempted(Action.CREATE))

    assert tally.look().waiting_for == "the rate limit"


def test_stop_is_remembered_with_its_reason(tally: Tally) -> None:
    tally(RunStopping("interrupted by Ctrl-C"))

    assert tally.look().stopping == "interrupted by Ctrl-C"


def account(rows: int = 100, *, outside: int = 0) -> AccountStart:
    rates = {Action.CREATE: 10.0, Action.LIST: 10.0}
    return AccountStart(
        target="https://h (tuya)",
        rows=rows,
        outcomes={"pending": rows - 10, "created": 10},
        rates=rates,
        outside=outside,
    )


def settled_of(name: str) -> RowSettled:
    settlement = Settlement(line=2, module=OtaModule("pk", "m"), outcome=Outcome.CREATED, at=0.0, account=name)
    return RowSettled(settlement)


def test_run_without_accounts_has_none(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started())

    assert tally.look().accounts == ()


def test_each_account_is_counted_on_its_own_also_before_the_start(
    tally: Tally, make_started: Callable[..., Any]
) -> None:
    tally(settled_of("cn"))
    tally(make_started(accounts={"cn": account(), "eu": account(60, outside=20)}))
    tally(settled_of("cn"))
    tally(settled_of("eu"))

    cn, eu = tally.look().accounts

    assert (cn.name, cn.rows, cn.settled) == ("cn", 100, 12)
    assert (eu.name, eu.rows, eu.settled) == ("eu", 40, 11)


@pytest.mark.parametrize("count", [3, 150])
def test_time_left_is_that_of_the_slowest_account_at_work(
    tally: Tally, clock: Any, make_started: Callable[..., Any], count: int
) -> None:
    names = [f"factory-{number}" for number in range(count)]
    tally(make_started(accounts={name: account() for name in names}))
    tally(AccountStopped(account=names[0], reason="the key is not known"))
    clock.now += 10.0
    for name in names[1:]:
        for _ in range(45):
            tally(settled_of(name))
    for _ in range(30):
        tally(settled_of(names[1]))

    state = tally.look()

    assert [one.left_s for one in state.accounts[:3]] == [None, 2.0, 10.0]
    assert state.accounts[0].stopped == "the key is not known"
    assert state.left_s == 10.0


def test_account_that_stops_before_the_start_is_known(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(AccountStopped(account="eu", reason="no key"))
    tally(make_started(accounts={"cn": account()}))

    assert [(one.name, one.stopped) for one in tally.look().accounts] == [("cn", None), ("eu", "no key")]


def test_time_left_is_not_known_where_an_account_at_work_settles_nothing(
    tally: Tally, clock: Any, make_started: Callable[..., Any]
) -> None:
    tally(make_started(accounts={"cn": account(), "eu": account()}))
    clock.now += 60.0
    tally(settled_of("cn"))

    assert tally.look().left_s is None


def test_account_with_nothing_left_takes_no_time(tally: Tally, make_started: Callable[..., Any]) -> None:
    tally(make_started(accounts={"cn": account(10), "eu": account(60)}))

    cn, eu = tally.look().accounts

    assert (cn.left_s, cn.is_done) == (0.0, True)
    assert eu.left_s == 5.0


def test_look_is_as_far_as_its_products_are_listed(tally: Tally) -> None:
    tally(LookStarted("Exporting", 4))
    tally(LaneOpened("pk1", 0))
    tally(LaneClosed("pk1"))

    state = tally.look()

    assert (state.products, state.listed, state.doing) == (4, 1, "Exporting")
