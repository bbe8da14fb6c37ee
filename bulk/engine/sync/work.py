"""Carry out what was decided for a product: list again, updates, creates that fit, deletes and swaps.

Whatever is not as it was found is not touched. A lane sends one request at a time, so that what it knows of its product
is exact while nobody else writes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.control.budget import judge, who_holds_the_slots
from bulk.control.diff import differences
from bulk.control.reconcile import Kept, Withheld
from bulk.engine.lanes.change import ChangeWork, Ending, Rest, is_unchanged, reopen
from bulk.engine.sync.look import held_packages
from bulk.model import (
    MAX_CUSTOM_MODULES,
    NO_LINE,
    RESERVED_MODULE_NAME,
    Change,
    ChangeKind,
    Failure,
    Listing,
    OtaModule,
    Outcome,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.engine.sync.account import AccountWork
    from bulk.ledger.planning import PlannedWork, ProductWork

__all__ = ["work_off_changes"]

_SLOTS_GONE = "the slot that a delete was to make free is not free: that module stays"


async def work_off_changes(lane: ProductWork, account: AccountWork) -> None:
    """Carry out the changes of a product, or leave them because the run is stopping.

    Raises:
        LedgerError: A claim could not be made durable; nothing was sent for it.
    """
    updates = any(each.change.kind is ChangeKind.UPDATE for each in lane.work)
    if updates and not account.is_tried:
        lock = await account.first_update()
        if lock is not None:
            async with lock:
                await _list_and_work(lane, account)
            return
    await _list_and_work(lane, account)


async def _list_and_work(lane: ProductWork, account: AccountWork) -> None:
    session = account.session
    listing = await session.calls.list_modules(lane.product_key)
    if isinstance(listing, Listing):
        account.end_ownership(lane.product_key, listing)
        await _ProductWork(account, lane.product_key, listing).run(lane.work)
        return
    for each in lane.work:
        _settle_unlisted(each, listing, account)


def _settle_unlisted(each: PlannedWork, failure: Failure | None, account: AccountWork) -> None:
    session = account.session
    if failure is None or session.stop.requested:
        return
    message = f"not sent: its product could not be listed: {failure.message}"
    if each.change.kind is ChangeKind.DELETE:
        account.left += 1
        session.recorder.settle(each.row, Outcome.SURPLUS, code=failure.code, message=message)
        return
    outcome = Outcome.UNKNOWN if each.row.in_doubt else Outcome.FAILED
    session.recorder.settle(each.row, outcome, code=failure.code, message=message, request_id=failure.request_id)


class _ProductWork:
    """What is known of a product while it is changed."""

    def __init__(self, account: AccountWork, product_key: str, listing: Listing) -> None:
        self._account = account
        self._session = account.session
        self._product_key = product_key
        self._known = {module.key: module for module in listing.modules}
        self._held = 0
        """Slots of creates that failed and that may still be carried out."""

        self._packages: frozenset[str] | None = None
        self._asked_for_packages = False
        self._is_refused: Ending | None = None
        """Why nothing more is sent for this product."""

    async def run(self, work: Sequence[PlannedWork]) -> None:
        still = [each for each in work if self._is_as_found(each)]
        of_kind = {kind: [each for each in still if each.change.kind is kind] for kind in ChangeKind}
        swaps = {each.frees_slot_for.casefold(): each for each in of_kind[ChangeKind.DELETE] if each.frees_slot_for}
        creates = of_kind[ChangeKind.CREATE]
        await self._update(of_kind[ChangeKind.UPDATE])
        await self._create([each for each in creates if each.row.module.key[1] not in swaps])
        for each in creates:
            if delete := swaps.get(each.row.module.key[1]):
                await self._swap(delete, each)
        paired = {each.row.module.key[1] for each in creates}
        for each in of_kind[ChangeKind.DELETE]:
            if not each.frees_slot_for or each.frees_slot_for.casefold() not in paired:
                await self._delete(each)

    # What was found.

    def _is_as_found(self, each: PlannedWork) -> bool:
        """Say whether a module is as the look found it; one that is not is settled."""
        change, row = each.change, each.row
        there = self._known.get(change.wanted.key)
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
                written=there if decided.outcome is Outcome.UPDATED else None,
            )
        else:
            how = "is not there any more" if there is None else "is not as it was found"
            self._session.recorder.settle(
                row, Outcome.MOVED, code="moved", message=f"not sent: since the look the module {how}"
            )
        return False

    def _settle_moved_delete(self, each: PlannedWork, there: OtaModule | None) -> None:
        if there is None:
            self._session.recorder.settle(each.row, Outcome.DELETED, code="gone", message="somebody else deleted it")
            return
        self._keep(each, Kept.CHANGED.value, "not deleted: since the look somebody has changed it")

    def _keep(self, each: PlannedWork, code: str, message: str) -> None:
        self._account.left += 1
        self._session.recorder.settle(each.row, Outcome.SURPLUS, code=code, message=message)

    def _customs(self) -> list[str]:
        return [module.module_name for key, module in self._known.items() if key[1] != RESERVED_MODULE_NAME]

    def _free(self) -> int:
        return MAX_CUSTOM_MODULES - len(self._customs()) - self._held

    # Updates.

    async def _update(self, work: Sequence[PlannedWork]) -> None:
        for each in work:
            if self._does_not_go(each):
                continue
            before = dict(self._known)
            await self._session.recorder.claim([(each.row, each.change)], approved=self._account.approved)
            ending = await self._carry_out(each)
            if ending.outcome is Outcome.UPDATED:
                self._known[each.change.wanted.key] = each.change.wanted
            if not self._account.is_tried and (ending.outcome is Outcome.UPDATED or ending.in_doubt):
                await self._look_at_first(each.change, before)

    async def _look_at_first(self, change: Change, before: dict[tuple[str, str], OtaModule]) -> None:
        """List and compare before the second update of an account: no page says all that an update does."""
        listing = await self._session.calls.list_modules(self._product_key)
        if not isinstance(listing, Listing):
            self._account.tried("the listing that would tell failed")
            return
        after = {module.key: module for module in listing.modules}
        changed = [
            module.module_name
            for key, module in before.items()
            if key != change.wanted.key and after.get(key) != module
        ]
        mine = after.get(change.wanted.key)
        if mine is None or (differences(change.wanted, mine) and not is_unchanged(change, mine)):
            changed.append(change.wanted.module_name)
        self._account.tried(", ".join(changed) or None)

    # Creates.

    async def _create(self, work: Sequence[PlannedWork]) -> None:
        """Create what fits, in file order; somebody else may have taken a slot since the look."""
        for each in work:
            if self._does_not_go(each):
                continue
            if each.change.wanted.key in self._known:
                self._is_as_found(each)
                continue
            if self._free() <= 0:
                self._settle_without_slot(each)
                continue
            await self._session.recorder.claim([(each.row, each.change)], approved=self._account.approved)
            self._take_note_of_create(each, await self._carry_out(each))

    def _take_note_of_create(self, each: PlannedWork, ending: Ending) -> None:
        if ending.outcome is Outcome.CREATED:
            self._known[each.change.wanted.key] = each.change.wanted
        self._held += ending.outcome is Outcome.UNKNOWN or (ending.outcome is Outcome.FAILED and ending.in_doubt)

    def _settle_without_slot(self, each: PlannedWork) -> None:
        message = who_holds_the_slots(self._customs(), (), self._held)
        self._session.recorder.settle(each.row, Outcome.OVER_BUDGET, message=message)

    # Deletes, alone and for a create that needs the slot.

    async def _swap(self, delete: PlannedWork, create: PlannedWork) -> None:
        """Delete a module and make another in its slot; both are claimed in one commit."""
        if self._does_not_go(create):
            return
        if self._free() > 0:
            # Somebody else made room: the two don't depend on each other any more.
            await self._create([create])
            await self._delete(delete)
            return
        if not await self._may_go(delete, in_exchange=True):
            self._session.recorder.settle(create.row, Outcome.OVER_BUDGET, code="swap", message=_SLOTS_GONE)
            return
        await self._session.recorder.claim(
            [(delete.row, delete.change), (create.row, create.change)],
            approved=self._account.approved,
            frees_slot_for=create.change.wanted.module_name,
        )
        ending = await self._delete_claimed(delete, in_exchange=True)
        if ending.outcome is not Outcome.DELETED:
            self._settle_unswapped(create, ending)
            return
        if create.change.wanted.key in self._known or self._free() <= 0:
            self._settle_taken(create)
        else:
            ending = await self._carry_out(create)
            self._take_note_of_create(create, ending)
            if ending.outcome not in {Outcome.FAILED, Outcome.OVER_BUDGET, Outcome.DRIFTED} or ending.in_doubt:
                return
        await self._restore(delete.change.wanted)

    def _settle_taken(self, create: PlannedWork) -> None:
        """Settle a claimed create that was not sent: somebody else took its slot or its name after the delete."""
        there = self._known.get(create.change.wanted.key)
        if there is None:
            self._settle_without_slot(create)
            return
        decided = judge(create.row, there)
        self._session.recorder.settle(
            create.row, decided.outcome, message=decided.message, recovered=decided.recovered, owned=decided.owned
        )

    def _settle_unswapped(self, create: PlannedWork, ending: Ending) -> None:
        if self._session.stop.requested or ending.rest is Rest.STOPPED:
            reopen(create.row, self._session.recorder)
        elif ending.rest is Rest.DENIED:
            self._account.withhold(create.change, Withheld.NEEDS_DELETE)
            self._session.recorder.settle(create.row, Outcome.WITHHELD, code=Withheld.NEEDS_DELETE.value)
        else:
            self._session.recorder.settle(create.row, Outcome.OVER_BUDGET, code="swap", message=_SLOTS_GONE)

    async def _restore(self, module: OtaModule) -> None:
        """Make a deleted module again whose slot was not used after all; without a free slot it is named."""
        if self._session.stop.requested or self._free() <= 0 or module.key in self._known:
            self._account.undone.append(module)
            return
        change = _again(module)
        row = Row(NO_LINE, change.wanted)
        await self._session.recorder.claim([(row, change)], approved=self._account.approved)
        ending = await ChangeWork(row, change, self._session).run()
        if ending.outcome is not Outcome.CREATED:
            self._account.undone.append(module)
            return
        self._known[change.wanted.key] = change.wanted
        self._session.recorder.settle(
            row,
            Outcome.SURPLUS,
            code="restored",
            message="it was deleted for a module that the platform then refused, and was made again",
        )

    async def _delete(self, each: PlannedWork) -> None:
        if not await self._may_go(each):
            return
        await self._session.recorder.claim([(each.row, each.change)], approved=self._account.approved)
        await self._delete_claimed(each)

    async def _delete_claimed(self, each: PlannedWork, *, in_exchange: bool = False) -> Ending:
        """Send a delete that was claimed; after a doubt, decide anew whether the module may go."""
        ending = Ending(Rest.ANEW)
        for _ in range(self._session.policy.max_attempts):
            ending = await self._carry_out(each)
            if ending.rest is not Rest.ANEW:
                break
            self._asked_for_packages = False
            if not await self._may_go(each, in_exchange=in_exchange):
                return Ending(outcome=Outcome.SURPLUS)
            await self._session.recorder.claim([(each.row, each.change)], approved=self._account.approved)
        if ending.rest is Rest.ANEW and ending.failure is not None:
            self._account.left += 1
            self._session.recorder.settle(
                each.row._replace(in_doubt=True, doubted=ChangeKind.DELETE),
                Outcome.UNKNOWN,
                code=ending.failure.code,
                message=ending.failure.message,
            )
        if ending.outcome is Outcome.DELETED:
            self._known.pop(each.change.wanted.key, None)
        elif ending.outcome is Outcome.SURPLUS:
            self._account.left += 1
        return ending

    async def _may_go(self, each: PlannedWork, *, in_exchange: bool = False) -> bool:
        """Decide, from what is known now, whether a module may be deleted; settle it where it may not."""
        if self._does_not_go(each):
            return False
        there = self._known.get(each.change.wanted.key)
        if there is None or not is_unchanged(each.change, there):
            self._settle_moved_delete(each, there)
            return False
        if len(self._customs()) <= 1 and not in_exchange and not self._account.approved:
            self._account.withhold(each.change, Withheld.EMPTIES_PRODUCT)
            self._account.left += 1
            self._session.recorder.settle(each.row, Outcome.SURPLUS, code=Withheld.EMPTIES_PRODUCT.value)
            return False
        if not self._asked_for_packages:
            self._packages = await held_packages(
                self._session, self._product_key, Listing(tuple(self._known.values()), None, 200)
            )
            self._asked_for_packages = True
            if self._session.stop.requested:
                return False
        if self._packages is None or each.change.wanted.key[1] in self._packages:
            kept = Kept.PACKAGES_UNKNOWN if self._packages is None else Kept.PACKAGE
            self._keep(each, kept.value, "not deleted: it holds an update package, or that could not be asked")
            return False
        return True

    # What all kinds have in common.

    def _does_not_go(self, each: PlannedWork) -> bool:
        """Say whether a change is not sent any more: the run stops, the product is refused, the kind is withheld."""
        if self._session.stop.requested:
            return True
        if self._is_refused is not None:
            self._settle_refused(each, self._is_refused)
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

    def _settle_refused(self, each: PlannedWork, ending: Ending) -> None:
        failure = ending.failure
        if failure is None:
            return
        message = f"not sent, as an earlier change of its product met: {failure.message}"
        if each.change.kind is ChangeKind.DELETE:
            self._keep(each, failure.code, message)
            return
        outcome = Outcome.OVER_BUDGET if ending.rest is Rest.FULL else Outcome.FAILED
        self._session.recorder.settle(each.row, outcome, code=failure.code, message=message)

    async def _carry_out(self, each: PlannedWork) -> Ending:
        """Send a claimed change to its end, and take note of what was learnt on the way."""
        work = ChangeWork(each.row, each.change, self._session)
        ending = await work.run()
        if work.listing is not None:
            listed = {module.key: module for module in work.listing.modules}
            # Added to what is known: a listing may not show yet what this lane has just made.
            self._known |= listed
            if each.change.kind is ChangeKind.DELETE and each.change.wanted.key not in listed:
                self._known.pop(each.change.wanted.key, None)
        if ending.rest is Rest.DENIED and ending.failure is not None:
            self._account.deny(each.change.kind, ending.failure)
            self._withhold(each, Withheld.NO_PERMISSION)
        elif ending.rest is Rest.REFUSED:
            self._is_refused = ending
        if ending.rest not in {Rest.DENIED, Rest.ANEW, Rest.STOPPED}:
            self._account.end(each.change, "done")
        return ending


def _again(module: OtaModule) -> Change:
    """Return the create that makes a deleted module again."""
    wanted = OtaModule(module.product_key, module.module_name, module.alias_name or None, module.desc or None)
    return Change(ChangeKind.CREATE, wanted)
