"""Prove, from the times at which requests left, that no window of the platform was too full. Pure.

A fence is one process with one clock, and its pace uses that clock. So each fence's windows are proven separately, to a
tenth of a millisecond. Between two fences the lease makes the next holder wait.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from bulk.fleet.records import UNITS_PER_S
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.fleet.manifest import Member

__all__ = ["Crowded", "Windows"]

_WINDOW = UNITS_PER_S - 2
"""A second, minus the error of rounding two times to whole units."""


class Crowded(NamedTuple):
    """A window with more requests than the rate allows."""

    group: str
    action: Action
    granted: int
    requests: int
    at_s: float
    """When it began, by the fence's clock."""


class Windows:
    """All requests of one fence."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        """Begin without requests.

        Args:
            members: Account → its rate group and its rate.
        """
        self._members = members
        self._sent: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._granted: dict[tuple[str, str], float] = {}
        self.requests: Counter[str] = Counter()
        """Requests by action."""

    def note(self, account: str, action: str, times: Sequence[int]) -> None:
        """Note requests.

        Raises:
            KeyError: The fleet has no such account, or a run sends no such request.
        """
        member = self._members[account]
        key = member.group, action
        self._granted[key] = {Action.CREATE: member.create_per_s, Action.LIST: member.list_per_s}[Action(action)]
        self._sent[key] += times
        self.requests[action] += len(times)

    def crowded(self) -> Iterator[Crowded]:
        """Yield the fullest window of each rate group and action, if it had too many requests."""
        for (group, action), times in self._sent.items():
            most = math.ceil(self._granted[group, action])
            times.sort()
            if most and any(later - first < _WINDOW for first, later in zip(times, times[most:], strict=False)):
                requests, at = _fullest(times)
                yield Crowded(group, Action(action), most, requests, at / UNITS_PER_S)


def _fullest(times: Sequence[int]) -> tuple[int, int]:
    """Return how many requests the fullest window had, and when it began."""
    first, found = 0, (0, 0)
    for number, time in enumerate(times):
        while time - times[first] >= _WINDOW:
            first += 1
        found = max(found, (number - first + 1, times[first]))
    return found
