from __future__ import annotations

import pytest

from bulk.control.breaker import Breaker
from bulk.model import Action, Failure, FailureKind
from bulk.settings import FailureCap


def fail(
    breaker: Breaker,
    kind: FailureKind,
    code: str = "code",
    *,
    at: float = 0.0,
    action: Action = Action.CREATE,
    key: str = "row",
) -> str | None:
    return breaker.failed(failure(kind, code), action=action, key=key, sent_at=at, now=at)


def failure(kind: FailureKind, code: str = "code") -> Failure:
    return Failure(kind=kind, code=code, message="message")


@pytest.mark.parametrize("kind", [FailureKind.NOT_SENT, FailureKind.DOUBTFUL])
def test_a_dead_endpoint_stops_the_run_within_a_minute(kind: FailureKind) -> None:
    breaker = Breaker(now=0.0)

    reasons = [(second, fail(breaker, kind, "timeout", at=float(second))) for second in range(0, 60, 5)]

    first, reason = next((second, reason) for second, reason in reasons if reason)
    assert 30 <= first < 60
    assert "out of reach" in reason
    assert "timeout, message" in reason


def test_the_reason_for_stopping_has_the_remedy_of_the_last_failure() -> None:
    breaker = Breaker(now=0.0)
    no_file = Failure(
        kind=FailureKind.NOT_SENT, code="too_many_files", message="no file", remedy="Raise the limit of open files."
    )

    reasons = [
        breaker.failed(no_file, action=Action.LIST, key=at, sent_at=float(at), now=float(at)) for at in range(0, 60, 5)
    ]

    reason = next(reason for reason in reasons if reason)
    assert reason.endswith("the last: too_many_files, no file. Raise the limit of open files.")


def test_a_platform_that_answers_with_errors_alone_gives_no_proper_answer() -> None:
    breaker = Breaker(now=0.0)
    down = Failure(kind=FailureKind.DOUBTFUL, code="http_503", message="HTTP 503", http_status=503)

    reasons = [
        breaker.failed(down, action=Action.LIST, key=at, sent_at=float(at), now=float(at)) for at in range(0, 60, 5)
    ]

    reason = next(reason for reason in reasons if reason)
    assert "without a proper answer, the last: http_503, HTTP 503." in reason
    assert reason.endswith("The platform or a proxy before it is down: run again later.")


def test_one_answer_in_between_keeps_the_run_going() -> None:
    breaker = Breaker(now=0.0)

    reasons = []
    for second in range(0, 600, 5):
        reasons.append(fail(breaker, FailureKind.NOT_SENT, at=float(second)))
        if second % 30 == 0:
            breaker.succeeded(Action.CREATE, "another", now=float(second))

    assert reasons == [None] * len(reasons)


def test_failures_after_a_long_quiet_time_are_no_outage() -> None:
    breaker = Breaker(now=0.0)

    assert [fail(breaker, FailureKind.DOUBTFUL, at=3600.0 + second) for second in range(10)] == [None] * 10


def test_an_endpoint_that_hangs_stops_a_run_of_one_lane_within_a_minute() -> None:
    breaker = Breaker(now=0.0)
    silence = failure(FailureKind.DOUBTFUL, "timeout")
    sent = [0.0, 10.5, 21.5, 33.5, 47.5]

    reasons = [breaker.failed(silence, action=Action.CREATE, key="row", sent_at=at, now=at + 10.0) for at in sent]

    assert reasons[:3] == [None] * 3
    assert "in 44 s without an answer" in (reasons[3] or "")


def test_a_refusal_is_an_answer() -> None:
    breaker = Breaker(now=0.0)

    for second in range(0, 100, 5):
        assert fail(breaker, FailureKind.NOT_SENT, at=float(second)) is None
        assert fail(breaker, FailureKind.REFUSED, at=float(second)) is None


def test_throttling_is_borne_for_minutes_but_not_for_ever() -> None:
    breaker = Breaker(now=0.0)

    assert fail(breaker, FailureKind.THROTTLED, at=500.0) is None
    assert "throttled without a break for 10 minutes" in (fail(breaker, FailureKind.THROTTLED, at=600.0) or "")


@pytest.mark.parametrize("kind", [FailureKind.UNRECOGNISED, FailureKind.DENIED])
def test_a_storm_of_one_code_stops_the_run(kind: FailureKind) -> None:
    breaker = Breaker(now=0.0)

    reasons = [fail(breaker, kind, "iot.new.Code", at=0.0) for _ in range(20)]

    assert reasons[:19] == [None] * 19
    assert "iot.new.Code" in (reasons[19] or "")


def test_an_accepted_create_ends_a_storm() -> None:
    breaker = Breaker(now=0.0)

    for _ in range(10):
        for _ in range(19):
            assert fail(breaker, FailureKind.UNRECOGNISED, at=0.0) is None
        breaker.succeeded(Action.CREATE, "another", now=0.0)


def test_listings_that_succeed_do_not_end_a_storm_of_creates() -> None:
    breaker = Breaker(now=0.0)

    reasons = []
    for _ in range(20):
        breaker.succeeded(Action.LIST, "product", now=0.0)
        reasons.append(fail(breaker, FailureKind.UNRECOGNISED, at=0.0))

    assert reasons[-1] is not None


def test_different_codes_are_no_storm() -> None:
    breaker = Breaker(now=0.0)

    for number in range(100):
        assert fail(breaker, FailureKind.UNRECOGNISED, f"code-{number % 2}", at=0.0) is None


def test_another_refusal_ends_a_storm() -> None:
    breaker = Breaker(now=0.0)

    for _ in range(10):
        for _ in range(19):
            assert fail(breaker, FailureKind.UNRECOGNISED, at=0.0) is None
        assert fail(breaker, FailureKind.REFUSED, at=0.0) is None


def test_documented_refusals_are_no_storm() -> None:
    breaker = Breaker(now=0.0)

    for _ in range(100):
        assert fail(breaker, FailureKind.PRODUCT, at=0.0) is None


def test_max_failures_bears_exactly_so_many_rows() -> None:
    breaker = Breaker(now=0.0, max_failures=FailureCap.parse("2"))

    reasons = [breaker.settled(failed=failed) for failed in (True, False, True, False, True)]

    assert reasons[:4] == [None] * 4
    assert "3 rows failed; the limit is 2 (--max-failures)" in (reasons[4] or "")


def test_one_failed_row_is_one_row() -> None:
    breaker = Breaker(now=0.0, max_failures=FailureCap.parse("0"))

    assert str(breaker.settled(failed=True)).startswith("1 row failed; the limit is 0 (--max-failures)")


def test_max_failures_zero_stops_at_the_first() -> None:
    breaker = Breaker(now=0.0, max_failures=FailureCap.parse("0"))

    assert breaker.settled(failed=True) is not None


def test_max_failures_as_a_share_looks_from_the_hundredth_row_on() -> None:
    breaker = Breaker(now=0.0, max_failures=FailureCap.parse("10%"))

    early = [breaker.settled(failed=True) for _ in range(11)] + [breaker.settled(failed=False) for _ in range(88)]
    hundredth = breaker.settled(failed=True)

    assert early == [None] * 99
    assert "12.0% of the rows failed" in (hundredth or "")


def test_without_a_cap_any_number_of_rows_may_fail() -> None:
    breaker = Breaker(now=0.0)

    assert [breaker.settled(failed=True) for _ in range(1_000)] == [None] * 1_000


def test_a_share_that_is_borne_is_borne() -> None:
    breaker = Breaker(now=0.0, max_failures=FailureCap.parse("50%"))

    reasons = [breaker.settled(failed=index % 4 == 0) for index in range(400)]

    assert reasons == [None] * 400


def test_an_action_that_is_down_stops_the_run_though_the_other_is_answered() -> None:
    breaker = Breaker(now=0.0)

    reasons = []
    for second in range(0, 60, 5):
        breaker.succeeded(Action.LIST, "product", now=float(second))
        reasons.append(fail(breaker, FailureKind.DOUBTFUL, "http_503", at=float(second), key=f"row {second}"))

    assert reasons[:8] == [None] * 8
    assert "out of reach for CreateOTAModule" in (reasons[8] or "")


def test_one_row_alone_is_not_blamed_for_half_a_minute_while_only_listings_are_answered() -> None:
    breaker = Breaker(now=0.0)

    blamed = []
    for second in range(0, 60, 5):
        fail(breaker, FailureKind.DOUBTFUL, "ServiceUnavailable", at=float(second))
        breaker.succeeded(Action.LIST, "product", now=float(second))
        blamed.append(not breaker.is_silent(Action.CREATE))

    assert blamed == [second >= 30 for second in range(0, 60, 5)]


def test_a_row_that_always_fails_does_not_stop_the_run_while_listings_are_answered() -> None:
    breaker = Breaker(now=0.0)

    for second in range(0, 600, 5):
        breaker.succeeded(Action.LIST, "product", now=float(second))
        assert fail(breaker, FailureKind.DOUBTFUL, "InternalError", at=float(second)) is None
        assert not breaker.is_out(Action.CREATE)


def test_rows_that_failed_while_others_were_answered_are_no_sign_of_an_outage() -> None:
    breaker = Breaker(now=0.0)
    for row in ("a", "b"):
        fail(breaker, FailureKind.DOUBTFUL, key=row)
        breaker.succeeded(Action.CREATE, "another", now=0.0)

    for row in ("a", "b", "a", "b"):
        fail(breaker, FailureKind.DOUBTFUL, key=row)
        breaker.succeeded(Action.LIST, "product", now=0.0)
        assert not breaker.is_silent(Action.CREATE)
    fail(breaker, FailureKind.DOUBTFUL, key="c")
    fail(breaker, FailureKind.DOUBTFUL, key="d")

    assert breaker.is_silent(Action.CREATE)


def test_a_row_that_is_answered_at_last_is_as_good_as_any_other() -> None:
    breaker = Breaker(now=0.0)
    fail(breaker, FailureKind.DOUBTFUL, key="a")
    breaker.succeeded(Action.CREATE, "b", now=0.0)
    breaker.succeeded(Action.CREATE, "a", now=0.0)

    fail(breaker, FailureKind.DOUBTFUL, key="a")

    assert breaker.is_silent(Action.CREATE)


def test_what_never_left_is_never_the_rows_trouble() -> None:
    breaker = Breaker(now=0.0)
    fail(breaker, FailureKind.NOT_SENT, key="a")
    breaker.succeeded(Action.CREATE, "b", now=0.0)

    fail(breaker, FailureKind.NOT_SENT, key="a")

    assert breaker.is_silent(Action.CREATE)


def test_others_wait_from_the_third_failure_in_a_row_until_an_answer() -> None:
    breaker = Breaker(now=0.0)

    out = []
    for row in "abc":
        fail(breaker, FailureKind.DOUBTFUL, key=row)
        out.append(breaker.is_out(Action.CREATE))
    breaker.answered(Action.CREATE, "a")

    assert out == [False, False, True]
    assert not breaker.is_out(Action.CREATE)


def test_a_time_in_which_the_machine_slept_is_no_outage() -> None:
    breaker = Breaker(now=0.0)
    lost = failure(FailureKind.DOUBTFUL, "timeout")

    reasons = [breaker.failed(lost, action=Action.LIST, key=row, sent_at=10.0, now=3610.0 + row) for row in range(8)]

    assert reasons == [None] * 8
