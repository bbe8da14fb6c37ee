"""Say when the next request may leave, so that no second has more than is granted. Pure: no I/O, the clock is given.

Three rules together, because none of them is enough alone:

- **Evenly.** Requests leave one step apart, from the first on. There is no bucket to empty at the start. So a run that
  is killed and started again at once does not send twice its rate within one second.
- **Catch up.** Time lost to a late timer or a stalled event loop is made up: a few requests leave at once, then others
  at four times the rate. Time in which nobody asked for a request is not made up.
- **Never past.** The last N requests are remembered, and the next waits until the earliest of them has left the window.
  This is the promise; the other two only decide how the window is filled.

The platform's window counts requests when they arrive, not when they leave. Take two that leave a second apart. If the
first took longer on its way than the second, they arrive closer together, by the difference. The second's travel time
is not known yet, so it is assumed to be the quickest. The first's is known: its answer is here. So a request's release
time is remembered as the time when it left plus its **lateness**: how much longer its answer took than the quickest
(`control/lateness`). That makes a window longer than the platform's by the mean lateness, half of the spread. One
margin for all requests, wide enough for the latest, would cost the whole spread. And this needs no forecast: if the
spread grows, or one request takes long, the answers show it before the window ends.

A request without an answer counts as 20 ms late: at the start, until 30 answers are measured, and when answers take
longer than the window or do not come. If many requests are near the window's edges, less is assumed.

Only a request that is quicker than all before it can still overfill a window. The first such answer moves all
remembered times. A throttled reply then means that others share the account's limit, or just this case. It halves the
rate, at most once in the time that the platform takes to notice. Every success then adds a little, so the full rate is
back in about three seconds. A stray is a throttled reply after the full rate has worked for a second. After a stray the
rate is back at once, and the margin is wider for a while.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from bulk.control.lateness import EVENNESS_ASSUMED, Lateness
from bulk.control.notes import Kind

if TYPE_CHECKING:
    from bulk.control.notes import Note

__all__ = ["Pace"]

JITTER_S = 0.020
"""Assumed spread of the latencies, 5 to 25 ms, until it is measured."""

SLACK_S = 0.005
"""A smaller delay is not a stall: timers are coarse by a millisecond or two."""

CATCH_UP_S = 0.300
"""Longest stall that is made up for. A longer gap means that the run was idle: nobody asked for requests."""

CATCH_UP_SPEED = 4.0
"""How much faster than the granted rate a stall is made up for, while the window has room."""

ANSWERS_A_PLAN = 16
"""The steps follow the measured lateness only this often: it is a mean over more requests."""

REACTION_S = 1.0
"""How long throttled replies may still concern requests sent at the earlier rate: one window of the platform."""

PAUSE_S = 0.05
"""Pause after a throttled reply that does not ask for one."""

STRAY_AFTER_S = 1.0
"""A throttled reply after this time at the full rate is a stray: if others used the limit too, a pace would not get
this far."""

WIDER_AFTER_STRAY = 1.5
"""How much a stray adds to the assumed lateness: the latencies spread more than was known."""

WIDEST_MARGIN_S = 0.060
"""The widest margin that strays can cause: 94% of a low rate are left."""

NARROWER_AFTER_S = 60.0
"""Seconds without a stray after which one widening is undone."""

CLIMB_AFTER_STRAY_S = 0.3
"""Seconds in which successes restore the rate after a stray."""

CLIMB_S = 3.0
"""Seconds in which successes restore the rate after any other throttled reply."""

CLIMB_FROM_NOTHING_S = 60.0
"""Seconds in which successes restore the full rate after any number of throttled replies."""

LOWEST_PER_S = 0.1
"""The lowest rate after any number of throttled replies: one request in ten seconds tests whether they are over."""


class Pace:
    """The rate of one action. Lists and creates have one each.

    Call ``take()`` for each request. Or call ``wait_s()``, and if it returns 0.0 call ``release()`` with the same
    ``now``. All times are seconds of one monotonic clock.
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

        self.notes: list[Note] | None = None
        """What changed, for others who share the window, until they take it out; ``None``: there are none."""

        self.has_company = False
        """Whether other processes fill the window too. They may know a quicker answer than this process does, and rely
        on it. So a request is then remembered with a safety that covers this."""

        self._paused_until = now
        self._deaf_until = now
        self._full_since = now
        self._climb_per_s2 = 0.0
        if per_s:
            self._lateness = Lateness(EVENNESS_ASSUMED * _margin_s(per_s))
            self._assumed_since = now
            self._counts = _counts(per_s)
            self._most = self._counts[-1]
            self._remembered: list[float] = []
            self._fell_s, self._fell_at = 0.0, now
            self._unplanned = 0
            self._plan_steps()
            self._due = now + min(self._step_s, 1.0)
            self._debt_s = 0.0

    def _plan_steps(self) -> None:
        """Set the windows. The step is the first window's length with its margin, divided by its number of requests."""
        self._unplanned = 0
        self._windows = [(count, count / self.per_s + self._lateness.safety_s) for count in self._counts]
        self._full_step_s = 1 / self.per_s + self._lateness.margin_s / self._counts[0]
        self._set_rate(self.rate_per_s)

    def take(self, now: float) -> float:
        """Release one request if it may leave now, and return 0.0; else return in how many seconds to ask again."""
        wait_s = self.wait_s(now)
        if not wait_s:
            self.release(now)
        return wait_s

    def wait_s(self, now: float) -> float:
        """Return in how many seconds a request may leave; 0.0: now."""
        if not self.per_s:
            return max(0.0, self._paused_until - now)
        return max(0.0, self._due - now, self.room_at() - now)

    def room_at(self) -> float:
        """Return when every window has room for one more."""
        room_at = -math.inf
        for count, window_s in self._windows:
            if len(self._remembered) >= count:
                at = self._remembered[-count]
                if at < self._fell_at:
                    at += self._fell_s
                room_at = max(room_at, at + window_s)
        return room_at

    def release(self, now: float) -> None:
        """Note that one request leaves now."""
        if not self.per_s:
            return
        self._remember(Kind.RELEASED, now + self._lateness.assumed_s)
        self._trim()
        lag_s = now - self._due
        if lag_s > CATCH_UP_S:
            self._due, self._debt_s = now, 0.0
        elif lag_s > SLACK_S:
            self._due, self._debt_s = now - SLACK_S, min(CATCH_UP_S, self._debt_s + lag_s - SLACK_S)
        paid_s = min(self._debt_s, self._step_s * (1 - 1 / CATCH_UP_SPEED))
        self._debt_s -= paid_s
        self._due += self._step_s - paid_s

    def _remember(self, kind: Kind, at: float) -> None:
        insort(self._remembered, at)
        if self.notes is not None:
            self.notes.append((kind, at))

    def _trim(self) -> None:
        if len(self._remembered) > 2 * self._most:  # seldom, because it is slow when there are thousands
            del self._remembered[: -self._most]

    def _forget(self, released_at: float) -> bool:
        """Remove a request that has no answer yet; return whether it was still in the window."""
        remembered = self._remembered
        at = released_at + self._lateness.assumed_s
        place = bisect_left(remembered, at)
        if place == len(remembered) or remembered[place] != at or place < len(remembered) - self._counts[-1]:
            return False
        del remembered[place]
        if self.notes is not None:
            self.notes.append((Kind.DROPPED, at))
        return True

    def postpone(self, released_at: float, now: float) -> bool:
        """Note that one request of those released at ``released_at`` leaves only now: the event loop was busy.

        Returns:
            Whether its place was kept. If not, nothing has changed, and the request must not leave.
        """
        if self.per_s:
            if not self._forget(released_at):
                return False
            self._remember(Kind.MOVED, now + self._lateness.assumed_s)
        return True

    def release_late(self, released_at: float, now: float) -> bool:
        """Note that one request of those released at ``released_at`` leaves only now, if the window has room for it.

        Its place is kept as long as it is among the last N; after that, others have taken the window's places.
        """
        if self.per_s:
            if not self._forget(released_at) and self.room_at() > now:
                return False
            self._remember(Kind.MOVED, now + self._lateness.assumed_s)
        return True

    def give_back(self, released_at: float) -> None:
        """Note that one request of those released at ``released_at`` did not leave; its step is made up for."""
        if self.per_s and self._forget(released_at):
            self._debt_s = min(CATCH_UP_S, self._debt_s + self._step_s)

    def answered(self, released_at: float, now: float) -> None:
        """Note that one request of those released at ``released_at`` was carried out, and its answer came now."""
        if not self.per_s:
            return
        lateness = self._lateness
        was_known = lateness.is_known
        late_s, fell_s = lateness.measure(now - released_at, now)
        if not lateness.is_known:
            return
        if self._forget(released_at):
            self._remember(Kind.MOVED, released_at + late_s + (lateness.safety_s if self.has_company else 0.0))
        self._unplanned += 1
        if fell_s:
            self._make_later(fell_s, now)
        # Until the first plan from measurements, windows have no safety. If others share, the remembered times have it.
        is_first = not (was_known or self.has_company)
        if fell_s or is_first or self._unplanned >= ANSWERS_A_PLAN:
            self._plan_steps()

    def _make_later(self, fell_s: float, now: float) -> None:
        """Note that all requests measured before were later than they seemed, compared with the one just measured.

        An earlier fall matters only to requests that are at most a window old, so it fades.
        """
        fades = max(0.0, 1.0 - (now - self._fell_at) * self.per_s / self._counts[-1])
        self._fell_s, self._fell_at = fell_s + self._fell_s * fades, now

    def throttled(self, now: float, *, retry_after_s: float | None) -> bool:
        """Pause, and halve the rate unless an earlier reply of the same burst already did.

        Args:
            now: When the reply arrived.
            retry_after_s: The pause that the platform asked for, if any.

        Returns:
            True: the rate was lowered just now.
        """
        self.pause(now + (PAUSE_S if retry_after_s is None else retry_after_s))
        if self.notes is not None:
            self.notes.append((Kind.PAUSED, self._paused_until))
        if not self.per_s or now < self._deaf_until:
            return False
        self._deaf_until = max(now + REACTION_S, self._paused_until)
        lowered = max(self.rate_per_s / 2, min(self.per_s, LOWEST_PER_S))
        stray = self.rate_per_s == self.per_s and now - self._full_since >= STRAY_AFTER_S
        if stray:
            self._assume(min(self._lateness.assumed_s * WIDER_AFTER_STRAY, EVENNESS_ASSUMED * WIDEST_MARGIN_S), now)
        climb_s = CLIMB_AFTER_STRAY_S if stray else CLIMB_S
        self._climb_per_s2 = max((self.rate_per_s - lowered) / climb_s, self.per_s / CLIMB_FROM_NOTHING_S)
        self._set_rate(lowered)
        return True

    def pause(self, until: float) -> None:
        """Release nothing before this time."""
        self._paused_until = max(self._paused_until, until)
        if self.per_s:
            self._due, self._debt_s = max(self._due, self._paused_until), 0.0

    def hear(self, note: Note) -> None:
        """Note what another process did in the shared window."""
        kind, at = note
        remembered = self._remembered
        if kind == Kind.PAUSED:
            self.pause(at)
        elif kind == Kind.DROPPED:
            place = bisect_left(remembered, at)
            if place < len(remembered) and remembered[place] == at:
                del remembered[place]
        else:
            insort(remembered, at)
            self._trim()

    def grant(self, per_s: float) -> None:
        """Use another rate from now on. What was measured and remembered stays, and a lowered rate stays lowered.

        Args:
            per_s: Requests a second; not 0.
        """
        lowered = self.rate_per_s / self.per_s
        self.per_s, self._counts = per_s, _counts(per_s)
        self._most = max(self._most, self._counts[-1])
        self.rate_per_s = per_s * lowered
        self._plan_steps()

    def succeeded(self, now: float) -> bool:
        """Raise the rate a little if it was lowered; replies to requests from before that don't count.

        Returns:
            True: the rate was raised just now.
        """
        if self.rate_per_s < self.per_s and now >= self._paused_until:
            gained = min(self._climb_per_s2 / self.rate_per_s, self.rate_per_s)
            self._set_rate(min(self.per_s, self.rate_per_s + gained))
            self._full_since = now
            return True
        if self.rate_per_s == self.per_s > 0 and now - self._assumed_since >= NARROWER_AFTER_S:
            self._assume(self._lateness.assumed_s / WIDER_AFTER_STRAY, now)
        return False

    def _assume(self, assumed_s: float, now: float) -> None:
        self._lateness.assume(assumed_s)
        self._assumed_since = now
        self._plan_steps()

    def _set_rate(self, per_s: float) -> None:
        self.rate_per_s = per_s
        self._step_s = self._full_step_s * self.per_s / per_s


def _counts(per_s: float) -> list[int]:
    """Return how many requests each window may have.

    A rate that is not a whole number gets windows with whole requests. For 2.5/s: 2 in 0.8 s, and 3 in 1.2 s.
    """
    return sorted({max(1, math.floor(per_s)), math.ceil(per_s)})


def _margin_s(per_s: float) -> float:
    """Return how much longer than a second the window is while nothing is measured, for latencies 20 ms apart.

    Two requests that leave one window apart may arrive closer by up to the whole spread. If few requests are near the
    window's edges, the margin needs all of it, which leaves 98% of a low rate. If many are, their jitter averages out.
    With N a second, ``N * JITTER_S`` of them are near each edge, and the number that falls inside varies by the square
    root of that. In simulation, 2.3 roots are needed so that one in ten thousand is throttled: 14.5 ms at 500/s, 4.6 ms
    at 5,000/s. That is stricter than the promise of two in a thousand, because each throttled reply slows the run down
    for a while.
    """
    return min(JITTER_S, 2.3 * math.sqrt(JITTER_S / per_s))
