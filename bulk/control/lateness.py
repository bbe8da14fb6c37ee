"""Measure how much later than the quickest each request arrives. Pure: no I/O, the clock is given.

The platform counts requests by their time of arrival, which nobody tells us. We see only the time of the answer. It
covers the way there, the work and the way back. If an answer took some ms longer than the quickest answer, its request
arrived later than the quickest by at most as much. That is its **lateness**, an upper bound: if answers take 5 to
25 ms, it is 10 ms on average.

- **Quickest**: the quickest answer of the last four stretches. Each stretch has at least 50 answers and 2.5 s. So the
  value follows a network that becomes slower. It follows a faster one at once, with the first quicker answer.
- **Safety**: how much quicker than the quickest so far a future request may be. It is larger if the quickest answers of
  the four stretches differ more. And the fewer answers there are, the larger a share of their spread it is.
- **Assumed**: the lateness of a request without an answer, and of all requests while nothing is measured. It is also
  the budget: most of an answer's time may be work, which makes no request late. While mean and safety are below it, an
  outlier counts in full, up to 300 ms. Else the outlier, with safety, counts as the assumed lateness.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Lateness"]

ENOUGH = 30
"""Answers needed before anything is concluded from them."""

STRETCHES = 4
"""How many stretches of answers are remembered."""

STRETCH_ANSWERS = 50
"""Fewest answers of a stretch. For an even spread, the quickest of 200 is 1/200 of the spread above the minimum."""

STRETCH_S = 2.5
"""Shortest length of a stretch, so that a high rate does not fill all stretches in one crowded moment."""

GRAIN_S = 0.0005
"""The quickest is rounded down to multiples of this, so that it changes seldom: each change makes the pace wait."""

LEAST_SAFETY_S = 0.001
"""Safety if all answers take the same time: clocks and the platform's window may be as coarse as a millisecond."""

SAFETY_ANSWERS = 7.0
"""Safety is so many times the mean gap between answers. Of the answers that are quicker than all before, only e**-7 (a
thousandth) are quicker by more than that."""

MOST_SAFETY = 0.25
"""Most safety, as a share of what is assumed."""

IN_FULL_S = 0.300
"""Longest lateness that counts: the pace makes up for no longer one, and a lost packet is resent by then."""

BUDGET = 0.9
"""Share of the assumed lateness. If mean and safety are above it, outliers no longer count in full."""

MEAN_ANSWERS = STRETCH_ANSWERS
"""Answers in the mean; recent ones weigh most."""

EVENNESS = 0.9
"""Share of the margin for lateness. The rest brings requests that waited for it back to even steps."""

EVENNESS_ASSUMED = 0.95
"""The same while nothing is measured: then all have the same lateness, and only timers vary."""


class _Stretch:
    """Answers one after another."""

    __slots__ = ("answers", "began_at", "quickest_s", "slowest_s")

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.answers = 0
        self.quickest_s = math.inf
        self.slowest_s = 0.0


class Lateness:
    """The lateness of one action's requests: a few numbers, however many answers there were."""

    def __init__(self, assumed_s: float) -> None:
        """Know nothing yet.

        Args:
            assumed_s: Lateness of a request of which nothing is known, in seconds.
        """
        self.assumed_s = assumed_s
        self.is_known = False
        """Whether enough answers were measured to conclude anything."""

        self.safety_s = 0.0
        """How much earlier than the quickest so far a request may arrive."""

        self._first_assumed_s = assumed_s
        self._mean_s = 0.0
        self._quickest_s = math.inf
        self._spread_s = 0.0
        self._stretch = _Stretch(-math.inf)
        self._stretches: deque[_Stretch] = deque([self._stretch], maxlen=STRETCHES)

    @property
    def margin_s(self) -> float:
        """How much longer a window is than the platform's, on average, if its requests leave at even steps."""
        most_s = self.assumed_s / EVENNESS_ASSUMED
        return min((self._mean_s + self.safety_s) / EVENNESS, most_s) if self.is_known else most_s

    def assume(self, assumed_s: float) -> None:
        """Change the assumed lateness, but never below its first value."""
        self.assumed_s = max(self._first_assumed_s, assumed_s)
        self._weigh()

    def measure(self, latency_s: float, now: float) -> tuple[float, float]:
        """Note an answer.

        Args:
            latency_s: From the request's release to its answer.
            now: When the answer came.

        Returns:
            How late the request was, and by how much this answer lowered the quickest. All earlier requests were later
            by that much than was measured.
        """
        stretch = self._stretch
        fell_s = 0.0
        if (
            stretch.quickest_s <= latency_s <= stretch.slowest_s
            and stretch.answers >= STRETCH_ANSWERS
            and now - stretch.began_at < STRETCH_S
        ):
            stretch.answers += 1
        else:
            fell_s = self._note(latency_s, now)
        late_s = latency_s - self._quickest_s
        most_s = self.assumed_s - self.safety_s
        if late_s > most_s:
            in_full = self._mean_s + self.safety_s < BUDGET * self.assumed_s
            late_s = min(late_s, IN_FULL_S) if in_full else most_s
        self._mean_s += (late_s - self._mean_s) / (MEAN_ANSWERS if self.is_known else self._stretch.answers)
        return late_s, fell_s

    def _note(self, latency_s: float, now: float) -> float:
        """Note an answer that may change the conclusions; return by how much the quickest fell."""
        stretch = self._stretch
        if stretch.answers >= STRETCH_ANSWERS and now - stretch.began_at >= STRETCH_S:
            stretch = self._stretch = _Stretch(now)
            self._stretches.append(stretch)
        stretch.answers += 1
        stretch.quickest_s = min(stretch.quickest_s, latency_s)
        stretch.slowest_s = max(stretch.slowest_s, latency_s)
        before_s, was_known = self._quickest_s, self.is_known
        quickest_s = min(each.quickest_s for each in self._stretches)
        self._quickest_s = math.floor(quickest_s / GRAIN_S) * GRAIN_S
        self._spread_s = max(each.slowest_s for each in self._stretches) - quickest_s
        self.is_known = was_known or stretch.answers >= ENOUGH
        self._weigh()
        return max(0.0, before_s - self._quickest_s) if was_known else 0.0

    @property
    def _answers(self) -> int:
        return sum(each.answers for each in self._stretches)

    def _weigh(self) -> None:
        """Say how much safety is needed."""
        whole = [each.quickest_s for each in self._stretches if each.answers >= STRETCH_ANSWERS]
        differ_s = max(whole) - min(whole) if whole else 0.0
        few_s = SAFETY_ANSWERS * min(self._spread_s, self.assumed_s) / max(1, self._answers)
        # Strays add more: they show that the answers don't show everything.
        least_s = LEAST_SAFETY_S + (self.assumed_s - self._first_assumed_s) / 2
        self.safety_s = min(max(least_s, differ_s, few_s), MOST_SAFETY * self.assumed_s)
