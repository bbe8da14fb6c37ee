from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.control.retry import Next, RetryPolicy, Step
from bulk.model import Action, ChangeKind, Failure, FailureKind

POLICY = RetryPolicy(max_attempts=3)


def failure(kind: FailureKind, *, retry_after_s: float | None = None) -> Failure:
    return Failure(kind=kind, code="code", message="message", retry_after_s=retry_after_s)


def upper(_low: float, high: float) -> float:
    return high


def decide(kind: FailureKind, attempt: int = 1, action: Action = Action.CREATE) -> Step:
    return POLICY.decide(failure(kind), attempt, action=action, uniform=upper)


@pytest.mark.parametrize(
    ("kind", "follows"),
    [
        (FailureKind.NOT_SENT, Next.REPEAT),
        (FailureKind.THROTTLED, Next.REPEAT),
        (FailureKind.CLOCK, Next.REPEAT),
        (FailureKind.DOUBTFUL, Next.ASK),
        (FailureKind.EXISTS, Next.ASK),
        (FailureKind.QUOTA, Next.ASK),
        (FailureKind.PRODUCT, Next.FAIL_LANE),
        (FailureKind.DENIED, Next.FAIL_LANE),
        (FailureKind.HELD, Next.FAIL_ROW),
        (FailureKind.REFUSED, Next.FAIL_ROW),
        (FailureKind.UNRECOGNISED, Next.FAIL_ROW),
        (FailureKind.FATAL, Next.STOP_RUN),
    ],
)
def test_each_kind_of_failure_of_a_create_has_its_consequence(kind: FailureKind, follows: Next) -> None:
    assert decide(kind).next is follows


def test_every_kind_of_failure_is_decided() -> None:
    for action in Action:
        for kind in FailureKind:
            assert decide(kind, action=action).next in Next


def test_a_module_that_is_gone_is_asked_about_after_a_delete_and_fails_an_update() -> None:
    after_deletes = [decide(FailureKind.GONE, attempt, action=Action.DELETE) for attempt in (1, 2)]

    assert [(step.next, step.delay_s) for step in after_deletes] == [(Next.ASK, 0.0), (Next.ASK, 0.5)]
    assert decide(FailureKind.GONE, action=Action.UPDATE).next is Next.FAIL_ROW


@pytest.mark.parametrize("action", [action for action in Action if not action.is_change])
def test_a_doubtful_listing_is_simply_repeated(action: Action) -> None:
    assert decide(FailureKind.DOUBTFUL, action=action).next is Next.REPEAT


def test_a_listing_is_given_up_when_its_attempts_are_spent() -> None:
    assert decide(FailureKind.DOUBTFUL, attempt=3, action=Action.LIST).next is Next.FAIL_ROW


def test_a_doubtful_create_is_asked_about_also_when_its_attempts_are_spent() -> None:
    assert decide(FailureKind.DOUBTFUL, attempt=99).next is Next.ASK


@pytest.mark.parametrize("action", [kind.action for kind in ChangeKind])
@pytest.mark.parametrize("attempt", [1, 99])
def test_no_change_of_any_kind_is_repeated_blindly(action: Action, attempt: int) -> None:
    assert decide(FailureKind.DOUBTFUL, attempt, action=action).next is Next.ASK


def test_a_module_that_is_there_is_asked_about_at_once_and_then_at_growing_distances_as_listings_lag() -> None:
    waits = [decide(FailureKind.EXISTS, attempt).delay_s for attempt in (1, 2, 3)]

    assert waits == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("kind", [FailureKind.DOUBTFUL, FailureKind.NOT_SENT])
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("status", [None, 200, 503])
def test_nothing_is_given_up_while_nobody_is_answered(kind: FailureKind, action: Action, status: int | None) -> None:
    failed = replace(failure(kind, retry_after_s=60.0), http_status=status)

    step = POLICY.decide(failed, 3, action=action, uniform=upper, silent=True)

    assert step.next in {Next.REPEAT, Next.ASK}
    assert not step.spent
    assert step.after(3) == 1
    assert step.delay_s <= POLICY.silent_cap_s


@pytest.mark.parametrize("kind", [FailureKind.DOUBTFUL, FailureKind.EXISTS])
def test_the_last_attempt_is_known_as_the_last(kind: FailureKind) -> None:
    assert [decide(kind, attempt).spent for attempt in (1, 2, 3)] == [False, False, True]


def test_attempts_are_counted_one_by_one_and_throttled_ones_are_not() -> None:
    assert decide(FailureKind.DOUBTFUL, 2).after(2) == 3
    assert decide(FailureKind.THROTTLED, 2).after(2) == 2


def test_probes_of_an_outage_are_further_and_further_apart_up_to_eight_seconds() -> None:
    assert [POLICY.probe_s(number, upper) for number in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("action", Action)
def test_a_request_that_was_not_sent_uses_up_no_attempt_whoever_else_is_answered(action: Action) -> None:
    step = POLICY.decide(failure(FailureKind.NOT_SENT), 3, action=action, uniform=upper, silent=False)

    assert (step.next, step.spent, step.after(3)) == (Next.REPEAT, False, 3)


@pytest.mark.parametrize("kind", [FailureKind.THROTTLED, FailureKind.CLOCK])
def test_throttled_attempts_use_up_none(kind: FailureKind) -> None:
    step = decide(kind, attempt=99)

    assert (step.next, step.counts) == (Next.REPEAT, False)


def test_waits_double_up_to_their_ceiling() -> None:
    policy = RetryPolicy(max_attempts=99, first_s=0.5, cap_s=3.0)
    lost = failure(FailureKind.NOT_SENT)

    waits = [policy.decide(lost, attempt, action=Action.CREATE, uniform=upper).delay_s for attempt in range(1, 6)]

    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_wait_that_the_platform_asks_for_wins() -> None:
    busy = failure(FailureKind.DOUBTFUL, retry_after_s=7.0)

    assert POLICY.decide(busy, 1, action=Action.LIST, uniform=upper).delay_s == 7.0


@given(attempt=st.integers(1, 1_000_000), share=st.floats(0, 1), kind=st.sampled_from(FailureKind))
def test_every_wait_is_bounded_and_no_wait_is_negative(attempt: int, share: float, kind: FailureKind) -> None:
    policy = RetryPolicy(max_attempts=1_000_000)

    step = policy.decide(
        failure(kind), attempt, action=Action.CREATE, uniform=lambda low, high: low + share * (high - low)
    )

    assert 0 <= step.delay_s <= policy.cap_s
