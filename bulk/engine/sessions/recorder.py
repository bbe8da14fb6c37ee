"""Record what happens: in the ledger, in the counters of this run, and for the listener."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bulk.engine.sessions.notes import Notes
from bulk.events import AttemptMade, RowSettled
from bulk.model import NO_LINE, Failure, FailureKind, Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk.control.breaker import Breaker
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.model import Accepted, Action, Attempt, Change, Listing, OtaModule, Package, Page, Product, Row

__all__ = ["Counters", "Recorder", "Writer"]


class Writer(Protocol):
    """What a run needs from the ledger while it sends; `bulk.ledger.writer.LedgerWriter` is one."""

    def settle(self, settlement: Settlement) -> None:
        """Hand over an outcome; it is committed soon."""
        ...

    def note(self, attempt: Attempt) -> None:
        """Hand over one request, for the auditor."""
        ...

    def amend(self, statement: str, *parameters: object) -> None:
        """Hand over a change that is no outcome, by the name of its statement; it is committed like an outcome."""
        ...

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Return when these records are on disk; raise `LedgerError` if they can't be written."""
        ...


_CERTAIN = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.EXISTS, Outcome.MOVED, Outcome.DELETED})
"""After these outcomes no earlier change is in doubt: it was found, or its traces are somebody else's."""

_CHANGED = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.DELETED})


@dataclass(slots=True)
class Counters:
    """What this run did so far, as a whole or for one account."""

    requests: dict[Action, int] = field(default_factory=dict)
    """Requests that left this machine, by action; a run starts with a zero for each action that it may send."""

    retries: int = 0
    """Attempts after a failed one, whether or not they left."""

    throttled: int = 0
    recovered: int = 0
    changes: dict[Outcome, int] = field(default_factory=dict)
    """Changes that were carried out or recovered, by the outcome of their modules."""

    @classmethod
    def sum_of(cls, parts: Iterable[Counters]) -> Counters:
        """Return what the parts did together."""
        total = cls()
        for part in parts:
            for action, requests in part.requests.items():
                total.requests[action] = total.requests.get(action, 0) + requests
            total.retries += part.retries
            total.throttled += part.throttled
            total.recovered += part.recovered
            for outcome, changes in part.changes.items():
                total.changes[outcome] = total.changes.get(outcome, 0) + changes
        return total


class Recorder(Notes):
    """The run's only way to the ledger and to its listener."""

    def __init__(
        self,
        writer: Writer,
        *,
        counters: Counters,
        breaker: Breaker,
        stop: StopSignal,
        listener: Listener,
        account: str = "",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Only store where to write.

        Args:
            writer: Writes to the ledger.
            counters: Incremented here.
            breaker: Learns of every outcome.
            stop: Requested when the breaker says that too many rows failed.
            listener: Learns of every attempt, retry and outcome.
            account: Owner of the rows and requests; empty if no accounts are named.
            wall_clock: Seconds since the epoch.
        """
        super().__init__(listener=listener, account=account, wall_clock=wall_clock)
        self._counters = counters
        self._breaker = breaker
        self._stop = stop
        self._writer = writer

    async def claim(
        self,
        changes: Iterable[tuple[Row, Change]],
        *,
        approved: bool = False,
        frees_slot_for: str | None = None,
    ) -> None:
        """Record durably that these changes may leave from now on, each with what it wants and what was found.

        Args:
            changes: They are written to disk together, or not at all.
            approved: A person approved them.
            frees_slot_for: ModuleName of the create that takes the slot of a delete among them.

        Raises:
            LedgerError: It is not on disk; nothing may be sent.
        """
        at = self._wall_clock()
        await self._writer.claim(
            [
                Settlement(
                    line=change.line,
                    module=change.wanted,
                    outcome=Outcome.SENDING,
                    attempts=row.attempts,
                    in_doubt=row.in_doubt,
                    at=at,
                    kind=change.kind,
                    found=change.found,
                    account=self._account,
                    approved=approved,
                    frees_slot_for=frees_slot_for,
                )
                for row, change in changes
            ]
        )

    def settle(
        self,
        row: Row,
        outcome: Outcome,
        *,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        recovered: bool = False,
        owned: bool | None = None,
        written: OtaModule | None = None,
    ) -> None:
        """Record the outcome of a row, or of a module that no row asks for; see `Settlement` for the arguments."""
        settlement = Settlement(
            line=None if row.line == NO_LINE else row.line,
            module=row.module,
            outcome=outcome,
            code=code,
            message=message,
            request_id=request_id,
            attempts=row.attempts,
            recovered=recovered,
            in_doubt=row.in_doubt and outcome not in _CERTAIN,
            at=self._wall_clock(),
            account=self._account,
            owned=owned,
            written=written,
        )
        self._counters.recovered += recovered
        if code is None and outcome in _CHANGED:
            self._counters.changes[outcome] = self._counters.changes.get(outcome, 0) + 1
        self._writer.settle(settlement)
        self._listener(RowSettled(settlement))
        reason = self._breaker.settled(failed=outcome is Outcome.FAILED)
        if reason:
            self._stop.request(reason)

    def disown(self, product_key: str, module_name: str) -> None:
        """Record that a listing lacks one of our modules: a later module of its name is somebody else's."""
        self._writer.amend("end_ownership", self._account, product_key, module_name)

    def attempted(
        self,
        action: Action,
        answer: Listing | Accepted | Product | Page[Package] | Page[Product] | Failure,
        key: tuple[str, str | None],
        *,
        latency_s: float,
        repeat: bool,
        left_s: float | None = None,
    ) -> None:
        """Record one request and its answer; see `Notes.attempted`."""
        failure = answer if isinstance(answer, Failure) else None
        self._counters.retries += repeat
        if failure is None or failure.was_sent:
            self._counters.requests[action] = self._counters.requests.get(action, 0) + 1
        if failure and failure.kind is FailureKind.THROTTLED:
            self._counters.throttled += 1
        attempt = self._attempt(action, answer, key, latency_s, left_s)
        self._writer.note(attempt)
        self._listener(AttemptMade(attempt))
