"""Tell an outage from a row that the platform can't digest: was anybody answered properly? Pure.

A proper answer is one that the platform gave about the request, a refusal too; no reply, a page of a proxy, an error
of the server and a reply that can't be read are none. A row that fails time after time while others are answered is
its own trouble. Where several fail that had no trouble before, and nobody is answered, it is the platform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Silence"]

_LONGEST_GAP_S = 20.0
"""What two failures may lie apart and still count in full: in a longer time nobody asked, as the machine slept."""

_BENEFIT_S = 30.0
"""How long one request alone is given the benefit of the doubt while other actions are answered: a row that can't be
digested and creates that are down look the same until another row is tried."""


class Silence:
    """The requests of one action since its last proper answer."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self.requests = 0
        """How many got no proper answer."""

        self.lasted_s = 0.0
        """From the sending of the first to the end of the last; a time in which the machine slept is left out."""

        self.is_partial = False
        """Requests of another action were answered meanwhile."""

        self._noted_at = 0.0
        self._keys: set[Hashable] = set()
        self._untroubled: set[Hashable] = set()
        self._troubled: set[Hashable] = set()
        """What failed before the last proper answer, and was not answered since."""

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing failed of which no proper answer was seen since."""
        return not self.requests and not self._troubled

    @property
    def is_outage(self) -> bool:
        """Whether what fails now fails for the platform's sake."""
        if len(self._untroubled) > 1:
            return True
        return not self.is_partial and (bool(self._untroubled) or len(self._keys) > 1)

    @property
    def may_be_outage(self) -> bool:
        """Whether what fails now can't be told from an outage yet: one request alone had no trouble before."""
        return self.is_outage or (bool(self._untroubled) and self.lasted_s < _BENEFIT_S)

    def add(self, key: Hashable, *, left: bool, sent_at: float, now: float) -> None:
        """Take note of a request without a proper answer.

        Args:
            key: What it was about.
            left: Whether it left this machine; what did not can't fail for the row's sake.
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
        """Take note of a proper answer."""
        if self.requests:
            self._troubled |= self._keys
            self.requests, self.lasted_s, self.is_partial = 0, 0.0, False
            self._keys.clear()
            self._untroubled.clear()
        if self._troubled:
            self._troubled.discard(key)
