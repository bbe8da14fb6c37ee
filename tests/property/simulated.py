"""Twins in memory that simulated nights share: the ledger, and what a platform has in common with all others."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.dispatch import Dispatcher
from bulk.engine.lanes.lane import work_off
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Session
from bulk.events import ignore
from bulk.model import TRIED_AGAIN_OUTCOMES, Action, Failure, FailureKind, Lane, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Any

    from bulk.model import Attempt, Row, Settlement

PER_S = 10
RATES = {Action.CREATE: float(PER_S), Action.LIST: float(PER_S)}
LOST = Failure(kind=FailureKind.DOUBTFUL, code="timeout", message="no answer")


class ModulesOnly:
    """The part of a platform that nobody asks for where modules are created."""

    async def list_packages(self, _product_key: str | None, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for packages here")

    async def list_products(self, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, _product_key: str, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")


@dataclass
class Ledger:
    """All rows of some accounts, and what became of them; the process's one writer."""

    rows: dict[str, list[Row]]
    """Account → its rows, product by product."""

    outcomes: dict[tuple[str, tuple[str, str]], tuple[Outcome, bool]] = field(default_factory=dict)
    """Account and key → outcome, and whether it is in doubt."""

    def settle(self, settlement: Settlement) -> None:
        self.outcomes[settlement.account, settlement.module.key] = settlement.outcome, settlement.in_doubt

    def note(self, attempt: Attempt) -> None:
        assert attempt.account in self.rows

    def amend(self, statement: str, *parameters: object) -> None:
        raise AssertionError(f"{statement} {parameters}: nothing here was ours before")

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        await asyncio.sleep(0.01)
        for settlement in settlements:
            self.settle(settlement)

    def outcome_of(self, account: str, row: Row) -> tuple[Outcome, bool]:
        return self.outcomes.get((account, row.module.key), (Outcome.PENDING, False))

    def open_lanes(self, account: str) -> list[Lane]:
        lanes: dict[str, list[Row]] = {}
        for row in self.rows[account]:
            outcome, in_doubt = self.outcome_of(account, row)
            if outcome in TRIED_AGAIN_OUTCOMES:
                again = row._replace(in_doubt=in_doubt or outcome is Outcome.SENDING)
                lanes.setdefault(row.module.product_key, []).append(again)
        return [Lane(product_key, tuple(rows)) for product_key, rows in lanes.items()]

    @property
    def is_done(self) -> bool:
        return not any(self.open_lanes(account) for account in self.rows)

    async def one_by_one(self, account: str) -> AsyncIterator[Lane]:
        for lane in self.open_lanes(account):
            yield lane


async def work_off_account(ledger: Ledger, account: str, *, seed: int, start_in_s: float, **parts: Any) -> None:
    """Work off an account's lanes as an engine does, in a session made of the parts."""
    session = Session(
        account=account,
        breaker=Breaker(now=parts["clock"].monotonic()),
        counters=Counters(),
        listener=ignore,
        policy=RetryPolicy(max_attempts=20),
        uniform=random.Random(seed).uniform,
        **parts,
    )
    await session.stop.sleep(start_in_s)
    await Dispatcher(session, concurrency=20).run(ledger.one_by_one(account), lambda lane: work_off(lane, session))


def no_second_is_too_full(times: Iterable[float], of: object) -> None:
    """Check that no second had more requests than granted."""
    times = sorted(times)
    for first, eleventh in zip(times, times[PER_S:], strict=False):
        assert eleventh - first >= 1.0, (of, first)
