"""Bring one change to its outcome: send it, read the reply, and list if the reply leaves doubt.

What a listing means after doubt depends on the kind of change:

- A create: the module is there as the row wants it, or the create may be sent again.
- An update: the module is as wanted, or is as it was found and the update may be sent again, or it has moved.
- A delete: the module is gone, or you decide again whether it may be deleted. The old claim alone never permits a
  second delete.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bulk.control.budget import decide
from bulk.control.diff import differences
from bulk.control.reconcile import Kept
from bulk.control.retry import Next
from bulk.model import NO_LINE, Accepted, ChangeKind, Failure, FailureKind, Listing, OtaModule, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.control.budget import Decision, RowDecision
    from bulk.control.retry import Step
    from bulk.engine.sessions.recorder import Recorder
    from bulk.engine.sessions.session import Session
    from bulk.model import Change, Row

__all__ = ["ChangeWork", "Ending", "Rest", "is_another", "is_unchanged", "reopen"]


class Rest(StrEnum):
    """What the end of a row means for the rows behind it in its lane."""

    GO_ON = "go_on"  #: nothing: send the next
    STOPPED = "stopped"  #: the run is stopping: they stay open
    REFUSED = "refused"  #: the product itself is refused: they fail in the same way
    FULL = "full"  #: the platform says that the product has no slot left
    ANEW = "anew"  #: a delete that is not settled: decide again whether the module may be deleted
    DENIED = "denied"  #: not settled: the key lacks the right to updates or deletes


class Ending(NamedTuple):
    """How the work on a row ended; the row itself is settled."""

    rest: Rest = Rest.GO_ON
    failure: Failure | None = None
    """Why, unless the other rows go on."""

    outcome: Outcome = Outcome.PENDING
    in_doubt: bool = False
    """A change of this run may have been carried out unseen. The lane's listing answered for earlier runs."""

    row: Row | None = None
    """The row as it is now, with what was sent for it and what is in doubt."""


_DONE: Mapping[ChangeKind, Outcome] = MappingProxyType(
    {
        ChangeKind.CREATE: Outcome.CREATED,
        ChangeKind.UPDATE: Outcome.UPDATED,
        ChangeKind.DELETE: Outcome.DELETED,
    }
)
"""The row's outcome once the platform has carried out the change."""

_REFUSED: Mapping[ChangeKind, Outcome] = MappingProxyType(
    {
        ChangeKind.CREATE: Outcome.FAILED,
        ChangeKind.UPDATE: Outcome.FAILED,
        ChangeKind.DELETE: Outcome.SURPLUS,
    }
)
"""The row's outcome if the platform refuses permanently, or attempts run out."""


class ChangeWork:
    """A change that was claimed. What it needs, such as a slot, is reserved for it.

    It is repeated without a listing only if the platform certainly did nothing: it was not sent, was throttled, or was
    refused because of the clock. After any other failure that can be retried, the product is listed first.
    """

    def __init__(self, row: Row, change: Change, session: Session) -> None:
        self._row = row
        self._change = change
        self._session = session
        self._attempt = 1
        self._doubted = False
        self._began_at = session.clock.wall()
        self.listing: Listing | None = None
        """The last listing that was needed during the work, if any."""

    async def run(self) -> Ending:
        """Send until the row has an outcome, settle it, and say how it ended."""
        repeat = False
        while True:
            answer = await self._session.calls.apply(self._change, repeat=repeat)
            if answer is None:
                return self._stopped()
            if isinstance(answer, Accepted):
                self._row = self._row.tried_once_more()
                return self._done(request_id=answer.request_id)
            if answer.permission and self._change.kind is not ChangeKind.CREATE:
                return Ending(Rest.DENIED, answer, in_doubt=self._doubted, row=self._row)
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
            self._take_for_doubtful()
        match step.next:
            case Next.STOP_RUN:
                return self._stopped()
            case Next.FAIL_ROW:
                return self._refused(failure)
            case Next.FAIL_LANE:
                return self._fail(failure)._replace(rest=Rest.REFUSED, failure=failure)
            case Next.ASK:
                return await self._ask(failure, step)
        return await self._repeat(failure, step)

    def _take_for_doubtful(self) -> None:
        known = self._row.doubted_since if self._row.in_doubt else None
        since = self._began_at if known is None else min(known, self._began_at)
        self._row = self._row._replace(in_doubt=True, doubted=self._change.kind, doubted_since=since)
        self._doubted = True

    async def _repeat(self, failure: Failure, step: Step) -> Ending | None:
        self._announce_retry(failure, step)
        if await self._session.stop.sleep(step.delay_s):
            return self._stopped()
        return None

    async def _ask(self, failure: Failure, step: Step) -> Ending | None:
        """List, and decide by what is there; ``None``: the module is not there, and the change may be sent again."""
        while True:
            if await self._session.stop.sleep(step.delay_s):
                return self._stopped()
            listing = await self._session.calls.list_modules(self._row.module.product_key)
            if listing is None:
                return self._stopped()
            if isinstance(listing, Failure):
                return self._unanswered(failure, listing)
            self.listing = listing
            if self._change.kind is not ChangeKind.CREATE:
                if failure.kind is not FailureKind.GONE or step.spent or self._find(listing) is None:
                    return self._decide_anew(failure, step, self._find(listing))
            else:
                decision = decide((self._row,), listing.modules)
                for decided in decision.there:
                    return self._there(decided, failure)
                if step.spent or failure.kind is not FailureKind.EXISTS:
                    return self._not_there(failure, step, decision)
            # The platform refused it once and would refuse it again: only the listings are late.
            self._attempt = step.after(self._attempt)
            step = self._session.calls.step_after(failure, self._attempt, action=self._change.action)

    def _find(self, listing: Listing) -> OtaModule | None:
        key = self._change.wanted.key
        return next((module for module in listing.modules if module.key == key), None)

    def _decide_anew(self, failure: Failure, step: Step, there: OtaModule | None) -> Ending | None:
        """Say what a listing means for an update or a delete; ``None``: the update may be sent again."""
        deletes = self._change.kind is ChangeKind.DELETE
        if (there is None) if deletes else (there is not None and not differences(self._change.wanted, there)):
            self._session.calls.proved(self._change)
            return self._done(request_id=failure.request_id, recovered=self._row.in_doubt)
        if there is None or not is_unchanged(self._change, there):
            return self._moved(failure, there)
        if failure.kind is FailureKind.GONE:
            return self._unlisted(failure)
        if deletes:
            return Ending(Rest.ANEW, failure, in_doubt=self._doubted, row=self._row)
        if step.spent:
            return self._fail(failure)
        self._announce_retry(failure, step)
        return None

    def _moved(self, failure: Failure, there: OtaModule | None) -> Ending:
        how = "the module is not there any more" if there is None else "somebody else has changed the module"
        deletes = self._change.kind is ChangeKind.DELETE
        return self._settle(
            Outcome.SURPLUS if deletes else Outcome.MOVED,
            code=Kept.CHANGED if deletes else "moved",
            message=f"{failure.message}; {how}",
            request_id=failure.request_id,
            owned=False if is_another(self._change, there) else None,
        )

    def _done(self, *, request_id: str | None, recovered: bool = False) -> Ending:
        kind = self._change.kind
        return self._settle(
            _DONE[kind],
            request_id=request_id,
            recovered=recovered,
            # Fields that the row leaves out were sent as they were found: they still belong to their author.
            written=self._row.module if kind is ChangeKind.UPDATE else None,
        )

    def _there(self, decided: RowDecision, failure: Failure) -> Ending:
        self._session.calls.proved(self._change)
        return self._settle(
            decided.outcome,
            message=decided.message,
            recovered=decided.recovered,
            owned=decided.owned,
            code=None if decided.recovered else failure.code,
            request_id=failure.request_id,
        )

    def _not_there(self, failure: Failure, step: Step, decision: Decision) -> Ending | None:
        if failure.kind is FailureKind.QUOTA:
            return self._settle_as(Outcome.OVER_BUDGET, failure)._replace(rest=Rest.FULL, failure=failure)
        if failure.kind is FailureKind.EXISTS:
            return self._unlisted(failure)
        for decided in decision.over_budget:  # somebody else took the slot in the meantime
            return self._settle(decided.outcome, message=decided.message)
        if step.spent:
            return self._fail(failure)
        self._announce_retry(failure, step)
        return None

    def _unlisted(self, failure: Failure) -> Ending:
        """Settle a row for which listing and reply disagree about whether the module is there."""
        shows = "still shows it" if failure.kind is FailureKind.GONE else "does not show it yet"
        return self._settle(
            Outcome.UNKNOWN,
            code=failure.code,
            message=f"{failure.message}; but the product's listing {shows}: run again later",
            request_id=failure.request_id,
        )

    def _unanswered(self, failure: Failure, listing: Failure) -> Ending:
        """Settle a row whose product could not be listed."""
        if self._session.stop.requested:
            return self._stopped()
        if failure.kind is FailureKind.QUOTA:
            return self._settle_as(Outcome.OVER_BUDGET, failure)._replace(rest=Rest.FULL, failure=failure)
        return self._settle(
            Outcome.UNKNOWN,
            code=failure.code,
            message=f"{failure.message}; and the listing that would show it failed: {listing.code}, {listing.message}",
            request_id=failure.request_id,
        )

    def _announce_retry(self, failure: Failure, step: Step) -> None:
        self._session.recorder.announce_retry(
            self._change.action,
            failure,
            product_key=self._row.module.product_key,
            line=None if self._row.line == NO_LINE else self._row.line,
            attempt=self._attempt,
            delay_s=step.delay_s,
        )
        self._attempt = step.after(self._attempt)

    def _refused(self, failure: Failure) -> Ending:
        if failure.kind is FailureKind.GONE:
            return self._moved(failure, None)
        if failure.kind is FailureKind.HELD:
            return self._settle(
                Outcome.SURPLUS, code=Kept.PACKAGE, message=failure.message, request_id=failure.request_id
            )
        return self._fail(failure)

    def _fail(self, failure: Failure) -> Ending:
        return self._settle_as(_REFUSED[self._change.kind], failure)

    def _stopped(self) -> Ending:
        if self._row.line == NO_LINE and self._change.kind is ChangeKind.CREATE and not self._row.in_doubt:
            self._settle(Outcome.DELETED, code="stopped", message="the run stopped before it was made again")
        else:
            reopen(self._row, self._session.recorder)
        return Ending(Rest.STOPPED, row=self._row)

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
        owned: bool | None = None,
        written: OtaModule | None = None,
    ) -> Ending:
        self._session.recorder.settle(
            self._row,
            outcome,
            code=code,
            message=message,
            request_id=request_id,
            recovered=recovered,
            owned=owned,
            written=written,
        )
        return Ending(outcome=outcome, in_doubt=self._doubted, row=self._row)


def is_unchanged(change: Change, there: OtaModule) -> bool:
    """Say whether a module is still the one that was found. Equal texts do not prove it: it may be a new module."""
    found = change.found
    return (
        found is not None
        and (found.module_name, found.alias_name or "", found.desc or "")
        == (there.module_name, there.alias_name or "", there.desc or "")
        and found.created_at == there.created_at
    )


def is_another(change: Change, there: OtaModule | None) -> bool:
    """Say whether the module that was found is gone, even if somebody has created another one of its name since."""
    return there is None or (change.found is not None and change.found.created_at != there.created_at)


def reopen(row: Row, recorder: Recorder) -> None:
    """Give back the claim of a row that will not be sent in this run; a row in doubt stays in doubt."""
    if row.in_doubt:
        kind = f"{'an' if row.doubted is ChangeKind.UPDATE else 'a'} {row.doubted}"
        message = f"{kind} may have been carried out, and the run stopped before a listing could show it; run again"
        recorder.settle(row, Outcome.UNKNOWN, code="stopped", message=message)
    elif row.line != NO_LINE:
        recorder.settle(row, Outcome.PENDING)
    else:
        recorder.settle(row, Outcome.SURPLUS, code="stopped", message="the run stopped before it was deleted")
