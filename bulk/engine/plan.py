"""Tell what a run would do: read the input into a copy of the ledger, list, decide, and send no create."""

from __future__ import annotations

import asyncio
import tempfile
from bisect import insort
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.cloud.dialects import resolve_target
from bulk.control.budget import decide
from bulk.engine.connect import credentials_for, ledger_path, sandbox_state
from bulk.engine.ingest import IngestStoppedError, ingest
from bulk.engine.recorder import Counters
from bulk.engine.sending import visit
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.ledger.store import Ledger
from bulk.model import FINAL_OUTCOMES, PROVISIONED_OUTCOMES, RESERVED_MODULE_NAME, Failure, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.cloud.credentials import CredentialProvider
    from bulk.control.budget import Decision
    from bulk.engine.creation import Means
    from bulk.events import Listener
    from bulk.model import Attempt, Lane, Row, Settlement, Target
    from bulk.settings import Settings

__all__ = ["FullProduct", "Plan", "PlannedRow", "plan"]

_EXAMPLES = 3
"""Rows of each outcome that are shown."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row, and what would become of it."""

    line: int
    product_key: str | None
    module_name: str | None
    outcome: Outcome
    message: str | None = None


@dataclass(frozen=True, slots=True)
class FullProduct:
    """A product that has no slot for every row."""

    product_key: str
    taken_by: tuple[str, ...]
    """Custom modules that it has on the platform."""

    lines: tuple[int, ...]
    """Lines of the rows that get none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `bulk run` would do with an input now. Its fields are the keys of `bulk plan --json`."""

    input: str
    ledger: str
    target: str
    offline: bool
    """Judged by the files alone: what is on the platform was not asked."""

    rows: int
    outcomes: Mapping[str, int]
    """What the rows would be: each outcome's name → rows, zeros included."""

    requests: Mapping[str, int]
    """Requests that a run would send: ``list`` and ``create``."""

    seconds: float
    """How long they take at the granted rates."""

    full_products: tuple[FullProduct, ...] = ()
    examples: tuple[PlannedRow, ...] = ()
    """The first rows of each outcome, in file order."""

    stopped: str | None = None
    """Why the plan is not whole; ``None``: it is."""

    @property
    def exit_code(self) -> int:
        """0: every row can be provisioned; 1: not."""
        provisioned = sum(self.outcomes[outcome] for outcome in PROVISIONED_OUTCOMES)
        return 0 if provisioned == self.rows and not self.stopped else 1


async def plan(
    source: str,
    settings: Settings,
    *,
    credentials: CredentialProvider | None = None,
    offline: bool = False,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Plan:
    """Read the input, list the products of its open rows, and say what a run would do. Nothing is changed.

    Args:
        source: Path of the input; ``-`` for stdin.
        settings: As for a run.
        credentials: Keys to sign listings with; default: the official chain.
        offline: List nothing: every module that this ledger did not make counts as missing.
        listener: Told what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used.
        InputError: The input can't be read.
        LedgerError: There is a ledger, and it can't be read or belongs to another target.
    """
    target = resolve_target(settings)
    path = ledger_path(source, settings)
    keys = credentials or (None if offline else await credentials_for(settings, listener=listener))
    stop = stop or StopSignal()
    with tempfile.TemporaryDirectory(prefix="bulk-plan-") as folder:
        ledger = await asyncio.to_thread(Ledger.scratch, path, Path(folder), target=target)
        try:
            return await _Planning(source, settings, target, ledger, listener=listener, stop=stop).run(path, keys)
        finally:
            await asyncio.shield(asyncio.to_thread(ledger.close))


class _Planning:
    """One plan, while its copy of the ledger is open."""

    def __init__(
        self, source: str, settings: Settings, target: Target, ledger: Ledger, *, listener: Listener, stop: StopSignal
    ) -> None:
        self._source = source
        self._settings = settings
        self._target = target
        self._ledger = ledger
        self._listener = listener
        self._stop = stop
        self._outcomes: Counter[Outcome] = Counter()
        self._requests: Counter[str] = Counter()
        self._full: list[FullProduct] = []
        self._examples: dict[Outcome, list[PlannedRow]] = {}

    async def run(self, path: Path, keys: CredentialProvider | None) -> Plan:
        with suppress(IngestStoppedError):
            await ingest(self._source, self._settings.read, self._ledger, stop=self._stop, listener=self._listener)
            standing = await asyncio.to_thread(self._take_stock)
            if keys is None:
                await asyncio.to_thread(self._judge_by_files, standing)
            else:
                await self._ask(path, keys)
        return self._plan(path, offline=keys is None)

    def _take_stock(self) -> dict[str, int]:
        """Start with the rows that no listing can change; return how all rows stand."""
        standing = self._ledger.outcomes()
        for outcome in (*FINAL_OUTCOMES, Outcome.INVALID):
            self._outcomes[outcome] = standing[outcome]
            for result in self._ledger.first_rows(outcome, limit=_EXAMPLES):
                self._show(PlannedRow(result.line, result.product_key, result.module_name, outcome, result.message))
        return standing

    def _judge_by_files(self, standing: Mapping[str, int]) -> None:
        """Judge only products that ask for more than ten: every other open row would be created."""
        self._requests["list"] = self._ledger.count_open_products()
        for lane, made in self._ledger.crowded_lanes():
            self._lose(lane, decide(lane.rows, (), held=made), taken_by=())
        open_rows = sum(standing.values()) - sum(standing[outcome] for outcome in (*FINAL_OUTCOMES, Outcome.INVALID))
        self._requests["create"] = open_rows - self._outcomes[Outcome.OVER_BUDGET]
        self._outcomes[Outcome.CREATED] += self._requests["create"]

    async def _ask(self, path: Path, keys: CredentialProvider) -> None:
        await visit(
            self._ledger,
            self._settings,
            self._target,
            state=state if (state := sandbox_state(path)).exists() else None,
            writer=_NoWriter(),
            counters=Counters(),
            credentials=keys,
            stop=self._stop,
            listener=self._listener,
            work=self._look,
        )

    async def _look(self, lane: Lane, means: Means) -> None:
        listing = await means.calls.list_modules(lane.product_key)
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
            self._count(verdict.row, verdict.outcome, verdict.message)
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
            self._full.append(FullProduct(lane.product_key, taken_by, lines))

    def _count(self, row: Row, outcome: Outcome, message: str | None = None) -> None:
        self._outcomes[outcome] += 1
        self._show(PlannedRow(row.line, row.module.product_key, row.module.module_name, outcome, message))

    def _show(self, row: PlannedRow) -> None:
        """Keep it if it is among the first of its outcome: lanes answer in any order."""
        shown = self._examples.setdefault(row.outcome, [])
        insort(shown, row, key=lambda other: other.line)
        del shown[_EXAMPLES:]

    def _plan(self, path: Path, *, offline: bool) -> Plan:
        lists, creates = self._requests["list"], self._requests["create"]
        return Plan(
            input=self._source,
            ledger=str(path),
            target=str(self._target),
            offline=offline,
            rows=self._outcomes.total(),
            outcomes={outcome.value: self._outcomes[outcome] for outcome in Outcome},
            requests={"list": lists, "create": creates},
            seconds=max(_seconds(lists, self._settings.list_qps), _seconds(creates, self._settings.qps)),
            full_products=tuple(sorted(self._full, key=lambda product: product.lines)),
            examples=tuple(sorted(chain(*self._examples.values()), key=lambda row: row.line)),
            stopped=self._stop.reason,
        )


def _seconds(requests: int, per_s: float) -> float:
    return round(requests / per_s, 1) if per_s else 0.0


class _NoWriter:
    """Takes what a plan would record, and drops it."""

    def settle(self, settlement: Settlement) -> None:
        """Drop it."""

    def note(self, attempt: Attempt) -> None:
        """Drop it."""

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Refuse: a plan sends no create, and so claims nothing."""
        raise AssertionError(f"a plan claims nothing, not even {settlements!r}")
