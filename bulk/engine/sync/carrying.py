"""Rules for all kinds of change: whether a change is still sent, and what its end means for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.control.budget import judge, who_holds_the_slots
from bulk.control.diff import differences
from bulk.control.reconcile import Kept, Withheld
from bulk.engine.lanes.change import ChangeWork, Rest, is_another, is_unchanged
from bulk.engine.sync.known import Known
from bulk.model import ChangeKind, Outcome

if TYPE_CHECKING:
    from bulk.engine.lanes.change import Ending
    from bulk.engine.sync.account import AccountWork
    from bulk.ledger.planning import PlannedWork, ProductWork
    from bulk.model import Failure, Listing, OtaModule

__all__ = ["Carrying"]


class Carrying:
    """A product while its changes are carried out."""

    def __init__(self, account: AccountWork, lane: ProductWork, listing: Listing) -> None:
        self._account = account
        self._session = account.session
        self._product_key = lane.product_key
        self._known = Known(lane, listing, account.session)
        self._refusal: Failure | None = None
        """Why nothing more is sent for this product."""

    # What was found.

    def _is_as_found(self, each: PlannedWork) -> bool:
        """Say whether a module is as the look found it; if not, settle its change."""
        change, row = each.change, each.row
        there = self._known.modules.get(change.wanted.key)
        if change.found is None and there is None:
            return True
        if there is not None and is_unchanged(change, there):
            return True
        self._account.end(change, "moved")
        if change.kind is ChangeKind.DELETE:
            self._settle_moved_delete(each, there)
        elif there is not None and not differences(row.module, there):
            decided = judge(row, there)
            self._session.recorder.settle(
                row,
                decided.outcome,
                recovered=decided.recovered,
                owned=decided.owned,
                written=row.module if decided.outcome is Outcome.UPDATED else None,
            )
        else:
            how = "is not there any more" if there is None else "has changed"
            self._session.recorder.settle(
                row,
                Outcome.MOVED,
                code="moved",
                message=f"not sent: since it was listed, the module {how}",
                owned=False if is_another(change, there) else None,
            )
        return False

    def _settle_moved_delete(self, each: PlannedWork, there: OtaModule | None) -> None:
        if there is None:
            # An earlier delete of ours whose result was in doubt may have been carried out late.
            is_ours = each.row.in_doubt and each.row.doubted is ChangeKind.DELETE
            self._session.recorder.settle(
                each.row,
                Outcome.DELETED,
                code=None if is_ours else "gone",
                message=None if is_ours else "somebody else deleted it",
                recovered=is_ours,
            )
            return
        owned = False if is_another(each.change, there) else None
        self._keep(each, Kept.CHANGED.value, "not deleted: somebody has changed it since it was listed", owned=owned)

    def _keep(self, each: PlannedWork, code: str, message: str, *, owned: bool | None = None) -> None:
        self._account.left += 1
        self._session.recorder.settle(each.row, Outcome.SURPLUS, code=code, message=message, owned=owned)

    def _settle_without_slot(self, each: PlannedWork) -> None:
        message = who_holds_the_slots(self._known.customs, (), self._known.held)
        self._session.recorder.settle(each.row, Outcome.OVER_BUDGET, message=message)

    # What is no longer sent.

    def _does_not_go(self, each: PlannedWork) -> bool:
        """Say whether a change is no longer sent: the run stops, the product is refused, or the kind is withheld."""
        if self._session.stop.requested:
            return True
        if self._refusal is not None:
            self._settle_refused(each, self._refusal)
            return True
        if reason := self._account.why_not(each.change.kind):
            self._withhold(each, reason)
            return True
        return False

    def _withhold(self, each: PlannedWork, reason: Withheld) -> None:
        self._account.withhold(each.change, reason)
        outcome = Outcome.SURPLUS if each.change.kind is ChangeKind.DELETE else Outcome.WITHHELD
        failure = self._account.denied.get(each.change.kind)
        message = failure.message if failure else self._account.others_changed
        self._session.recorder.settle(each.row, outcome, code=reason.value, message=message)

    def _settle_refused(self, each: PlannedWork, failure: Failure) -> None:
        message = f"skipped: an earlier change of its product failed with: {failure.message}"
        if each.change.kind is ChangeKind.DELETE:
            self._keep(each, failure.code, message)
            return
        self._session.recorder.settle(each.row, Outcome.FAILED, code=failure.code, message=message)

    # What is sent.

    async def _claim(self, *each: PlannedWork, frees_slot_for: str | None = None) -> None:
        await self._session.recorder.claim(
            [(one.row, one.change) for one in each], approved=self._account.approved, frees_slot_for=frees_slot_for
        )

    async def _carry_out(self, each: PlannedWork) -> Ending:
        """Carry out a claimed change to its end, and note what was learnt."""
        work = ChangeWork(each.row, each.change, self._session)
        ending = await work.run()
        if work.listing is not None:
            self._known.look_at(work.listing)
        self._take_note(each, ending)
        if ending.rest is Rest.DENIED and ending.failure is not None:
            self._account.deny(each.change.kind, ending.failure)
            self._withhold(each._replace(row=ending.row or each.row), Withheld.NO_PERMISSION)
        elif ending.rest is Rest.REFUSED:
            self._refusal = ending.failure
        if ending.rest not in {Rest.DENIED, Rest.ANEW, Rest.STOPPED}:
            self._account.end(each.change, "done")
        return ending

    def _take_note(self, each: PlannedWork, ending: Ending) -> None:
        module = each.change.wanted
        match ending.outcome:
            case Outcome.CREATED:
                self._known.note_made(module)
            case Outcome.UPDATED:
                self._known.note_updated(module)
            case Outcome.DELETED:
                self._known.note_deleted(module)
            case Outcome.UNKNOWN if each.change.kind is ChangeKind.CREATE:
                self._known.held += 1
            case Outcome.FAILED if each.change.kind is ChangeKind.CREATE and ending.in_doubt:
                self._known.held += 1
