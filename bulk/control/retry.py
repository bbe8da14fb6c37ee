"""Decide what follows a failed attempt: repeat, list first, or give up, and for whom. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bulk.model import Action, Failure, FailureKind

__all__ = ["Next", "RetryPolicy", "Step", "Uniform"]

_MOST_DOUBLINGS = 64
"""Any cap is reached long before; some thousand are more than a float holds."""

Uniform = Callable[[float, float], float]
"""A source of jitter, such as ``random.Random(seed).uniform``."""


class Next(StrEnum):
    """What follows a failed attempt."""

    REPEAT = "repeat"  #: send again: the platform did nothing
    ASK = "ask"  #: list, and decide by what is there
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
    """Whether that was the last one: after `Next.ASK`, what the listing leaves open is given up."""

    anew: bool = False
    """Whether the count begins anew: nobody is answered, so that the attempts say nothing of the row."""

    def after(self, attempt: int) -> int:
        """Return the number of the attempt after this one."""
        return 1 if self.anew else attempt + self.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and how far apart, an attempt is repeated."""

    max_attempts: int = 6
    """Attempts in all, the first included."""

    first_s: float = 0.5
    """Ceiling of the first wait, in seconds; it doubles from attempt to attempt."""

    cap_s: float = 30.0
    """Ceiling of any wait, in seconds."""

    silent_cap_s: float = 8.0
    """Ceiling of the waits while nobody is answered: the end of an outage is to be noticed soon."""

    def decide(self, failure: Failure, attempt: int, *, action: Action, uniform: Uniform, silent: bool = False) -> Step:
        """Say what follows attempt number ``attempt``.

        Args:
            failure: How the attempt ended.
            attempt: Its number, starting at 1, throttled ones not counted.
            action: What was attempted: only what reads may be repeated without asking what became of it.
            uniform: Source of jitter.
            silent: Nobody else is answered properly either.

        Returns:
            A step; its delay lies in [0, cap_s] or is what the platform asked for. After a change of unknown
            outcome it is always `Next.ASK`, also when the attempts are spent: the row needs its outcome. While
            nobody is answered nothing is given up, as that says nothing of single rows: the breaker ends the run.
            Nor does a request that never left say anything of its row, whoever else is answered.
        """
        step = _BY_KIND.get(failure.kind)
        if failure.kind is FailureKind.GONE and action is not Action.DELETE:
            step = Step(Next.FAIL_ROW)
        if step:
            return step
        spent = attempt >= self.max_attempts
        if failure.kind in _SO_ALREADY:
            # It is so already, though a listing did not show it: listings lag, and catch up.
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
        """Return how long everybody waits, in an outage, before one request asks whether it is over.

        Args:
            number: Of the probe, starting at 1.
            uniform: Source of jitter.
        """
        return min(self._backoff_s(number, uniform), self.silent_cap_s)

    def _backoff_s(self, attempt: int, uniform: Uniform) -> float:
        ceiling_s = min(self.cap_s, self.first_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return uniform(ceiling_s / 2, ceiling_s)


_SO_ALREADY = frozenset({FailureKind.EXISTS, FailureKind.GONE})
"""A create whose module is there, a delete whose module is not."""

_BY_KIND = {
    # The gate keeps the pace and honours what the platform asked for: no second wait here.
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
"""Kinds whose step depends on nothing else; of the others, `EXISTS`, `NOT_SENT` and `DOUBTFUL` are worth a wait, and
`GONE` where it is about a delete."""
