"""Say when the next request may leave, so that no second holds more than is granted. Pure: no I/O, the clock is given.

Three rules together, because none of them is enough alone:

- **Evenly.** Requests leave one step apart, from the first on: there is no bucket to empty at the start, so a run that
  is killed and started again at once does not share a second with twice its rate.
- **Catch up.** What a late timer or a stalled event loop cost is made good, a few requests at once and then at four
  times the rate; what nobody asked for is not.
- **Never past.** The last N releases are remembered, and the next waits until the oldest of them has left the window.
  This is the promise; the other two only decide how the window is filled.

A throttled reply means that others share the account's limit, or that latencies spread more than was assumed. It halves
the rate, at most once in the time that the platform takes to notice; every success then adds a little, so that what was
lost is back in about three seconds. After a stray, a throttle where the full rate had been borne, it is back at once,
and the margin is wider for a while.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Pace"]

JITTER_S = 0.020
"""Spread of the latencies, 5 to 25 ms, that must not overfill the platform's window. An assumption, to be measured."""

SLACK_S = 0.005
"""How far behind is no stall yet, but timers, which are a millisecond or two coarse."""

CATCH_UP_S = 0.300
"""Longest stall that is made good. What lags more was not asked for: the run was idle."""

CATCH_UP_SPEED = 4.0
"""How much faster than granted a stall is made good, while the window has room."""

REACTION_S = 1.0
"""How long throttled replies may still be about requests of the rate before: one window of the platform."""

PAUSE_S = 0.05
"""Pause after a throttled reply that names none."""

STRAY_AFTER_S = 1.0
"""A throttled reply after so long a time at the full rate is a stray: where others take a share, none gets there."""

WIDER_AFTER_STRAY = 1.5
"""How much wider a stray makes the margin: the latencies spread more than was assumed."""

WIDEST_MARGIN_S = 0.060
"""Widest that strays make the margin: 94% of a low rate are left."""

NARROWER_AFTER_S = 60.0
"""Seconds without a stray that take one widening back."""

CLIMB_AFTER_STRAY_S = 0.3
"""Seconds in which successes win back what a stray took."""

CLIMB_S = 3.0
"""Seconds in which successes win back what any other throttled reply took."""

CLIMB_FROM_NOTHING_S = 60.0
"""Seconds in which successes win back all that any number of throttled replies took."""

LOWEST_PER_S = 0.1
"""However often throttled, one request in ten seconds asks whether it is over."""


class Pace:
    """The rate of one action. Lists and creates have one each.

    Ask ``wait_s()``, and where it says 0.0 call ``release()`` with the same ``now``, once for each request. All times
    are seconds of one monotonic clock.
    """

    def __init__(self, per_s: float, *, now: float) -> None:
        """Start evenly: the first request leaves one step from now.

        Args:
            per_s: Requests a second that the platform grants; 0: unlimited.
            now: The time of the given clock, in seconds.
        """
        self.per_s = per_s
        self.rate_per_s = per_s
        """Requests a second in force now; 0: unlimited."""

        self._paused_until = now
        self._deaf_until = now
        self._full_since = now
        self._climb_per_s2 = 0.0
        if per_s:
            # A rate that is no whole number has a window as long as its whole requests need: 2.5/s is 3 in 1.2 s.
            self._released: deque[float] = deque(maxlen=math.ceil(per_s))
            self._plan_window(_margin_s(per_s), now)
            self._due = now + min(self._step_s, 1.0)
            self._debt_s = 0.0

    def _plan_window(self, margin_s: float, now: float) -> None:
        """Lay the steps of a window out that is longer than the platform's by a margin."""
        count = math.ceil(self.per_s)
        self._margin_s, self._margin_since = margin_s, now
        self._full_step_s = (count / self.per_s + margin_s) / count
        self._set_rate(self.rate_per_s)
        # A little shorter than `count` steps: else each late timer would push back the same place of all later windows.
        self._window_s = count / self.per_s + 0.95 * margin_s

    def wait_s(self, now: float) -> float:
        """Return in how many seconds a request may leave; 0.0: now."""
        if not self.per_s:
            return max(0.0, self._paused_until - now)
        free_at = self._due
        if len(self._released) == self._released.maxlen:
            free_at = max(free_at, self._released[0] + self._window_s)
        return max(0.0, free_at - now)

    def release(self, now: float) -> None:
        """Note that one request leaves now."""
        if not self.per_s:
            return
        self._released.append(now)
        lag_s = now - self._due
        if lag_s > CATCH_UP_S:
            self._due, self._debt_s = now, 0.0
        elif lag_s > SLACK_S:
            self._due, self._debt_s = now - SLACK_S, min(CATCH_UP_S, self._debt_s + lag_s - SLACK_S)
        paid_s = min(self._debt_s, self._step_s * (1 - 1 / CATCH_UP_SPEED))
        self._debt_s -= paid_s
        self._due += self._step_s - paid_s

    def postpone(self, released_at: float, now: float) -> None:
        """Note that one request of those released at ``released_at`` leaves only now: the event loop was busy."""
        if not self.per_s:
            return
        for place in range(len(self._released) - 1, -1, -1):
            if self._released[place] == released_at:
                self._released[place] = now
                return
            if self._released[place] < released_at:
                return

    def release_late(self, released_at: float, now: float) -> bool:
        """Note that one request of those released at ``released_at`` leaves only now, if the window has room for it.

        Its place was kept for it as long as it is among the last N; then others have taken what the window holds.
        """
        if not self.per_s:
            return True
        if released_at in self._released:
            self._released.remove(released_at)
        elif self._released[0] + self._window_s > now:
            return False
        self._released.append(now)
        return True

    def give_back(self, released_at: float) -> None:
        """Note that one request of those released at ``released_at`` did not leave; its step is made good."""
        if self.per_s and released_at in self._released:
            self._released.remove(released_at)
            self._debt_s = min(CATCH_UP_S, self._debt_s + self._step_s)

    def throttled(self, now: float, *, retry_after_s: float | None) -> bool:
        """Pause, and halve the rate unless this reply belongs to a burst that was answered already.

        Args:
            now: When the reply arrived.
            retry_after_s: The pause that the platform asked for, if it did.

        Returns:
            True: the rate was lowered just now.
        """
        self._pause(now + (PAUSE_S if retry_after_s is None else retry_after_s))
        if not self.per_s or now < self._deaf_until:
            return False
        self._deaf_until = max(now + REACTION_S, self._paused_until)
        lowered = max(self.rate_per_s / 2, min(self.per_s, LOWEST_PER_S))
        stray = self.rate_per_s == self.per_s and now - self._full_since >= STRAY_AFTER_S
        if stray:
            self._plan_window(min(self._margin_s * WIDER_AFTER_STRAY, WIDEST_MARGIN_S), now)
        climb_s = CLIMB_AFTER_STRAY_S if stray else CLIMB_S
        self._climb_per_s2 = max((self.rate_per_s - lowered) / climb_s, self.per_s / CLIMB_FROM_NOTHING_S)
        self._set_rate(lowered)
        return True

    def _pause(self, until: float) -> None:
        self._paused_until = max(self._paused_until, until)
        if self.per_s:
            self._due, self._debt_s = max(self._due, self._paused_until), 0.0

    def succeeded(self, now: float) -> bool:
        """Climb back a little, if the rate was lowered; replies to requests from before are no reason to.

        Returns:
            True: the rate was raised just now.
        """
        if self.rate_per_s < self.per_s and now >= self._paused_until:
            gained = min(self._climb_per_s2 / self.rate_per_s, self.rate_per_s)
            self._set_rate(min(self.per_s, self.rate_per_s + gained))
            self._full_since = now
            return True
        if self.rate_per_s == self.per_s > 0 and now - self._margin_since >= NARROWER_AFTER_S:
            self._plan_window(max(_margin_s(self.per_s), self._margin_s / WIDER_AFTER_STRAY), now)
        return False

    def _set_rate(self, per_s: float) -> None:
        self.rate_per_s = per_s
        self._step_s = self._full_step_s * self.per_s / per_s


def _margin_s(per_s: float) -> float:
    """Return how much longer than a second the window is, so that jitter in latency does not overfill the platform's.

    Two requests one window apart come closer by up to the whole spread of the latencies: that much is needed where few
    requests stand near the window's edges, and it leaves 98% of a low rate. Where many do, their jitter averages out:
    with N a second, ``N * JITTER_S`` of them stand at each edge, and how many of those fall inside varies by the root
    of that. 2.3 roots is what simulation asks for, to have one in ten thousand throttled: 14.5 ms at 500/s, 4.6 ms at
    5,000/s. That matters beyond the promise of two in a thousand, as each of them slows the run down for a while.
    """
    return min(JITTER_S, 2.3 * math.sqrt(JITTER_S / per_s))
