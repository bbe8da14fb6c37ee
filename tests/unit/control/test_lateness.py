from __future__ import annotations

import random

import pytest

from bulk.control.lateness import Lateness


def measured(lateness: Lateness, latencies_s: list[float], *, since: float = 0.0, every_s: float = 0.1) -> float:
    """Measure one answer after another, and return when the next would be."""
    for number, latency_s in enumerate(latencies_s):
        lateness.measure(latency_s, since + number * every_s)
    return since + len(latencies_s) * every_s


def evenly(low_s: float, high_s: float, count: int = 200) -> list[float]:
    uniform = random.Random(1).uniform
    return [uniform(low_s, high_s) for _ in range(count)]


def test_nothing_is_concluded_from_few_answers() -> None:
    lateness = Lateness(0.020)

    measured(lateness, [0.015] * 29)

    assert not lateness.is_known
    assert lateness.margin_s == pytest.approx(0.020 / 0.95)


def test_answers_that_take_the_same_time_are_not_late() -> None:
    lateness = Lateness(0.020)

    measured(lateness, [0.015] * 200)

    assert lateness.measure(0.015, 20.0) == (0.0, 0.0)
    assert lateness.margin_s == pytest.approx(0.001 / 0.9)


def test_half_of_an_even_spread_is_the_margin() -> None:
    lateness = Lateness(0.020)

    measured(lateness, evenly(0.005, 0.025))

    assert 0.010 < lateness.margin_s < 0.0145


def test_lateness_is_what_an_answer_takes_longer_than_the_quickest() -> None:
    lateness = Lateness(0.020)
    measured(lateness, evenly(0.005, 0.025))

    late_s, _ = lateness.measure(0.0205, 20.0)

    assert late_s == pytest.approx(0.0155, abs=0.0006)


def test_a_quicker_answer_is_the_quickest_at_once() -> None:
    lateness = Lateness(0.020)
    measured(lateness, [0.015] * 200)

    assert lateness.measure(0.005, 20.0) == pytest.approx((0.0, 0.010))
    assert lateness.measure(0.015, 20.1) == pytest.approx((0.010, 0.0))


def test_falls_of_less_than_a_grain_are_none() -> None:
    lateness = Lateness(0.020)
    measured(lateness, [0.0154] * 200)

    assert lateness.measure(0.0151, 20.0) == pytest.approx((0.0001, 0.0))


def test_the_quickest_of_a_network_that_became_slower_is_forgotten() -> None:
    lateness = Lateness(0.020)
    now = measured(lateness, [0.005] * 200)

    now = measured(lateness, [0.015] * 40, since=now)
    at_first, _ = lateness.measure(0.015, now)
    now = measured(lateness, [0.015] * 210, since=now)
    later, _ = lateness.measure(0.015, now)

    assert at_first == pytest.approx(0.010)
    assert later == 0.0


def test_a_crowded_moment_is_not_all_that_is_remembered() -> None:
    lateness = Lateness(0.004)
    now = measured(lateness, [0.005] * 5_000, every_s=0.0002)

    measured(lateness, [0.008] * 5_000, since=now, every_s=0.0002)

    assert lateness.measure(0.008, 2.0) == pytest.approx((0.003, 0.0))


def test_the_fewer_answers_the_more_safety() -> None:
    few, many = Lateness(0.020), Lateness(0.020)

    measured(few, evenly(0.005, 0.025, 30))
    measured(many, evenly(0.005, 0.025, 200))

    assert few.safety_s > 0.004
    assert many.safety_s < 0.002


def test_safety_grows_where_the_quickest_differ() -> None:
    lateness = Lateness(0.020)

    measured(lateness, [0.015] * 50 + [0.012] * 50)

    assert lateness.safety_s == pytest.approx(0.003)


def test_a_rare_answer_far_out_counts_in_full() -> None:
    lateness = Lateness(0.020)
    measured(lateness, evenly(0.005, 0.010))

    late_s, _ = lateness.measure(0.255, 20.0)

    assert late_s == pytest.approx(0.250, abs=0.0006)


def test_no_answer_counts_for_longer_than_the_pace_makes_good() -> None:
    lateness = Lateness(0.020)
    measured(lateness, evenly(0.005, 0.010))

    assert lateness.measure(2.0, 20.0)[0] == 0.3


def test_answers_far_out_count_as_what_is_assumed_where_they_are_many() -> None:
    lateness = Lateness(0.020)

    measured(lateness, [0.010, 1.0] * 100)

    assert lateness.measure(1.0, 20.0)[0] + lateness.safety_s == pytest.approx(0.020)
    assert lateness.margin_s <= 0.020 / 0.95


def test_assuming_more_adds_safety_and_assuming_less_takes_it_back() -> None:
    lateness = Lateness(0.020)
    measured(lateness, [0.015] * 200)

    lateness.assume(0.030)
    wider_s = lateness.safety_s
    lateness.assume(0.010)

    assert wider_s == pytest.approx(0.006)
    assert lateness.safety_s == 0.001
    assert lateness.assumed_s == 0.020
