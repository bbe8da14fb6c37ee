"""Decide what follows a failed attempt: repeat, list first, or give up, and for which rows. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bulk.model import Action, Failure, FailureKind

__all__ = ["Next", "RetryPolicy", "Step", "Uniform"]

_MOST_DOUBLINGS = 64
"""Any cap is reached long before this; a thousand doublings overflow a float."""

Uniform = Callable[[float, float], float]
"""A source of jitter, such as ``random.Random(seed).uniform``."""


class Next(StrEnum):
    """What follows a failed attempt."""

    REPEAT = "repeat"  #: send again: the platform did nothing
    ASK = "ask"  #: list, then decide by what is there
    FAIL_ROW = "fail_row"  #: give this request up
    FAIL_LANE = "fail_lane"  #: no row of this product can succeed now
    STOP_RUN = "stop_run"  #: no row at all can succeed now


@dataclass(frozen=True, slots=True)
class Step:
    """A decision."""

    next: Next
    delay_s: float = 0.0
    """How long to wait before it, in seconds."""

    counts: bool = True
    """Whether the failed attempt uses up one of the row's."""

    spent: bool = False
    """Whether that was the last one: after `Next.ASK`, a row that the listing leaves open is given up."""

    anew: bool = False
    """Whether the count starts again: no request is answered, so the attempts say nothing about the row."""

    def after(self, attempt: int) -> int:
        """Return the number of the attempt after this one."""
        return 1 if self.anew else attempt + self.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often an attempt is repeated, and how long to wait between attempts."""

    max_attempts: int = 6
    """Attempts in all, the first included."""

    first_s: float = 0.5
    """Ceiling of the first wait, in seconds; it doubles from attempt to attempt."""

    cap_s: float = 30.0
    """Ceiling of any wait, in seconds."""

    silent_cap_s: float = 8.0
    """Ceiling of the waits while no request is answered: bulk must notice the end of an outage soon."""

    def decide(self, failure: Failure, attempt: int, *, action: Action, uniform: Uniform, silent: bool = False) -> Step:
        """Say what follows attempt number ``attempt``.

        Args:
            failure: How the attempt ended.
            attempt: Its number, starting at 1, throttled ones not counted.
            action: What was attempted: only a read may be repeated without asking first whether it took effect.
            uniform: Source of jitter.
            silent: No other request gets a proper answer either.

        Returns:
            A step; its delay lies in [0, cap_s] or is what the platform asked for. After a change of unknown
            outcome it is always `Next.ASK`, also when the attempts are spent: the row needs its outcome. While no
            request is answered, no row is given up: the silence says nothing about single rows, and the breaker
            ends the run. A request that never left says nothing about its row either, even if others are answered.
        """
        step = _BY_KIND.get(failure.kind)
        if failure.kind is FailureKind.GONE and action is not Action.DELETE:
            step = Step(Next.FAIL_ROW)
        if step:
            return step
        spent = attempt >= self.max_attempts
        if failure.kind in _SO_ALREADY:
            # The change is done already, though a listing did not show it: listings lag behind for a while.
            return Step(Next.ASK, self._backoff_s(attempt - 1, uniform) if attempt > 1 else 0.0, spent=spent)
        delay_s = failure.retry_after_s or self._backoff_s(attempt, uniform)
        if silent:
            delay_s = min(delay_s, self.silent_cap_s)
        anew = spent and silent
        if failure.kind is FailureKind.NOT_SENT:
            return Step(Next.REPEAT, delay_s, counts=False, anew=anew)
        if action.is_change:
            return Step(Next.ASK, delay_s, spent=spent and not silent, anew=anew)
        if spent and not silent:
            return Step(Next.FAIL_ROW)
        return Step(Next.REPEAT, delay_s, anew=anew)

    def probe_s(self, number: int, uniform: Uniform) -> float:
        """Return how long all rows wait, in an outage, before one request tests whether it is over.

        Args:
            number: Number of the test request, starting at 1.
            uniform: Source of jitter.
        """
        return min(self._backoff_s(number, uniform), self.silent_cap_s)

    def _backoff_s(self, attempt: int, uniform: Uniform) -> float:
        ceiling_s = min(self.cap_s, self.first_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return uniform(ceiling_s / 2, ceiling_s)


_SO_ALREADY = frozenset({FailureKind.EXISTS, FailureKind.GONE})
"""A create whose module is there already, and a delete whose module is gone already."""

_BY_KIND = {
    # The gate keeps the pace and any pause that the platform asked for: no second wait here.
    FailureKind.THROTTLED: Step(Next.REPEAT, counts=False),
    FailureKind.CLOCK: Step(Next.REPEAT, counts=False),
    FailureKind.KEYS: Step(Next.REPEAT, counts=False),
    FailureKind.QUOTA: Step(Next.ASK),
    FailureKind.PRODUCT: Step(Next.FAIL_LANE),
    FailureKind.DENIED: Step(Next.FAIL_LANE),
    FailureKind.HELD: Step(Next.FAIL_ROW),
    FailureKind.REFUSED: Step(Next.FAIL_ROW),
    FailureKind.UNRECOGNISED: Step(Next.FAIL_ROW),
    FailureKind.FATAL: Step(Next.STOP_RUN),
}
"""Kinds whose step depends on nothing else. Of the others, `EXISTS`, `NOT_SENT` and `DOUBTFUL` are worth a wait, and
`GONE` if it is about a delete."""
