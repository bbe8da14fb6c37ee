"""The one thread that writes to a ledger during a run: records that arrive close together are one commit."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from bulk.errors import LedgerError
from bulk.ledger.sql import insert_many, query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc
from bulk.model import Outcome

if TYPE_CHECKING:
    import sqlite3
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bulk.model import Attempt, Settlement

__all__ = ["LedgerWriter", "answer"]

_LINGER_S = 0.01
"""How long a group gathers: measured, it costs a claim 10 ms and saves tens of thousands of commits."""

_TOGETHER = 128
"""Records in one statement at most. SQLite releases the interpreter's lock once per statement. While the event loop is
busy, each release costs two switches between threads."""


@dataclass(slots=True)
class _Group:
    """What will be committed together."""

    outcomes: list[Settlement] = field(default_factory=list)
    claims: list[Settlement] = field(default_factory=list)
    """Written after the outcomes. What is handed over after a claim waits until the claim is on disk."""

    amendments: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    """Names of statements, with their parameters; written between the two."""

    attempts: list[Attempt] = field(default_factory=list)
    waiters: list[Future[None]] = field(default_factory=list)


class LedgerWriter:
    """Group commit behind the event loop.

    `settle` and `note` return at once; `claim` returns when the claim is on disk, and with it everything that was
    handed over before. The order of hand-over is kept.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        run_id: str,
        loop: AbstractEventLoop,
        on_failure: Callable[[LedgerError], None],
    ) -> None:
        """Start the thread.

        Args:
            connection: Used only by the thread until `close` returns.
            path: The ledger, for messages.
            run_id: Recorded with everything that is written.
            loop: Where claims are awaited and ``on_failure`` is called.
            on_failure: Called once, when a commit failed; nothing is written afterwards.
        """
        self._connection = connection
        self._path = path
        self._run_id = run_id
        self._loop = loop
        self._on_failure = on_failure
        self._group = _Group()
        self._handover = threading.Lock()
        self._something = threading.Event()
        self._closing = False
        self._failure: LedgerError | None = None
        self._thread = threading.Thread(target=self._work, name="bulk-ledger", daemon=True)
        self._thread.start()

    def settle(self, settlement: Settlement) -> None:
        """Hand over an outcome; it is committed within about 10 ms."""
        with self._handover:
            self._group.outcomes.append(settlement)
        self._wake()

    def note(self, attempt: Attempt) -> None:
        """Hand over one request, for the auditor; it is committed with the next group."""
        with self._handover:
            self._group.attempts.append(attempt)
        self._wake()

    def amend(self, statement: str, *parameters: object) -> None:
        """Hand over another record, with the name of its statement; it is committed like an outcome."""
        with self._handover:
            self._group.amendments.append((statement, parameters))
        self._wake()

    async def claim(self, claims: Iterable[Settlement]) -> None:
        """Return when these rows are on disk as `sending`.

        Raises:
            LedgerError: They are not, and no request may be sent for them.
        """
        if self._failure:
            raise self._failure
        waiter = self._loop.create_future()
        with self._handover:
            self._group.claims.extend(claims)
            self._group.waiters.append(waiter)
        self._wake()
        await waiter

    def close(self) -> None:
        """Commit what is left and end the thread. Blocking, and safe to call twice.

        Raises:
            LedgerError: A commit failed, now or earlier.
        """
        self._closing = True
        self._something.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _wake(self) -> None:
        # Setting an event costs ten times as much as reading it; the thread clears it before it takes the group.
        if not self._something.is_set():
            self._something.set()

    def _work(self) -> None:
        while True:
            self._something.wait()
            if not self._closing:
                time.sleep(_LINGER_S)
            self._something.clear()
            last = self._closing
            with self._handover:
                group, self._group = self._group, _Group()
            self._commit(group)
            if last:
                return

    def _commit(self, group: _Group) -> None:
        if self._failure is None:
            try:
                with translated(self._path):
                    self._write(group)
            except LedgerError as exc:
                self._fail(exc)
            except Exception as exc:  # noqa: BLE001 - if the thread died silently, its waiters would wait for ever
                self._fail(LedgerError(f"{self._path}: a record could not be written: {exc!r}"))
        if group.waiters:
            self._on_loop(answer, group.waiters, self._failure)

    def _fail(self, failure: LedgerError) -> None:
        self._failure = failure
        self._on_loop(self._on_failure, failure)

    def _write(self, group: _Group) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for created, outcomes in groupby(group.outcomes, key=_is_created):
                if created:
                    self._insert("record_created", [self._created(settlement) for settlement in outcomes])
                else:
                    self._record(list(outcomes))
            for statement, amendments in groupby(group.amendments, key=_statement_of):
                self._connection.executemany(query(statement), [parameters for _, parameters in amendments])
            self._insert("record_claim", [self._claim(settlement) for settlement in group.claims])
            self._insert("add_claim", [self._replacing(claim) for claim in group.claims if claim.found])
            self._insert("add_attempt", [self._attempt(attempt) for attempt in group.attempts])
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _record(self, settlements: list[Settlement]) -> None:
        """Record outcomes, and separately what a sync wrote, adopted or no longer owns."""
        self._insert("record", [self._outcome(settlement) for settlement in settlements])
        for settlement in settlements:
            if settlement.written is not None or settlement.owned is not None:
                self._connection.execute(query("note_ownership"), _ownership(settlement))

    def _insert(self, name: str, records: list[tuple[object, ...]]) -> None:
        insert_many(self._connection, name, records, together=_TOGETHER)

    # For a StrEnum, a bool or None, Python's sqlite3 looks for an adapter, which is slow. The text of a StrEnum is its
    # value, while `value` itself is looked up in Python.

    def _outcome(self, settlement: Settlement) -> tuple[object, ...]:
        module = settlement.module
        return (
            settlement.account,
            module.product_key,
            module.module_name,
            module.alias_name,
            module.desc,
            str(settlement.outcome),
            settlement.code or "",
            settlement.message or "",
            settlement.request_id or "",
            settlement.attempts,
            int(settlement.recovered),
            int(settlement.in_doubt),
            iso_utc(settlement.at),
            self._run_id,
        )

    def _created(self, settlement: Settlement) -> tuple[object, ...]:
        module = settlement.module
        # An empty text: the create left it out.
        return (*self._outcome(settlement), module.alias_name or "", module.desc or "")

    def _claim(self, settlement: Settlement) -> tuple[object, ...]:
        module = settlement.module
        return (
            settlement.account,
            module.product_key,
            module.module_name,
            module.alias_name,
            module.desc,
            settlement.attempts,
            int(settlement.in_doubt),
            iso_utc(settlement.at),
            self._run_id,
            str(settlement.kind),
        )

    def _replacing(self, claim: Settlement) -> tuple[object, ...]:
        wanted, found = claim.module, claim.found
        return (
            claim.account,
            wanted.product_key,
            wanted.module_name,
            str(claim.kind),
            wanted.alias_name,
            wanted.desc,
            found.alias_name if found else None,
            found.desc if found else None,
            claim.line,
            self._run_id,
            iso_utc(claim.at),
            int(claim.approved),
            claim.frees_slot_for,
            int(claim.frees_slot_for is not None),
        )

    def _attempt(self, attempt: Attempt) -> tuple[object, ...]:
        return (
            self._run_id,
            iso_utc(attempt.at),
            str(attempt.action),
            attempt.account,
            attempt.product_key,
            attempt.module_name or "",
            attempt.http_status or 0,
            attempt.code or "",
            str(attempt.failure) if attempt.failure else "",
            attempt.request_id or "",
            int(attempt.latency_s * 10_000 + 0.5) / 10,  # a tenth of what round() costs
        )

    def _on_loop(self, callback: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *args)


def _statement_of(amendment: tuple[str, tuple[object, ...]]) -> str:
    return amendment[0]


def _is_created(settlement: Settlement) -> bool:
    return settlement.outcome is Outcome.CREATED and settlement.owned is not False


def _ownership(settlement: Settlement) -> tuple[object, ...]:
    module, written, owned = settlement.module, settlement.written, settlement.owned
    return (
        None if owned is None else int(owned),
        written.alias_name if written else None,
        written.desc if written else None,
        settlement.account,
        module.product_key,
        module.module_name,
    )


def answer(waiters: Iterable[Future[None]], failure: LedgerError | None) -> None:
    """Tell those who wait for a claim that it is durable, or why not; who gave up waiting is passed over."""
    for waiter in waiters:
        if waiter.done():
            continue
        if failure:
            waiter.set_exception(failure)
        else:
            waiter.set_result(None)
