from __future__ import annotations

import pytest

from bulk.ledger.views.history import FailedAttempts, Span, Traffic
from bulk.model import Action, FailureKind
from bulk.report.html.charts import draw, percentiles, window_of


@pytest.mark.parametrize(
    ("seconds", "slot_s"),
    [(1, 1), (240, 1), (241, 2), (3_600, 15), (5_000, 30), (86_400, 600), (40 * 86_400, 14_400)],
)
def test_slots_are_as_long_as_a_chart_of_240_points_needs(seconds: int, slot_s: int) -> None:
    window = window_of(Span("r1", 1_000, 1_000 + seconds - 1, 7))

    assert window == ("r1", 1_000, slot_s)
    assert -(-seconds // slot_s) <= 240


def test_percentiles_are_latencies_that_so_many_requests_did_not_exceed() -> None:
    assert percentiles({float(latency_ms): 1 for latency_ms in range(1, 101)}) == (50.0, 95.0, 99.0)


def test_one_request_is_every_percentile() -> None:
    assert percentiles({42.0: 1}) == (42.0, 42.0, 42.0)


def test_no_request_has_no_percentile() -> None:
    assert percentiles({}) == (None, None, None)


def test_rates_are_requests_a_second_of_their_slot() -> None:
    span = Span("r1", 1_000, 1_002, 15)
    sent = [
        Traffic(0, 0, 50.0, Action.CREATE, 10),
        Traffic(0, 0, 50.0, Action.LIST, 2),
        Traffic(0, 2, 80.0, Action.CREATE, 3),
    ]

    (chart,) = draw([span], sent, [], {"r1": 10.0})

    assert chart.at == [1_000, 1_001, 1_002]
    assert chart.per_s["create"] == [10.0, 0.0, 3.0]
    assert chart.per_s["list"] == [2.0, 0.0, 0.0]
    assert chart.p50_ms == [50.0, None, 80.0]
    assert (chart.requests, chart.asked_per_s) == ({"create": 13, "list": 2}, 10.0)


def test_last_slot_is_divided_by_the_seconds_that_it_lasted() -> None:
    span = Span("r1", 0, 480, 20)  # slots of 5 s, the last one of 1 s

    (chart,) = draw([span], [Traffic(0, 96, 50.0, Action.CREATE, 10)], [], {})

    assert chart.per_s["create"][-1] == 10.0


def test_only_throttled_requests_are_marked_as_such() -> None:
    failed = [
        FailedAttempts(0, 0, "Throttling.User", 400, 2),
        FailedAttempts(0, 0, "http_429", 429, 1),
        FailedAttempts(0, 1, "iot.system.SystemException", 200, 5),
    ]

    (chart,) = draw([Span("r1", 0, 1, 8)], [Traffic(0, 0, 9.0, Action.CREATE, 8)], failed, {})

    assert chart.throttled == [3, None]
    assert chart.throttled_in_all == 3


def test_class_that_was_recorded_goes_before_what_the_code_says() -> None:
    failed = [
        FailedAttempts(0, 0, "Throttling.User", 400, 2, FailureKind.REFUSED),
        FailedAttempts(0, 0, "SomethingNew", 400, 1, FailureKind.THROTTLED),
    ]

    (chart,) = draw([Span("r1", 0, 0, 3)], [Traffic(0, 0, 9.0, Action.CREATE, 3)], failed, {})

    assert chart.throttled_in_all == 1


def test_an_unlimited_run_asked_for_no_rate() -> None:
    (chart,) = draw([Span("r1", 0, 0, 1)], [Traffic(0, 0, 9.0, Action.CREATE, 1)], [], {"r1": 0.0})

    assert chart.asked_per_s is None
