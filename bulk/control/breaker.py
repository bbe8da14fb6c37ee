"""Decide when a run must stop: nothing answers, everything gets one refusal, or too many rows failed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.control.silence import Silence
from bulk.model import Action, FailureKind

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bulk.model import Failure
    from bulk.settings import FailureCap

__all__ = ["Breaker"]

_SILENCE_S = 40.0
_SILENT_ATTEMPTS = 3
"""So many failures in a row are no accident."""

_THROTTLED_S = 600.0
_STORM = 20
_PERCENT_FROM_ROWS = 100

_NO_ANSWER = frozenset({FailureKind.NOT_SENT, FailureKind.DOUBTFUL})
_SYSTEMIC = frozenset({FailureKind.UNRECOGNISED, FailureKind.DENIED})


class Breaker:
    """Watches every attempt and every settled row; its methods return why the run must stop, or ``None``."""

    def __init__(self, *, now: float, max_failures: FailureCap | None = None) -> None:
        """Begin to watch.

        Args:
            now: A monotonic clock, in seconds, like every other ``now``.
            max_failures: How many failed rows are allowed.
        """
        self._max_failures = max_failures
        self._accepted_at = now
        self._silences = {action: Silence() for action in Action}
        self._all_calm = True
        """True while every request since the last reset got a proper answer."""

        self._storm_code: str | None = None
        self._storm = 0
        self._storm_is_of_products = False
        self._tried = 0
        self._failed = 0

    def succeeded(self, action: Action, key: Hashable, *, now: float) -> None:
        """Note an accepted request. It ends a storm of refusals if it shows that not everything is refused."""
        self._accepted_at = now
        self.answered(action, key)
        # A read that succeeds shows this for products, but not for changes.
        if action.is_change or self._storm_is_of_products:
            self._storm = 0

    def answered(self, action: Action, key: Hashable) -> None:
        """Note any proof that the platform carries out or refuses requests of an action."""
        if self._all_calm:
            return
        for other, silence in self._silences.items():
            if other is action:
                silence.end(key)
            elif silence.requests:
                silence.is_partial = True
        self._all_calm = all(silence.is_forgotten for silence in self._silences.values())

    def failed(self, failure: Failure, *, action: Action, key: Hashable, sent_at: float, now: float) -> str | None:
        """Note a failed request; return why the run must stop if the platform is out of reach or refuses everything.

        Args:
            failure: How it ended.
            action: What it asked for.
            key: The product or module that it was about.
            sent_at: When it was sent.
            now: When it ended.
        """
        if failure.kind in _NO_ANSWER:
            left = failure.kind is not FailureKind.NOT_SENT
            self._all_calm = False
            self._silences[action].add(key, left=left, sent_at=sent_at, now=now)
            return self._no_answer(failure, action)
        self.answered(action, key)
        if failure.kind is FailureKind.THROTTLED:
            return self._throttled(now)
        return self._refused(failure)

    def is_silent(self, action: Action) -> bool:
        """Return whether no request gets a proper answer: then, as far as is known, no single row is to blame."""
        return self._silences[action].may_be_outage

    def is_out(self, action: Action) -> bool:
        """Return whether so many requests got no answer that the others can wait."""
        silence = self._silences[action]
        return silence.requests >= _SILENT_ATTEMPTS and silence.is_outage

    def settled(self, *, failed: bool) -> str | None:
        """Note a row's outcome; return why the run must stop if more rows failed than ``max_failures`` allows."""
        self._tried += 1
        self._failed += failed
        cap = self._max_failures
        if not failed or cap is None:
            return None
        if cap.rows is not None and self._failed > cap.rows:
            rows = "row" if self._failed == 1 else "rows"
            return f"{self._failed} {rows} failed; the limit is {cap.rows} (--max-failures): see their reasons"
        if cap.percent is not None and self._tried >= _PERCENT_FROM_ROWS:
            share = 100 * self._failed / self._tried
            if share > cap.percent:
                limit = f"{cap.percent:g}% (--max-failures)"
                return f"{share:.1f}% of the rows failed; the limit is {limit}: see their reasons"
        return None

    def _no_answer(self, failure: Failure, action: Action) -> str | None:
        silence = self._silences[action]
        if silence.lasted_s < _SILENCE_S or not self.is_out(action):
            return None
        whom = f" for {action}" if silence.is_partial else ""
        answer, remedy = "a proper answer", "The platform or a proxy before it is down: run again later."
        if failure.http_status is None:
            answer, remedy = "an answer", "Check the endpoint and the network."
        end = "" if failure.message.endswith((".", "!", "?")) else "."
        return (
            f"the platform is out of reach{whom}: {silence.requests} requests in {silence.lasted_s:.0f} s without "
            f"{answer}, the last: {failure.code}, {failure.message}{end} {failure.remedy or remedy}"
        )

    def _throttled(self, now: float) -> str | None:
        waited_s = now - self._accepted_at
        if waited_s < _THROTTLED_S:
            return None
        return (
            f"throttled without a break for {waited_s / 60:.0f} minutes: somebody else uses up the account's rate; "
            "find out who, or run with a lower --qps and --list-qps"
        )

    def _refused(self, failure: Failure) -> str | None:
        if failure.kind not in _SYSTEMIC:
            self._storm = 0
            return None
        self._storm = self._storm + 1 if failure.code == self._storm_code else 1
        self._storm_code = failure.code
        self._storm_is_of_products = failure.kind is FailureKind.DENIED
        if self._storm < _STORM:
            return None
        return (
            f"{self._storm} requests in a row were refused with {failure.code} ({failure.message}): "
            "this is not about single rows. Look up the code, fix its cause, and run again"
        )
