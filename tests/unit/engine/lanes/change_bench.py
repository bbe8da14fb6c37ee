"""A platform that answers one change by a script, for tests of what its replies and listings mean."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.lanes.change import ChangeWork, Ending
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.events import RowSettled
from bulk.model import (
    NO_LINE,
    Accepted,
    Action,
    Change,
    ChangeKind,
    Failure,
    FailureKind,
    Listing,
    OtaModule,
    Package,
    Page,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk.events import Event
    from bulk.model import Attempt, Settlement

KEY, MADE_AT = "p1", "2026-01-01T00:00Z"
FOUND = OtaModule(KEY, "m0", "before", "d", MADE_AT)
WANTED = OtaModule(KEY, "m0", "after", "d")
CHANGED = OtaModule(KEY, "m0", "theirs", "d", MADE_AT)
ANOTHER = OtaModule(KEY, "m0", "before", "d", "2026-02-02T00:00Z")
"""Somebody deleted the module and made it again, with the same texts."""

CREATE = Change(ChangeKind.CREATE, WANTED, line=2)
UPDATE = Change(ChangeKind.UPDATE, WANTED, FOUND, 2)
DELETE = Change(ChangeKind.DELETE, FOUND, FOUND)

DOUBTFUL, GONE, EXISTS = FailureKind.DOUBTFUL, FailureKind.GONE, FailureKind.EXISTS
REFUSED, HELD, QUOTA = FailureKind.REFUSED, FailureKind.HELD, FailureKind.QUOTA
FATAL, THROTTLED = FailureKind.FATAL, FailureKind.THROTTLED


def failure(kind: FailureKind, *, permission: str | None = None, may_be_done: bool = False) -> Failure:
    return Failure(
        kind=kind, code=f"code.{kind}", message="no", http_status=400, permission=permission, may_be_done=may_be_done
    )


def listing(*modules: OtaModule) -> Listing:
    return Listing(modules, "L", 200)


@dataclass
class Bench:
    """A platform that answers by two scripts, and a ledger that only remembers."""

    answers: list[Failure] = field(default_factory=list)
    """To changes, then all are accepted."""

    listings: list[Listing | Failure] = field(default_factory=list)
    """The last one is repeated."""

    stop: StopSignal = field(default_factory=StopSignal)
    sent: list[str] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    at_request: Callable[[int], None] = lambda _: None
    """Called with the number of each request, starting at 1, before it is answered."""

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        self._arrives("list")
        return self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        self._arrives(change.kind)
        return self.answers.pop(0) if self.answers else Accepted("R", 200)

    async def list_packages(self, *_: object, **__: object) -> Page[Package] | Failure:
        self._arrives("packages")
        return Page((), 1, 100, 0, "R", 200)

    async def list_products(self, *_: object, **__: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, *_: object, **__: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    def settle(self, _settlement: Settlement) -> None:
        pass

    def note(self, _attempt: Attempt) -> None:
        pass

    def amend(self, _statement: str, *_: object) -> None:
        pass

    async def claim(self, _settlements: Iterable[Settlement]) -> None:
        pass

    async def run(self, change: Change, row: Row | None = None, *, max_attempts: int = 3) -> Ending:
        line = NO_LINE if change.line is None else change.line
        session = self.session(change, max_attempts=max_attempts)
        self.work = ChangeWork(row or Row(line, change.wanted), change, session)
        return await self.work.run()

    def session(self, change: Change, *, max_attempts: int = 3) -> Session:
        """Return an account in which other changes are answered: what fails is then this change's own trouble."""
        breaker = Breaker(now=time.monotonic())
        breaker.failed(failure(DOUBTFUL), action=change.action, key=change.wanted.key, sent_at=0.0, now=0.0)
        breaker.answered(change.action, "another")
        group = RateGroup(dict.fromkeys(Action, 0.0))
        group.close_on(self.stop)
        return Session(
            platform=self,
            group=group,
            writer=self,
            breaker=breaker,
            counters=Counters(),
            stop=self.stop,
            listener=self.heard.append,
            policy=RetryPolicy(max_attempts=max_attempts, first_s=0.0),
        )

    def settled(self) -> list[Settlement]:
        return [event.settlement for event in self.heard if isinstance(event, RowSettled)]

    def _arrives(self, what: str) -> None:
        self.sent.append(what)
        self.at_request(len(self.sent))
