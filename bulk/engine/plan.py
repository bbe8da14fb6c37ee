"""Tell what a run would do: read the input into a copy of the ledger, list, decide, and send no create."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING

from bulk.cloud.dialects import resolve_target
from bulk.control.budget import decide
from bulk.engine.ingest import IngestStoppedError, ingest
from bulk.engine.job import Job
from bulk.engine.lanes.dispatch import most_lanes
from bulk.engine.lanes.selection import EVERYTHING, select, selected_lanes
from bulk.engine.lanes.sending import opened_session, visit
from bulk.engine.planned import FullProduct, Plan, PlannedRow
from bulk.engine.sessions.connect import credentials_for, ledger_path, sandbox_state
from bulk.engine.sessions.recorder import Counters
from bulk.engine.stop import StopSignal
from bulk.engine.threads import held, in_thread
from bulk.events import PlanStarted, ignore
from bulk.ledger.store import Ledger
from bulk.model import RESERVED_MODULE_NAME, TRIED_AGAIN_OUTCOMES, Failure, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bulk.cloud.credentials import CredentialProvider
    from bulk.control.budget import Decision
    from bulk.engine.sessions.session import Session
    from bulk.events import Listener
    from bulk.ledger.views.reading import Result
    from bulk.model import Attempt, InputFound, Lane, Row, Settlement
    from bulk.settings import Settings

__all__ = ["FullProduct", "Plan", "PlannedRow", "plan"]

_SETTLED = tuple(outcome for outcome in Outcome if outcome not in TRIED_AGAIN_OUTCOMES)
_EXAMPLES = 3
"""Rows of each outcome that are shown."""


async def plan(
    input_name: str,
    settings: Settings,
    *,
    credentials: CredentialProvider | None = None,
    offline: bool = False,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Plan:
    """Read the input, list the products of its open rows, and say what a run would do. Nothing is changed.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: As for a run.
        credentials: Keys to sign listings with; default: the official chain.
        offline: List nothing: every module that this ledger did not make counts as missing.
        listener: Told what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used.
        InputError: The input can't be read.
        LedgerError: There is a ledger, and it can't be read or belongs to another target.
        StoppedError: A stop was requested before the keys were there.
    """
    target = resolve_target(settings)
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    keys = credentials or (
        None if offline else await stop.unless_requested(credentials_for(settings, listener=listener))
    )
    async with held(Ledger.scratch, path, target=target) as ledger:
        job = _Planning(
            input_name=input_name, settings=settings, target=target, ledger=ledger, listener=listener, stop=stop
        )
        return await job.run(path, keys)


@dataclass
class _Planning(Job):
    """One plan."""

    def __post_init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._requests: Counter[str] = Counter()
        self._full: list[FullProduct] = []
        self._examples: dict[tuple[Outcome, bool], list[PlannedRow]] = {}
        self._rows = 0
        self._selection = EVERYTHING
        self._found: InputFound | None = None

    async def run(self, path: Path, keys: CredentialProvider | None) -> Plan:
        with suppress(IngestStoppedError):
            self._found = await ingest(
                self.input_name, self.settings.read, self.ledger, stop=self.stop, listener=self.listener
            )
            await in_thread(self._take_stock)
            if keys is None:
                await in_thread(self._judge_by_files)
            else:
                await self._ask(path, keys)
        return self._plan(path, offline=keys is None)

    def _take_stock(self) -> None:
        """Start with the rows that no listing can change."""
        outcomes = self.ledger.outcomes()
        self._rows = sum(outcomes.values())
        self._selection = select(self.ledger, self.settings)
        for outcome in _SETTLED:
            self._outcomes[outcome] = outcomes[outcome]
            for row in islice(self.ledger.rows((outcome,)), _EXAMPLES):
                self._show(_planned(row, outcome, already=outcome is Outcome.CREATED))

    def _judge_by_files(self) -> None:
        """Judge only products that ask for more than ten: every other open row would be created."""
        wanted = self._selection.products
        self._requests["list"] = self.ledger.count_open_products() if wanted is None else len(wanted)
        open_rows = self._rows - self._outcomes.total() - self._selection.outside
        for lane, made in self.ledger.crowded_lanes():
            if wanted is None or lane.product_key in wanted:
                self._lose(lane, decide(lane.rows, (), held=made), taken_by=())
        self._requests["create"] = open_rows - self._outcomes[Outcome.OVER_BUDGET]
        self._outcomes[Outcome.CREATED] += self._requests["create"]
        self._show_first_creates()

    def _show_first_creates(self) -> None:
        """Show the first rows that would be created; the few that lose their slot are known already."""
        losing = {line for product in self._full for line in product.lines}
        wanted = self._selection.products
        admitted = (
            row
            for row in self.ledger.rows(TRIED_AGAIN_OUTCOMES)
            if row.line not in losing and (wanted is None or row.product_key in wanted)
        )
        for row in islice(admitted, _EXAMPLES):
            self._show(_planned(row, Outcome.CREATED))

    async def _ask(self, path: Path, keys: CredentialProvider) -> None:
        state = sandbox_state(path)
        is_there = await asyncio.to_thread(state.exists)
        async with selected_lanes(self.ledger, self._selection) as lanes:
            self.listener(PlanStarted(lanes.products))
            async with opened_session(
                self, keys, writer=_NoWriter(), counters=Counters(), state=state if is_there else None
            ) as session:
                concurrency = most_lanes(self.settings)
                await visit(session, lanes, lambda lane: self._look(lane, session), concurrency=concurrency)

    async def _look(self, lane: Lane, session: Session) -> None:
        listing = await session.calls.list_modules(lane.product_key)
        if listing is None:
            return
        self._requests["list"] += 1
        if isinstance(listing, Failure):
            message = f"its product could not be listed: {listing.code}, {listing.message}"
            for row in lane.rows:
                self._count(row, Outcome.FAILED, message)
            return
        decision = decide(lane.rows, listing.modules)
        for verdict in decision.there:
            already = verdict.outcome is Outcome.CREATED
            self._count(verdict.row, verdict.outcome, verdict.message, already=already)
        for row in decision.admitted:
            self._count(row, Outcome.CREATED)
        self._requests["create"] += len(decision.admitted)
        customs = sorted(module.module_name for module in listing.modules if module.key[1] != RESERVED_MODULE_NAME)
        self._lose(lane, decision, taken_by=tuple(customs))

    def _lose(self, lane: Lane, decision: Decision, *, taken_by: tuple[str, ...]) -> None:
        for verdict in decision.over_budget:
            self._count(verdict.row, verdict.outcome, verdict.message)
        if decision.over_budget:
            lines = tuple(verdict.row.line for verdict in decision.over_budget)
            given_to = tuple(row.line for row in decision.admitted)
            self._full.append(FullProduct(lane.product_key, taken_by, lines, given_to))

    def _count(self, row: Row, outcome: Outcome, message: str | None = None, *, already: bool = False) -> None:
        self._outcomes[outcome] += 1
        module = row.module
        self._show(PlannedRow(row.line, module.product_key, module.module_name, outcome, message, already=already))

    def _show(self, row: PlannedRow) -> None:
        """Keep it if it is among the first of its outcome: lanes answer in any order."""
        shown = self._examples.setdefault((row.outcome, row.already), [])
        insort(shown, row, key=lambda other: other.line)
        del shown[_EXAMPLES:]

    def _plan(self, path: Path, *, offline: bool) -> Plan:
        lists, creates = self._requests["list"], self._requests["create"]
        seconds = max(_seconds(lists, self.settings.list_qps), _seconds(creates, self.settings.qps))
        # What nobody looked at, because it was not asked for or because the plan was cut short, stays as it is.
        self._outcomes[Outcome.PENDING] = self._rows - self._outcomes.total()
        return Plan(
            input=self.input_name,
            ledger=str(path),
            target=str(self.target),
            offline=offline,
            rows=self._rows,
            outcomes={outcome.value: self._outcomes[outcome] for outcome in Outcome},
            requests={"list": lists, "create": creates},
            seconds=seconds,
            would_create=creates,
            already_created=self._outcomes[Outcome.CREATED] - creates,
            outside=self._selection.outside,
            ends_at=_clock_time_in(seconds) if seconds else None,
            full_products=tuple(sorted(self._full, key=lambda product: product.lines)),
            examples=tuple(sorted(chain(*self._examples.values()), key=lambda row: row.line)),
            found=self._found,
            stopped=self.stop.reason,
        )


def _planned(row: Result, outcome: Outcome, *, already: bool = False) -> PlannedRow:
    message = row.message if row.outcome == outcome else None
    return PlannedRow(row.line, row.product_key, row.module_name, outcome, message, already=already)


def _seconds(requests: int, per_s: float) -> float:
    return round(requests / per_s, 1) if per_s else 0.0


def _clock_time_in(seconds: float) -> str:
    return (datetime.now().astimezone() + timedelta(seconds=seconds)).isoformat(timespec="seconds")


class _NoWriter:
    """Takes what a plan would record, and drops it."""

    def settle(self, settlement: Settlement) -> None:
        """Drop it."""

    def note(self, attempt: Attempt) -> None:
        """Drop it."""

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Refuse: a plan sends no create, and so claims nothing."""
        raise AssertionError(f"a plan claims nothing, not even {settlements!r}")
