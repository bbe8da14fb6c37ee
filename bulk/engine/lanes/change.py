"""One change's way to its row's outcome: send, read the reply, ask the platform where the reply leaves doubt."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bulk.control.budget import decide
from bulk.control.retry import Next
from bulk.model import Accepted, ChangeKind, Failure, FailureKind, Listing, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.control.budget import Decision, RowDecision
    from bulk.control.retry import Step
    from bulk.engine.sessions.recorder import Recorder
    from bulk.engine.sessions.session import Session
    from bulk.model import Change, Row

__all__ = ["ChangeWork", "Ending", "Rest", "reopen"]


class Rest(StrEnum):
    """What a row's end means for the rows behind it in its lane."""

    GO_ON = "go_on"  #: nothing: send the next
    STOPPED = "stopped"  #: the run is stopping: they stay open
    REFUSED = "refused"  #: the product itself is refused: they fail alike
    FULL = "full"  #: the platform says that the product has no slot left


class Ending(NamedTuple):
    """How a row's way ended; the row itself is settled."""

    rest: Rest = Rest.GO_ON
    failure: Failure | None = None
    """Why, unless the rest goes on."""

    outcome: Outcome = Outcome.PENDING
    in_doubt: bool = False
    """A change of this run may have been carried out unseen. Of one of an earlier run the lane's listing told."""


_DONE: Mapping[ChangeKind, Outcome] = MappingProxyType({ChangeKind.CREATE: Outcome.CREATED})
"""What a row becomes once the platform has carried out its change; a kind that is not here is never sent."""


class ChangeWork:
    """A change that was claimed; what it needs, such as a slot, is its own.

    It is repeated without a listing only where the platform surely did nothing: not sent, throttled, refused
    for the clock. After any other failure that is worth another attempt, the platform is asked first.
    """

    def __init__(self, row: Row, change: Change, session: Session) -> None:
        self._row = row
        self._change = change
        self._session = session
        self._attempt = 1
        self._doubted = False
        self.listing: Listing | None = None
        """The last listing that was needed on the way, if any was."""

    async def run(self) -> Ending:
        """Send until the row has an outcome, settle it, and say how it ended."""
        repeat = False
        while True:
            answer = await self._session.calls.apply(self._change, repeat=repeat)
            if answer is None:
                return self._stopped()
            if isinstance(answer, Accepted):
                self._row = self._row.tried_once_more()
                return self._settle(_DONE[self._change.kind], request_id=answer.request_id)
            ending = await self._after(answer)
            if ending is not None:
                return ending
            repeat = True

    async def _after(self, failure: Failure) -> Ending | None:
        """Do what follows a failure; ``None``: send again."""
        step = self._session.calls.step_after(failure, self._attempt, action=self._change.action)
        if step.counts:
            self._row = self._row.tried_once_more()
        if failure.kind is FailureKind.DOUBTFUL or failure.may_be_done:
            self._row = self._row._replace(in_doubt=True)
            self._doubted = True
        match step.next:
            case Next.STOP_RUN:
                return self._stopped()
            case Next.FAIL_ROW:
                return self._fail(failure)
            case Next.FAIL_LANE:
                return self._fail(failure)._replace(rest=Rest.REFUSED, failure=failure)
            case Next.ASK:
                return await self._ask(failure, step)
        return await self._repeat(failure, step)

    async def _repeat(self, failure: Failure, step: Step) -> Ending | None:
        self._announce_retry(failure, step)
        if await self._session.stop.sleep(step.delay_s):
            return self._stopped()
        return None

    async def _ask(self, failure: Failure, step: Step) -> Ending | None:
        """List, and decide by what is there; ``None``: it is not there and may be sent again."""
        while True:
            if await self._session.stop.sleep(step.delay_s):
                return self._stopped()
            listing = await self._session.calls.list_modules(self._row.module.product_key)
            if listing is None:
                return self._stopped()
            if isinstance(listing, Failure):
                return self._unanswered(failure, listing)
            self.listing = listing
            decision = decide((self._row,), listing.modules)
            for decided in decision.there:
                return self._there(decided, failure)
            if step.spent or failure.kind is not FailureKind.EXISTS:
                return self._not_there(failure, step, decision)
            # Refused once, it would be refused again: it is the listings that lag.
            self._attempt = step.after(self._attempt)
            step = self._session.calls.step_after(failure, self._attempt, action=self._change.action)

    def _there(self, decided: RowDecision, failure: Failure) -> Ending:
        self._session.calls.proved(self._change)
        return self._settle(
            decided.outcome,
            message=decided.message,
            recovered=decided.recovered,
            code=None if decided.recovered else failure.code,
            request_id=failure.request_id,
        )

    def _not_there(self, failure: Failure, step: Step, decision: Decision) -> Ending | None:
        if failure.kind is FailureKind.QUOTA:
            return self._settle_as(Outcome.OVER_BUDGET, failure)._replace(rest=Rest.FULL, failure=failure)
        if failure.kind is FailureKind.EXISTS:
            return self._unlisted(failure)
        for decided in decision.over_budget:  # somebody else took the slot meanwhile
            return self._settle(decided.outcome, message=decided.message)
        if step.spent:
            return self._fail(failure)
        self._announce_retry(failure, step)
        return None

    def _unlisted(self, failure: Failure) -> Ending:
        """Settle a row of which the platform says that it is there, and does not show it."""
        return self._settle(
            Outcome.UNKNOWN,
            code=failure.code,
            message=f"{failure.message}; but the product's listing does not show it yet: run again later",
            request_id=failure.request_id,
        )

    def _unanswered(self, failure: Failure, listing: Failure) -> Ending:
        """Settle a row that the platform could not be asked about."""
        if self._session.stop.requested:
            return self._stopped()
        if failure.kind is FailureKind.QUOTA:
            return self._settle_as(Outcome.OVER_BUDGET, failure)._replace(rest=Rest.FULL, failure=failure)
        return self._settle(
            Outcome.UNKNOWN,
            code=failure.code,
            message=f"{failure.message}; and the listing that would tell failed: {listing.code}, {listing.message}",
            request_id=failure.request_id,
        )

    def _announce_retry(self, failure: Failure, step: Step) -> None:
        self._session.recorder.announce_retry(
            self._change.action,
            failure,
            product_key=self._row.module.product_key,
            line=self._row.line,
            attempt=self._attempt,
            delay_s=step.delay_s,
        )
        self._attempt = step.after(self._attempt)

    def _fail(self, failure: Failure) -> Ending:
        return self._settle_as(Outcome.FAILED, failure)

    def _stopped(self) -> Ending:
        reopen(self._row, self._session.recorder)
        return Ending(Rest.STOPPED)

    def _settle_as(self, outcome: Outcome, failure: Failure) -> Ending:
        return self._settle(outcome, code=failure.code, message=failure.message, request_id=failure.request_id)

    def _settle(
        self,
        outcome: Outcome,
        *,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        recovered: bool = False,
    ) -> Ending:
        self._session.recorder.settle(
            self._row, outcome, code=code, message=message, request_id=request_id, recovered=recovered
        )
        return Ending(outcome=outcome, in_doubt=self._doubted)


def reopen(row: Row, recorder: Recorder) -> None:
    """Give back the claim of a row that will not be sent in this run; one in doubt stays so."""
    if row.in_doubt:
        message = "a create may have been carried out, and the run stopped before a listing could tell; run again"
        recorder.settle(row, Outcome.UNKNOWN, code="stopped", message=message)
    else:
        recorder.settle(row, Outcome.PENDING)
