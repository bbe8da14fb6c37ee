from __future__ import annotations

from itertools import pairwise

import pytest

from bulk.control.pace import Pace


def released_until(pace: Pace, end: float, *, since: float = 0.0, tick_s: float = 0.001) -> list[float]:
    """Release whenever the pace allows, asking every `tick_s`."""
    released = []
    for tick in range(int(since / tick_s), int(end / tick_s)):
        now = tick * tick_s
        while not pace.wait_s(now):
            pace.release(now)
            released.append(now)
    return released


def test_first_request_waits_one_step() -> None:
    pace = Pace(10.0, now=5.0)

    assert pace.wait_s(5.0) == pytest.approx(0.102)


def test_first_request_of_a_slow_rate_waits_no_longer_than_a_window() -> None:
    pace = Pace(0.01, now=0.0)

    assert pace.wait_s(0.0) == 1.0


def test_requests_leave_evenly_from_the_start() -> None:
    released = released_until(Pace(10.0, now=0.0), 1.0)

    assert released == pytest.approx([0.102 * (count + 1) for count in range(9)], abs=0.002)


def test_idling_earns_no_burst() -> None:
    pace = Pace(100.0, now=0.0)
    released_until(pace, 1.0)

    released = released_until(pace, 61.0, since=60.0)

    assert len([at for at in released if at < 60.1]) <= 11


@pytest.mark.parametrize(("per_s", "most"), [(0.5, 50), (1.0, 100), (2.5, 250), (7.3, 730)])
def test_rates_that_are_small_or_no_whole_number_are_met(per_s: float, most: int) -> None:
    released = released_until(Pace(per_s, now=0.0), 100.0, tick_s=0.002)

    assert 0.96 * most <= len(released) <= most


def test_unlimited_never_waits() -> None:
    pace = Pace(0.0, now=0.0)
    pace.release(0.0)
    pace.postpone(0.0, 0.1)
    pace.answered(0.0, 0.1)
    pace.succeeded(0.1)

    assert pace.wait_s(0.1) == 0.0
    assert pace.rate_per_s == 0.0


def test_unlimited_pauses_when_throttled_all_the_same() -> None:
    pace = Pace(0.0, now=0.0)

    lowered = pace.throttled(1.0, retry_after_s=2.0)

    assert not lowered
    assert pace.wait_s(1.5) == 1.5
    assert pace.wait_s(3.0) == 0.0


def test_throttled_reply_halves_the_rate_and_pauses() -> None:
    pace = Pace(100.0, now=0.0)

    lowered = pace.throttled(1.0, retry_after_s=None)

    assert lowered
    assert pace.rate_per_s == 50.0
    assert pace.wait_s(1.0) == pytest.approx(0.05)


def test_pause_that_the_platform_asks_for_is_kept() -> None:
    pace = Pace(100.0, now=0.0)

    pace.throttled(1.0, retry_after_s=4.0)

    assert pace.wait_s(1.0) == pytest.approx(4.0)


def test_shorter_pause_does_not_cut_a_longer_one() -> None:
    pace = Pace(100.0, now=0.0)
    pace.throttled(1.0, retry_after_s=4.0)

    pace.throttled(1.1, retry_after_s=None)

    assert pace.wait_s(1.1) == pytest.approx(3.9)


def test_burst_of_throttled_replies_halves_once() -> None:
    pace = Pace(100.0, now=0.0)

    answers = [pace.throttled(1.0 + count / 1_000, retry_after_s=None) for count in range(40)]

    assert answers == [True] + [False] * 39
    assert pace.rate_per_s == 50.0


def test_throttled_after_the_reaction_halves_again() -> None:
    pace = Pace(100.0, now=0.0)
    pace.throttled(1.0, retry_after_s=None)

    lowered = pace.throttled(2.0, retry_after_s=None)

    assert lowered
    assert pace.rate_per_s == 25.0


def test_storm_leaves_one_request_in_ten_seconds() -> None:
    pace = Pace(100.0, now=0.0)

    for second in range(60):
        pace.throttled(float(second), retry_after_s=None)

    assert pace.rate_per_s == 0.1


def test_rate_below_the_lowest_is_not_raised_by_a_throttle() -> None:
    pace = Pace(0.05, now=0.0)

    pace.throttled(0.0, retry_after_s=None)

    assert pace.rate_per_s == 0.05


def test_successes_climb_back_by_equal_steps_to_what_was_asked() -> None:
    pace = Pace(100.0, now=0.0)
    pace.throttled(0.0, retry_after_s=None)
    pace.throttled(5.0, retry_after_s=None)
    rates = []
    for count in range(1_000):
        pace.succeeded(6.0 + count / 50)
        rates.append(pace.rate_per_s)

    assert rates == sorted(rates)
    assert rates[-1] == 100.0
    assert rates[0] == pytest.approx(25.0 + 25.0 / 3 / 25.0)


def test_success_from_before_the_pause_does_not_climb() -> None:
    pace = Pace(100.0, now=0.0)
    pace.throttled(1.0, retry_after_s=1.0)

    pace.succeeded(1.5)

    assert pace.rate_per_s == 50.0


def test_lists_and_creates_keep_paces_of_their_own() -> None:
    lists, creates = Pace(10.0, now=0.0), Pace(10.0, now=0.0)

    creates.throttled(1.0, retry_after_s=None)

    assert (lists.rate_per_s, creates.rate_per_s) == (10.0, 5.0)


def test_postponed_release_holds_its_place_until_it_left() -> None:
    pace = Pace(2.0, now=0.0)
    pace.release(1.0)
    pace.release(1.6)

    pace.postpone(1.0, 2.3)

    assert 0.0 < pace.wait_s(2.6) <= 0.02  # the other one is the earliest now
    pace.release(2.62)
    assert 0.68 < pace.wait_s(2.62) <= 0.70


def test_postponing_what_has_left_the_window_changes_nothing() -> None:
    pace = Pace(1.0, now=0.0)
    pace.release(1.0)
    pace.release(3.0)

    pace.postpone(1.0, 1.5)

    assert pace.wait_s(4.5) == 0.0


def test_postponing_what_no_release_matches_changes_nothing() -> None:
    pace = Pace(5.0, now=0.0)
    pace.release(3.0)
    before_s = pace.wait_s(3.0)

    pace.postpone(2.0, 4.0)
    pace.postpone(3.5, 4.0)

    assert pace.wait_s(3.0) == before_s


def test_what_was_given_back_fills_no_window_and_is_made_good() -> None:
    pace = Pace(10.0, now=0.0)
    before = released_until(pace, 1.1)

    for unused in before[2:5]:
        pace.give_back(unused)
    after = released_until(pace, 2.1, since=1.1)

    left = before[:2] + before[5:] + after
    assert after[3] - before[-1] < 0.2
    assert all(later - earlier > 1.0 for earlier, later in zip(left, left[10:], strict=False))


def test_giving_back_what_has_left_the_window_changes_nothing() -> None:
    pace = Pace(1.0, now=0.0)
    pace.release(1.0)
    pace.release(3.0)

    pace.give_back(1.0)

    assert pace.wait_s(3.5) > 0.4


def answered_after(pace: Pace, latencies_s: list[float], *, since: float = 0.0) -> float:
    """Release a request whenever the pace allows, let each be answered after its latency, and return when it ended."""
    now = since
    for latency_s in latencies_s:
        now += pace.wait_s(now)
        pace.release(now)
        pace.answered(now, now + latency_s)
    return now


def test_answers_that_take_the_same_time_leave_a_margin_of_a_millisecond() -> None:
    pace = Pace(10.0, now=0.0)

    now = answered_after(pace, [0.015] * 100)
    ended = answered_after(pace, [0.015] * 100, since=now)

    assert 10.01 < ended - now < 10.02


def test_few_answers_leave_the_margin_that_is_assumed() -> None:
    pace = Pace(10.0, now=0.0)

    now = answered_after(pace, [0.015] * 29)
    pace.release(now + pace.wait_s(now))

    assert pace.wait_s(now + 0.102) == pytest.approx(0.102)


def test_windows_are_safe_as_soon_as_answers_say_anything() -> None:
    pace = Pace(10.0, now=0.0)
    latencies_s = [0.010, *[0.020] * 28, 0.011]

    last = answered_after(pace, latencies_s)

    # The last one was hardly late; what is quicker than all so far must not share its second all the same.
    for _ in range(9):
        pace.release(last)
        pace.answered(last, last + 0.011)
    assert pace.room_at() - last >= 1.002


def test_a_late_request_keeps_its_place_in_the_window_for_longer() -> None:
    pace = Pace(1.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)

    late = answered_after(pace, [0.215], since=now)

    assert pace.wait_s(late) == pytest.approx(1.201, abs=0.002)


def test_a_late_request_holds_up_no_other_of_its_window() -> None:
    pace = Pace(10.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)
    late = answered_after(pace, [0.215], since=now)

    following = [late]
    for _ in range(12):
        following.append(answered_after(pace, [0.015], since=following[-1]))

    assert max(later - earlier for earlier, later in pairwise(following)) < 0.22
    assert following[9] - late < 1.0 < following[10] - late


def test_an_answer_quicker_than_all_moves_what_was_measured_before() -> None:
    pace = Pace(1.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)

    pace.answered(now + 0.010, now + 0.015)  # another request's

    assert pace.wait_s(now) == pytest.approx(1.010 + pace._lateness.safety_s, abs=0.0006)


def test_what_is_measured_after_a_quicker_answer_is_not_moved() -> None:
    pace = Pace(1.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)
    pace.answered(now + 0.010, now + 0.015)

    now = answered_after(pace, [0.005] * 2, since=now)

    assert pace.wait_s(now) < 1.010


def test_an_answer_to_what_has_left_the_window_frees_no_place() -> None:
    pace = Pace(1.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)
    pace.release(now + 2.0)
    before_s = pace.wait_s(now + 2.0)

    pace.answered(now, now + 0.015)

    assert pace.wait_s(now + 2.0) == before_s > 1.0


def test_a_stray_widens_the_margin_though_answers_show_no_spread() -> None:
    pace = Pace(10.0, now=0.0)
    now = answered_after(pace, [0.015] * 100)
    narrow = pace._full_step_s

    pace.throttled(now, retry_after_s=None)

    assert pace._full_step_s > narrow + 0.0004


def throttled_after(pace: Pace, now: float) -> float:
    """Let one stray come, climb back, and return the time that ten requests of the full rate take then."""
    pace.throttled(now, retry_after_s=None)
    for _ in range(100):
        now += 0.1
        pace.succeeded(now)
    begin = now
    for _ in range(10):
        now += pace.wait_s(now)
        pace.release(now)
    return now - begin


def test_a_stray_is_won_back_at_once_and_leaves_a_wider_margin() -> None:
    pace = Pace(10.0, now=0.0)

    spans = [throttled_after(pace, now) for now in (20.0, 40.0, 60.0, 80.0, 100.0)]

    assert pace.rate_per_s == 10.0
    assert spans[0] < spans[1] < spans[2]
    assert spans[4] <= 1.06


def test_a_throttle_before_the_full_rate_was_borne_is_no_stray() -> None:
    pace = Pace(10.0, now=0.0)
    pace.throttled(0.5, retry_after_s=None)

    pace.succeeded(1.0)
    pace.succeeded(1.1)

    assert pace.rate_per_s < 6.0


def test_a_minute_without_a_stray_narrows_the_margin_again() -> None:
    pace = Pace(10.0, now=0.0)
    throttled_after(pace, 20.0)
    wide = pace._full_step_s

    pace.succeeded(100.0)

    assert pace._full_step_s < wide
    assert pace._full_step_s == Pace(10.0, now=0.0)._full_step_s


def test_a_success_of_a_request_from_before_does_not_undo_the_halving() -> None:
    pace = Pace(10.0, now=0.0)
    pace.throttled(100.0, retry_after_s=5.0)
    pace.throttled(200.0, retry_after_s=5.0)  # the margin is old enough to be narrowed, but the rate is not full
    lowered = pace._step_s

    pace.succeeded(201.0)

    assert pace._step_s == lowered > 0.19


def test_what_leaves_late_is_noted_when_it_leaves() -> None:
    pace = Pace(1.0, now=0.0)
    pace.release(1.0)

    assert pace.release_late(1.0, 1.5)
    assert 2.5 <= 2.3 + pace.wait_s(2.3) < 2.6


def test_what_is_late_when_others_have_filled_the_window_may_not_leave() -> None:
    pace = Pace(1.0, now=0.0)
    pace.release(1.0)
    pace.release(2.1)

    assert not pace.release_late(1.0, 2.5)
    assert pace.release_late(1.0, 3.2)


def test_without_a_rate_nothing_is_late() -> None:
    assert Pace(0, now=0.0).release_late(0.0, 100.0)
