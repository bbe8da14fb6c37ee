"""Count what a plan finds: for each account, and the first rows of each outcome over all accounts."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from bulk.engine.planned import FullProduct, PlannedAccount, PlannedRow
from bulk.model import ROW_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.control.budget import Decision
    from bulk.engine.accounts import Account
    from bulk.model import Lane, Row

__all__ = ["EXAMPLES", "Shown", "Tally", "seconds_of"]

EXAMPLES = 3
"""Rows of each outcome that are shown."""


class Shown:
    """What a plan shows row by row: the first rows of each outcome, and the products that are full."""

    def __init__(self) -> None:
        self._examples: dict[tuple[Outcome, bool], list[PlannedRow]] = {}
        self._full: list[FullProduct] = []

    @property
    def examples(self) -> tuple[PlannedRow, ...]:
        """The first rows of each outcome, in file order."""
        return tuple(sorted(chain(*self._examples.values()), key=lambda row: row.line))

    @property
    def full_products(self) -> tuple[FullProduct, ...]:
        """Products without a slot for every row, in file order."""
        return tuple(sorted(self._full, key=lambda product: product.lines))

    def add(self, row: PlannedRow) -> None:
        """Keep a row if it is among the first of its outcome: lanes answer in any order."""
        shown = self._examples.setdefault((row.outcome, row.already), [])
        insort(shown, row, key=lambda other: other.line)
        del shown[EXAMPLES:]

    def add_full(self, product: FullProduct) -> None:
        """Keep a product."""
        self._full.append(product)


class Tally:
    """What a plan knows so far of one account's rows."""

    def __init__(self, account: Account, outcomes: Mapping[str, int], settled: Iterable[Outcome], shown: Shown) -> None:
        """Start with the rows that no listing can change.

        Args:
            account: Owner of the rows.
            outcomes: Outcomes of its rows now.
            settled: Outcomes of rows that no run tries again.
            shown: Collects what the plan shows.
        """
        self.account = account
        self.rows = sum(outcomes.values())
        self.settled: Counter[Outcome] = Counter({outcome: outcomes.get(outcome, 0) for outcome in settled})
        self.found: Counter[Outcome] = Counter()
        """Outcomes that were found for rows that a run tries."""

        self.requests: Counter[str] = Counter()
        self.stopped: str | None = None
        self._shown = shown
        self._name = account.name or None

    def count(self, row: Row, outcome: Outcome, message: str | None = None, *, already: bool = False) -> None:
        """Note the outcome that a row would have."""
        self.found[outcome] += 1
        module = row.module
        self._shown.add(
            PlannedRow(
                row.line, module.product_key, module.module_name, outcome, message, already=already, account=self._name
            )
        )

    def lose(self, lane: Lane, decision: Decision, *, taken_by: tuple[str, ...]) -> None:
        """Note the rows of a product that get no slot."""
        for verdict in decision.over_budget:
            self.count(verdict.row, verdict.outcome, verdict.message)
        if decision.over_budget:
            lines = tuple(verdict.row.line for verdict in decision.over_budget)
            given_to = tuple(row.line for row in decision.admitted)
            self._shown.add_full(FullProduct(lane.product_key, taken_by, lines, given_to, self._name))

    def planned(self) -> PlannedAccount:
        """Return the account's part of the plan; rows that were not judged stay as they are."""
        settings = self.account.settings
        outcomes = self.settled + self.found
        outcomes[Outcome.PENDING] = self.rows - outcomes.total()
        return PlannedAccount(
            target=str(self.account.target),
            rows=self.rows,
            outcomes={outcome.value: outcomes[outcome] for outcome in ROW_OUTCOMES},
            requests={"list": self.requests["list"], "create": self.requests["create"]},
            seconds=seconds_of(self.requests, qps=settings.qps, list_qps=settings.list_qps),
            stopped=self.stopped,
        )


def seconds_of(requests: Mapping[str, int], *, qps: float, list_qps: float) -> float:
    """Return how long requests take at these rates."""
    return max(_seconds(requests["list"], list_qps), _seconds(requests["create"], qps))


def _seconds(requests: int, per_s: float) -> float:
    return round(requests / per_s, 1) if per_s else 0.0
