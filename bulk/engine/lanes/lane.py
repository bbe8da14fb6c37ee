"""The work on one product in a run: list, decide, claim, create in order, settle.

A lane sends one request at a time. It knows each outcome before it sends the next request, so the budget of ten is
exact without a lock. Its first listing also shows the results of rows that an earlier run had claimed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.control.budget import decide
from bulk.engine.lanes.change import ChangeWork, Ending, Rest, reopen
from bulk.engine.lanes.ownership import Ours
from bulk.model import Change, ChangeKind, Failure, Listing, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.control.budget import RowDecision
    from bulk.engine.sessions.session import Session
    from bulk.model import Lane, OtaModule, Row

__all__ = ["work_off"]


async def work_off(lane: Lane, session: Session) -> None:
    """Give every row of a lane its outcome, or leave it open because the run is stopping.

    Raises:
        LedgerError: A claim could not be made durable; nothing was sent for it.
    """
    listing = await session.calls.list_modules(lane.product_key)
    if isinstance(listing, Listing):
        await _LaneWork(session, lane, listing).run(lane.rows)
        return
    for row in lane.rows:
        _settle_unlisted(row, listing, session)


class _LaneWork:
    """What is known of a product while its rows are created."""

    def __init__(self, session: Session, lane: Lane, listing: Listing) -> None:
        self._session = session
        self._known: dict[tuple[str, str], OtaModule] = {}
        self._ours = Ours(lane.product_key, lane.ours, session.recorder)
        self._held = 0
        """Slots of failed rows that the next run will try again."""

        self._look_at(listing)

    async def run(self, rows: Sequence[Row]) -> None:
        """Admit rows while there are slots: a row that is permanently refused leaves its slot to a later row."""
        while rows:
            decision = decide(rows, self._known.values(), held=self._held)
            for decided in decision.there:
                self._settle(decided)
            rows = [decided.row for decided in decision.over_budget]
            if not decision.admitted:
                for decided in decision.over_budget:
                    self._settle(decided)
                return
            changes = [(row, Change(ChangeKind.CREATE, row.module, line=row.line)) for row in decision.admitted]
            await self._session.recorder.claim(changes)
            rows = await self._carry_out(changes, behind=rows)

    async def _carry_out(self, changes: Sequence[tuple[Row, Change]], *, behind: Sequence[Row]) -> Sequence[Row]:
        """Send the changes in file order; return the rows that you must decide again.

        These are the rows behind. After a listing, they include rows that an older listing admitted: somebody else may
        have taken their slot or created their module. If the end of one row applies to all, all are settled and no row
        is returned.
        """
        for position, (row, change) in enumerate(changes, start=1):
            work = ChangeWork(row, change, self._session)
            ending = await work.run()
            if ending.rest is not Rest.GO_ON:
                for other in (*_rows_of(changes[position:]), *behind):
                    self._settle_unsent(other, ending)
                return ()
            self._take_note(row, ending, work.listing)
            if work.listing is not None:
                return *_rows_of(changes[position:]), *behind
        return behind

    def _take_note(self, row: Row, ending: Ending, listing: Listing | None) -> None:
        if listing is not None:
            self._look_at(listing)
        if ending.outcome is Outcome.CREATED:
            self._known[row.module.key] = row.module
        self._held += ending.outcome is Outcome.UNKNOWN or (ending.outcome is Outcome.FAILED and ending.in_doubt)

    def _look_at(self, listing: Listing) -> None:
        # Added to what is known: a listing may not show yet what this lane has just created.
        self._known |= {module.key: module for module in listing.modules}
        self._ours.seen_in(listing.modules)

    def _settle(self, decided: RowDecision) -> None:
        self._session.recorder.settle(
            decided.row,
            decided.outcome,
            message=decided.message,
            recovered=decided.recovered,
            owned=decided.owned,
        )

    def _settle_unsent(self, row: Row, ending: Ending) -> None:
        failure = ending.failure
        if failure is None:
            reopen(row, self._session.recorder)
            return
        outcome = Outcome.OVER_BUDGET if ending.rest is Rest.FULL else Outcome.FAILED
        self._session.recorder.settle(
            row, outcome, code=failure.code, message=f"skipped: an earlier row failed with: {failure.message}"
        )


def _rows_of(changes: Sequence[tuple[Row, Change]]) -> tuple[Row, ...]:
    return tuple(row for row, _ in changes)


def _settle_unlisted(row: Row, failure: Failure | None, session: Session) -> None:
    """Settle a row whose product could not be listed: nothing was sent for it in this run."""
    if failure is None or session.stop.requested:
        reopen(row, session.recorder)
        return
    outcome = Outcome.UNKNOWN if row.in_doubt else Outcome.FAILED
    message = f"not sent: its product could not be listed: {failure.message}"
    session.recorder.settle(row, outcome, code=failure.code, message=message, request_id=failure.request_id)
