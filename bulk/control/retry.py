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
    """Ceiling of the waits after the last attempt, while nothing answers: the breaker must be asked often enough."""

    def decide(self, failure: Failure, attempt: int, *, action: Action, uniform: Uniform, silent: bool = False) -> Step:
        """Say what follows attempt number ``attempt``.

        Args:
            failure: How the attempt ended.
            attempt: Its number, starting at 1, throttled ones not counted.
            action: What was attempted: only a create must be asked about before it is repeated.
            uniform: Source of jitter.
            silent: Nobody else was answered either, since this request was first sent.

        Returns:
            A step; its delay lies in [0, cap_s] or is what the platform asked for. After a create of unknown
            outcome it is always `Next.ASK`, also when the attempts are spent: the row needs its outcome. While
            nothing answers nothing is given up, as that says nothing of single rows: the breaker ends the run.
        """
        step = _BY_KIND.get(failure.kind)
        if step:
            return step
        if failure.kind is FailureKind.EXISTS:
            # Named as there a second time, though the listing between did not show it: listings lag, and catch up.
            return Step(Next.ASK, self._backoff_s(attempt - 1, uniform) if attempt > 1 else 0.0)
        delay_s = failure.retry_after_s or self._backoff_s(attempt, uniform)
        if action is Action.CREATE and failure.kind is not FailureKind.NOT_SENT:
            return Step(Next.ASK, delay_s)
        if attempt < self.max_attempts:
            return Step(Next.REPEAT, delay_s)
        if silent and failure.http_status is None:
            return Step(Next.REPEAT, min(delay_s, self.silent_cap_s))
        return Step(Next.FAIL_ROW)

    def _backoff_s(self, attempt: int, uniform: Uniform) -> float:
        ceiling_s = min(self.cap_s, self.first_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return uniform(ceiling_s / 2, ceiling_s)


_BY_KIND = {
    # The gate keeps the pace and honours what the platform asked for: no second wait here.
    FailureKind.THROTTLED: Step(Next.REPEAT, counts=False),
    FailureKind.CLOCK: Step(Next.REPEAT, counts=False),
    FailureKind.KEYS: Step(Next.REPEAT, counts=False),
    FailureKind.QUOTA: Step(Next.ASK),
    FailureKind.PRODUCT: Step(Next.FAIL_LANE),
    FailureKind.DENIED: Step(Next.FAIL_LANE),
    FailureKind.REFUSED: Step(Next.FAIL_ROW),
    FailureKind.UNRECOGNISED: Step(Next.FAIL_ROW),
    FailureKind.FATAL: Step(Next.STOP_RUN),
}
"""Kinds whose step depends on nothing else; the others, `EXISTS`, `NOT_SENT` and `DOUBTFUL`, are worth a wait."""
