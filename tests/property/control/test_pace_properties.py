"""Whatever arrives, stalls, throttles or succeeds: the window holds, and the wait ends."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bulk.control.pace import Pace

RATES = st.one_of(st.integers(1, 60).map(float), st.floats(0.2, 60.0))
ROUNDING_S = 1e-9

steps = st.lists(
    st.one_of(
        st.tuples(st.just("asks"), st.integers(1, 40)),
        st.tuples(st.just("time passes"), st.floats(0.0, 1.5)),
        st.tuples(st.just("time passes"), st.floats(0.0, 0.02)),
        st.tuples(st.just("throttled"), st.none() | st.floats(0.0, 3.0)),
        st.tuples(st.just("succeeded"), st.none()),
        st.tuples(st.just("answered"), st.integers(1, 40)),
    ),
    max_size=80,
)


def play(pace: Pace, script: list[tuple[str, float | int | None]]) -> tuple[list[float], float]:
    """Follow the script, releasing whenever the pace allows; return the releases and the time at the end."""
    now, asked = 0.0, 0
    released: list[float] = []
    waiting: deque[float] = deque()
    for what, value in script:
        if what == "asks":
            asked += int(value or 0)
        elif what == "time passes":
            now += value or 0.0
        elif what == "throttled":
            pace.throttled(now, retry_after_s=value)
        elif what == "answered":
            for _ in range(min(int(value or 0), len(waiting))):
                pace.answered(waiting.popleft(), now)
        else:
            pace.succeeded(now)
        while asked and not pace.wait_s(now):
            pace.release(now)
            released.append(now)
            waiting.append(now)
            asked -= 1
    return released, now


@given(per_s=RATES, script=steps)
def test_no_window_holds_more_than_granted(per_s: float, script: list[tuple[str, float | int | None]]) -> None:
    granted = math.ceil(per_s)

    released, _ = play(Pace(per_s, now=0.0), script)

    windows = zip(released, released[granted:], strict=False)
    assert all(later - earlier > granted / per_s for earlier, later in windows)


@given(per_s=RATES, script=steps)
def test_rate_in_force_stays_between_nothing_and_what_was_asked(
    per_s: float, script: list[tuple[str, float | int | None]]
) -> None:
    pace = Pace(per_s, now=0.0)

    play(pace, script)

    assert min(per_s, 0.1) <= pace.rate_per_s <= per_s


@given(per_s=RATES, script=steps)
def test_whoever_waits_as_told_is_let_out(per_s: float, script: list[tuple[str, float | int | None]]) -> None:
    pace = Pace(per_s, now=0.0)
    _, now = play(pace, script)
    for _ in range(20):
        wait_s = pace.wait_s(now)
        assert wait_s < 3.0 + 1.2 / 0.1

        now += wait_s + ROUNDING_S

        assert pace.wait_s(now) == 0.0
        pace.release(now)


@given(per_s=st.integers(1, 60), moments=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=150))
def test_late_requests_count_from_when_they_leave(per_s: int, moments: list[float]) -> None:
    pace = Pace(float(per_s), now=0.0)
    now = 0.0
    left: list[float] = []
    for late_s in moments:
        now += pace.wait_s(now) + ROUNDING_S
        pace.release(now)
        let_out_at, now = now, now + late_s
        pace.postpone(let_out_at, now)
        left.append(now)

    assert all(later - earlier > 1.0 for earlier, later in zip(left, left[per_s:], strict=False))
    assert all(later >= earlier for earlier, later in pairwise(left))
