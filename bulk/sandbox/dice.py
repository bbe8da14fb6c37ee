"""Decide which request gets which fault: random, but the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from bulk.sandbox.faults import Effect, Fault

if TYPE_CHECKING:
    from bulk.sandbox.faults import FaultPlan

__all__ = ["FaultDice"]


class FaultDice:
    """Draws the fault of each request, the same for the same seed, in whatever order the requests come.

    A request's fault depends on the seed, its action, its product and module, and how often the same was asked before.
    """

    def __init__(self, plan: FaultPlan, *, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._is_idle = plan.is_empty
        self._asked: Counter[tuple[str, str]] = Counter()
        self._matched: Counter[int] = Counter()
        self._connections = 0

    def draw(self, action: str, subject: str) -> tuple[Fault | None, float]:
        """Return a request's fault and its latency.

        Args:
            action: The API action.
            subject: What it is about: product and module.

        Returns:
            The fault, if any, and the latency in seconds.
        """
        if self._is_idle:
            return None, 0.0
        self._asked[action, subject] += 1
        source = self._source(action, subject, self._asked[action, subject])
        latency_s = source.uniform(*self._plan.latency_of(action))
        due = [fault for index, fault in enumerate(self._plan.faults) if self._is_due(index, fault, action)]
        return self._pick(due, source.random()), latency_s

    def refuses(self) -> bool:
        """Say whether the next connection is aborted."""
        if self._is_idle:
            return False
        self._connections += 1
        due = [fault for index, fault in enumerate(self._plan.faults) if self._is_due(index, fault, None)]
        return self._pick(due, self._source("connection", "", self._connections).random()) is not None

    def _is_due(self, index: int, fault: Fault, action: str | None) -> bool:
        if (fault.effect is Effect.REFUSE) != (action is None) or fault.action not in (None, action):
            return False
        self._matched[index] += 1
        nth = self._matched[index] - fault.first
        return nth >= 0 and (fault.times is None or nth < fault.times)

    @staticmethod
    def _pick(due: list[Fault], chance: float) -> Fault | None:
        for fault in due:
            chance -= 1.0 if fault.times is not None else fault.share
            if chance < 0:
                return fault
        return None

    def _source(self, *key: str | int) -> random.Random:
        return random.Random(f"{self._seed}|{'|'.join(map(str, key))}")  # noqa: S311 - repeatable, not secret
