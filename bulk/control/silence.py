"""Distinguish an outage from a row that the platform can't process: did any request get a proper answer? Pure.

A proper answer is the platform's answer to the request; a refusal is one too. No reply, a page of a proxy, a server
error and a reply that can't be read are not proper answers. If one row fails again and again while others are answered,
the row is the cause. If several fail that did not fail before, and no request is answered, the platform is the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Silence"]

_LONGEST_GAP_S = 20.0
"""The longest gap between two failures that counts in full: in a longer one the machine slept and sent nothing."""

_BENEFIT_S = 30.0
"""How long a single failing request does not count against its row while other actions are answered. A row that can't
be processed and an outage of creates look the same until another row is tried."""


class Silence:
    """The requests of one action since its last proper answer."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self.requests = 0
        """How many requests got no proper answer."""

        self.lasted_s = 0.0
        """From the sending of the first to the end of the last; time in which the machine slept is left out."""

        self.is_partial = False
        """Whether requests of another action were answered meanwhile."""

        self._noted_at = 0.0
        self._keys: set[Hashable] = set()
        self._untroubled: set[Hashable] = set()
        self._troubled: set[Hashable] = set()
        """Keys that failed before the last proper answer, and were not answered since."""

    @property
    def is_forgotten(self) -> bool:
        """Whether everything that failed got a proper answer since."""
        return not self.requests and not self._troubled

    @property
    def is_outage(self) -> bool:
        """Whether the platform is the cause of the present failures."""
        if len(self._untroubled) > 1:
            return True
        return not self.is_partial and (bool(self._untroubled) or len(self._keys) > 1)

    @property
    def may_be_outage(self) -> bool:
        """Whether the failures may be an outage; for a while, one key that never failed before is enough."""
        return self.is_outage or (bool(self._untroubled) and self.lasted_s < _BENEFIT_S)

    def add(self, key: Hashable, *, left: bool, sent_at: float, now: float) -> None:
        """Note a request without a proper answer.

        Args:
            key: The product or module that it was about.
            left: Whether it left this machine; if not, the row can't be the cause.
            sent_at: When it was sent, in seconds of a monotonic clock.
            now: The time of that clock.
        """
        self.lasted_s += min(now - (self._noted_at if self.requests else sent_at), _LONGEST_GAP_S)
        self._noted_at = now
        self.requests += 1
        self._keys.add(key)
        if not left or key not in self._troubled:
            self._untroubled.add(key)

    def end(self, key: Hashable) -> None:
        """Note a proper answer."""
        if self.requests:
            self._troubled |= self._keys
            self.requests, self.lasted_s, self.is_partial = 0, 0.0, False
            self._keys.clear()
            self._untroubled.clear()
        if self._troubled:
            self._troubled.discard(key)
