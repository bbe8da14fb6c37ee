"""Look at a product, decide, and record the decision in the ledger. Nothing is changed on the platform."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from bulk.cloud.codes import classify
from bulk.control.budget import judge
from bulk.control.diff import Field, differences
from bulk.control.guard import SENT_SPAN_S
from bulk.control.reasons import WHY_KEPT
from bulk.control.reconcile import Kept, Owned, PlannedChange, Terms, Withheld, reconcile
from bulk.ledger.planning import ADOPT, PlannedEntry
from bulk.ledger.times import iso_utc
from bulk.model import (
    NO_LINE,
    PROVISIONED_OUTCOMES,
    Action,
    ChangeKind,
    Failure,
    FailureKind,
    OtaModule,
    Outcome,
    Packages,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from bulk.control.budget import RowDecision
    from bulk.control.reconcile import Reconciliation
    from bulk.engine.sessions.session import Session
    from bulk.engine.sync.writing import PlanWriter
    from bulk.ledger.looking import ProductState, RowRecord
    from bulk.ledger.planning import OpenSwap
    from bulk.model import Listing

__all__ = ["Look", "held_packages"]

_CONTESTED_NIGHTS = 3
"""An update that was found undone on this many nights in a row is not sent again."""

_MADE_AGAIN = frozenset({"restored", Kept.CREATE_REFUSED.value})
"""Codes of a module that was deleted for a create that was then impossible. Until a code says so, the open swap does.
The row alone does not show that: it also fails if its product can't be listed."""

_WITHOUT_SLOT = frozenset({Outcome.OVER_BUDGET, Outcome.FAILED})
"""Outcomes of a missing module that is not created in this night."""

_FOR_GOOD = frozenset({FailureKind.REFUSED, FailureKind.UNRECOGNISED})
_REPLIED = 400
"""An unknown code is also a refusal: a module must not be deleted in the hope that it is not."""


@dataclass(kw_only=True)
class Look:
    """The look at one account: what it may do, and whether it is complete."""

    session: Session
    writer: PlanWriter
    run_id: str
    prune: bool
    adopt: bool
    keep_products: Collection[str] = ()
    """Products in which nothing may be deleted: an invalid row names them."""

    keeps_all: bool = False
    """Nothing may be deleted in this account: an invalid row may be for any product."""

    unlisted: int = field(default=0, init=False)
    """Products that could not be listed."""

    lost: list[OtaModule] = field(default_factory=list, init=False)
    """Modules deleted on an earlier night for a create that now finds no slot. They have no slot either."""

    async def at(self, state: ProductState) -> None:
        """Look at one product."""
        listing = await self.session.calls.list_modules(state.product_key)
        if listing is None:
            return
        if isinstance(listing, Failure):
            self._settle_unlisted(state, listing)
            return
        contested = self._count_undone(state, listing)
        terms = Terms(
            prune=self.prune,
            adopt=self.adopt,
            packages=(),
            keep_all=self._why_all_stay(state.product_key),
            contested=contested,
            refused=_refused(state),
        )
        decided = _reconcile(state, listing, terms)
        if decided.deletes:
            packages = await held_packages(self.session, state.product_key, listing)
            decided = _reconcile(state, listing, replace(terms, packages=packages))
        _HandOver(self, state, listing).all_of(decided)

    def _why_all_stay(self, product_key: str) -> Kept | None:
        return Kept.INVALID_ROW if self.keeps_all or product_key in self.keep_products else None

    def _count_undone(self, state: ProductState, listing: Listing) -> frozenset[str]:
        """Count the nights on which our updates were found undone; return the names whose updates are given up."""
        there = {module.key: module for module in listing.modules}
        contested = []
        for record in state.records:
            if not record.undone and record.outcome is not Outcome.UPDATED:
                continue
            undone = self._undone(record, there.get(record.row.module.key))
            if undone >= _CONTESTED_NIGHTS:
                contested.append(record.row.module.key[1])
        return frozenset(contested)

    def _undone(self, record: RowRecord, found: OtaModule | None) -> int:
        module, undone, now = record.row.module, record.undone, self.session.clock.wall()
        is_undone = found is not None and any(
            difference.field is not Field.MODULE_NAME for difference in differences(module, found)
        )
        if not is_undone:
            undone = 0 if found is not None else undone
        elif record.outcome is Outcome.UPDATED and (record.undone_at is None or now - record.undone_at >= SENT_SPAN_S):
            undone += 1
        if undone != record.undone:
            self.writer.amend(
                "count_undone", undone, iso_utc(now), self.session.account, module.product_key, module.module_name
            )
        return undone

    def _settle_unlisted(self, state: ProductState, failure: Failure) -> None:
        if self.session.stop.requested:
            return
        self.unlisted += 1
        for record in state.records:
            outcome = Outcome.UNKNOWN if record.row.in_doubt else Outcome.FAILED
            message = f"its product could not be listed: {failure.message}"
            self.session.recorder.settle(
                record.row, outcome, code=failure.code, message=message, request_id=failure.request_id
            )


def _refused(state: ProductState) -> dict[str, str]:
    """Return rows whose create was refused after a delete for it, and would be refused again; each with its code."""
    if not (state.swaps or any(one.code in _MADE_AGAIN for one in state.owned)):
        return {}
    return {
        record.row.module.key[1]: record.failed
        for record in state.records
        if record.failed and classify(Action.CREATE, record.failed, _REPLIED).kind in _FOR_GOOD
    }


async def held_packages(session: Session, product_key: str, listing: Listing) -> frozenset[str] | None:
    """Return the casefolded names of listed modules that have, or may have, a package; ``None``: unknown."""
    listed = await session.calls.list_packages(product_key)
    if listed is None or isinstance(listed, Failure):
        return None
    packages = Packages(listed)
    return frozenset(module.key[1] for module in listing.modules if packages.of(module.module_name))


def _reconcile(state: ProductState, listing: Listing, terms: Terms) -> Reconciliation:
    owned = [Owned(one.module_name, one.written_alias, one.written_desc) for one in state.owned]
    return reconcile(state.rows, listing.modules, owned, terms)


class _HandOver:
    """Writes the decisions for one product: changed outcomes, planned changes, modules that are no longer ours."""

    def __init__(self, look: Look, state: ProductState, listing: Listing) -> None:
        self._look = look
        self._session = look.session
        self._writer = look.writer
        self._state = state
        self._records = {record.row.line: record for record in state.records}
        self._owned = {one.module_name.casefold(): one for one in state.owned}
        self._listed = {module.key[1]: module for module in listing.modules}

    def all_of(self, decided: Reconciliation) -> None:
        for row_decision in decided.settled:
            self._settle(row_decision)
        for surplus in decided.surplus:
            self._keep(surplus.module, surplus.kept)
        for name in decided.lost:
            self._lose(name)
        without_slot = {each.row.module.key for each in decided.settled if each.outcome in _WITHOUT_SLOT}
        for swap in self._state.swaps:
            self._look_at_swap(swap, without_slot)
        for row, module in decided.adopted:
            self._adopt(row, module)
        for planned in (*decided.updates, *decided.creates, *decided.deletes):
            self._plan(planned)

    def _settle(self, decision: RowDecision) -> None:
        """Record an outcome, unless the ledger already has it: a row that is as wanted keeps its outcome."""
        record = self._records[decision.row.line]
        is_as_wanted = decision.outcome is Outcome.EXISTS and record.outcome in PROVISIONED_OUTCOMES
        if is_as_wanted or (decision.outcome, decision.message) == (record.outcome, record.message):
            return
        recovers_update = decision.recovered and decision.outcome is Outcome.UPDATED
        self._session.recorder.settle(
            decision.row,
            decision.outcome,
            code=decision.code,
            message=decision.message,
            recovered=decision.recovered,
            owned=decision.owned,
            written=decision.row.module if recovers_update else None,
        )

    def _keep(self, module: OtaModule, kept: Kept) -> None:
        owned = self._owned[module.key[1]]
        if (owned.outcome, owned.code) != (Outcome.SURPLUS, kept.value):
            self._session.recorder.settle(
                Row(NO_LINE, module, owned.attempts), Outcome.SURPLUS, code=kept.value, message=WHY_KEPT[kept]
            )

    def _lose(self, name: str) -> None:
        """End our ownership of a module that is not listed; if no row asks for it, it was deleted by us or others."""
        owned = self._owned[name.casefold()]
        module = OtaModule(self._state.product_key, name)
        if any(record.row.module.key == module.key for record in self._state.records):
            self._writer.amend("end_ownership", self._session.account, module.product_key, module.module_name)
        elif owned.in_doubt:
            row = Row(NO_LINE, module, owned.attempts)
            self._session.recorder.settle(row, Outcome.DELETED, recovered=True)
        else:
            message = "somebody else deleted it"
            self._session.recorder.settle(
                Row(NO_LINE, module, owned.attempts), Outcome.DELETED, code="gone", message=message
            )

    def _look_at_swap(self, swap: OpenSwap, without_slot: Collection[tuple[str, str]]) -> None:
        """Close a swap whose end is known; otherwise the work continues it, together with its create."""
        module, create = swap.module, (swap.module.product_key, swap.frees_slot_for.casefold())
        wanted = {record.row.module.key for record in self._state.records}
        there = self._listed.get(module.key[1])
        if there is None and module.key not in wanted and create in wanted and create[1] not in self._listed:
            if create in without_slot:
                self._look.lost.append(module)
            return
        if swap.again is not None and module.key not in wanted:
            self._settle_again(swap.again, there)
        self._writer.amend("close_swap", self._session.account, module.product_key, module.module_name)

    def _settle_again(self, row: Row, there: OtaModule | None) -> None:
        """Settle a module that had to be created again and whose create has an unknown result."""
        decided = None if there is None else judge(row, there)
        if decided is not None and decided.owned:
            message = "it was deleted for a module that could then not be created, and was made again"
            self._session.recorder.settle(
                row, Outcome.SURPLUS, code="restored", message=message, recovered=True, owned=True, written=row.module
            )
        else:
            how = "is not there" if there is None else "is somebody else's now"
            self._session.recorder.settle(
                row, Outcome.DELETED, code="gone", message=f"it was to be made again, and {how}"
            )

    def _adopt(self, row: Row, module: OtaModule) -> None:
        record = self._records[row.line]
        if record.outcome not in PROVISIONED_OUTCOMES:
            self._session.recorder.settle(row, Outcome.EXISTS)
        entry = self._entry(ADOPT, module.module_name, wanted=None, found=module, line=row.line)
        if self._may_go(entry):
            self._write(entry, module)

    def _plan(self, planned: PlannedChange) -> None:
        change = planned.change
        entry = self._entry(
            change.kind.value,
            change.wanted.module_name,
            wanted=None if change.kind is ChangeKind.DELETE else change.wanted,
            found=change.found,
            line=change.line,
            planned=planned,
        )
        record = self._records.get(NO_LINE if change.line is None else change.line)
        if record and self._has_moved(record, planned):
            return
        if not self._may_go(entry):
            self._set_aside(record, change.wanted)
            return
        lifted = entry.withheld if self._is_approved(entry) else None
        if lifted:
            entry = entry._replace(withheld=None)
        self._write(entry, change.found, lifted=lifted)
        if record and record.outcome in PROVISIONED_OUTCOMES:
            self._say_that_it_is_not_so(record, change.found)

    def _may_go(self, entry: PlannedEntry) -> bool:
        """Say whether a change is in the plan that is applied, with the same found and wanted; no plan: True."""
        if self._state.approved is None:
            return True
        approved = self._state.approved.get(entry.module_name.casefold())
        return approved is not None and approved.asks_the_same(entry)

    def _is_approved(self, entry: PlannedEntry) -> bool:
        """Say whether an apply lifts the reason to wait. That a product ends up empty must be in the plan itself."""
        if self._state.approved is None:
            return False
        approved = self._state.approved[entry.module_name.casefold()]
        return entry.withheld != Withheld.EMPTIES_PRODUCT or approved.withheld == Withheld.EMPTIES_PRODUCT

    def _set_aside(self, record: RowRecord | None, module: OtaModule) -> None:
        """Settle a change that the plan does not list in this form: the next sync decides it again."""
        message = "the plan does not list this change with what was found now"
        if record:
            self._session.recorder.settle(record.row, Outcome.MOVED, code="not_in_plan", message=message)
        elif (owned := self._owned[module.key[1]]).code != "not_in_plan":
            self._session.recorder.settle(
                Row(NO_LINE, module, owned.attempts), Outcome.SURPLUS, code="not_in_plan", message=message
            )

    def _has_moved(self, record: RowRecord, planned: PlannedChange) -> bool:
        """Settle an update in doubt if its module is neither as wanted nor as found: somebody changed it."""
        before, found = record.replaced, planned.change.found
        if planned.change.kind is not ChangeKind.UPDATE or before is None or found is None:
            return False
        if (before.alias_name or "", before.desc or "") == (found.alias_name or "", found.desc or ""):
            return False
        message = "our update may have been made, and somebody changed the module after that"
        self._session.recorder.settle(record.row, Outcome.MOVED, code="moved", message=message)
        return True

    def _say_that_it_is_not_so(self, record: RowRecord, found: OtaModule | None) -> None:
        """Settle a row that is not as wanted: if the run ends before its change, it must not count as provisioned."""
        outcome = Outcome.PENDING if found is None else Outcome.DRIFTED
        message = None if found is None else "a sync found it changed, and has not restored it yet"
        self._session.recorder.settle(record.row, outcome, message=message)

    def _entry(
        self,
        kind: str,
        module_name: str,
        *,
        wanted: OtaModule | None,
        found: OtaModule | None,
        line: int | None,
        planned: PlannedChange | None = None,
    ) -> PlannedEntry:
        return PlannedEntry(
            self._session.account,
            self._state.product_key,
            module_name,
            kind,
            wanted.alias_name if wanted else None,
            wanted.desc if wanted else None,
            found.module_name if found else None,
            found.alias_name if found else None,
            found.desc if found else None,
            line,
            planned.withheld.value if planned and planned.withheld else None,
            planned.frees_slot_for if planned else None,
        )

    def _write(self, entry: PlannedEntry, found: OtaModule | None, *, lifted: str | None = None) -> None:
        adopted = entry.kind == ADOPT
        self._writer.amend(
            "plan_change",
            entry.account,
            self._look.run_id,
            entry.product_key,
            entry.module_name,
            ChangeKind.UPDATE.value if adopted else entry.kind,
            entry.wanted_alias,
            entry.wanted_desc,
            entry.found_name,
            entry.found_alias,
            entry.found_desc,
            None if found is None else orjson.dumps(found.gmt_create).decode(),
            entry.line,
            int(adopted),
            entry.withheld,
            entry.frees_slot_for,
            lifted,
        )
