"""Carry out the decisions for a product: list again, then updates, creates that fit, deletes and swaps.

A module that is not as it was found is not touched. A lane sends one request at a time. So its knowledge of the product
is exact as long as nobody else writes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.control.budget import judge
from bulk.control.diff import differences
from bulk.control.reconcile import Kept, Withheld
from bulk.engine.lanes.change import Ending, Rest, is_unchanged, reopen
from bulk.engine.sync.carrying import Carrying
from bulk.engine.sync.look import held_packages
from bulk.ledger.planning import PlannedWork
from bulk.model import (
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
    from collections.abc import Iterable, Sequence

    from bulk.engine.sync.account import AccountWork
    from bulk.ledger.planning import ProductWork

__all__ = ["work_off_changes"]

_SLOTS_GONE = "a delete was to free the slot, but its module stays"


async def work_off_changes(lane: ProductWork, account: AccountWork) -> None:
    """Carry out the changes of a product, or leave them because the run is stopping.

    Raises:
        LedgerError: A claim could not be made durable; nothing was sent for it.
    """
    updates = any(each.change.kind is ChangeKind.UPDATE for each in lane.work)
    if updates and not account.is_tried:
        async with account.first_update:
            # Lanes that waited continue in parallel once one update was checked.
            if not account.is_tried:
                await _list_and_work(lane, account)
                return
    await _list_and_work(lane, account)


async def _list_and_work(lane: ProductWork, account: AccountWork) -> None:
    session = account.session
    listing = await session.calls.list_modules(lane.product_key)
    if isinstance(listing, Listing):
        await _Work(account, lane, listing).run(lane.work)
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


class _Work(Carrying):
    """The changes of a product, one kind after the other."""

    _packages: frozenset[str] | None = None
    _asked_for_packages = False

    async def run(self, work: Sequence[PlannedWork]) -> None:
        still = [each for each in work if self._is_as_found(each)]
        of_kind = {kind: [each for each in still if each.change.kind is kind] for kind in ChangeKind}
        swaps = {each.frees_slot_for.casefold(): each for each in of_kind[ChangeKind.DELETE] if each.frees_slot_for}
        creates = of_kind[ChangeKind.CREATE]
        paired = {each.row.module.key[1] for each in creates} & swaps.keys()
        alone = [
            each
            for each in of_kind[ChangeKind.DELETE]
            if not each.frees_slot_for or each.frees_slot_for.casefold() not in paired
        ]
        await self._update(of_kind[ChangeKind.UPDATE])
        await self._create([each for each in creates if each.row.module.key[1] not in paired])
        while alone and self._known.free < 0:
            # Somebody else created more than ten: a first delete frees no slot, and a swap would lose its module.
            await self._delete(alone.pop(0))
        for each in creates:
            if each.row.module.key[1] in paired:
                await self._swap(swaps[each.row.module.key[1]], each)
        for each in alone:
            await self._delete(each)

    # Updates.

    async def _update(self, work: Sequence[PlannedWork]) -> None:
        for each in work:
            # A listing for an earlier change of the lane may show that this one has moved.
            if self._does_not_go(each) or not self._is_as_found(each):
                continue
            before = dict(self._known.modules)
            await self._claim(each)
            ending = await self._carry_out(each)
            if not self._account.is_tried and (ending.outcome is Outcome.UPDATED or ending.in_doubt):
                await self._look_at_first(each.change, before)

    async def _look_at_first(self, change: Change, before: dict[tuple[str, str], OtaModule]) -> None:
        """List and compare before the second update of an account: no document says everything that an update does."""
        listing = await self._session.calls.list_modules(self._product_key)
        if not isinstance(listing, Listing):
            self._account.tried("the listing that would tell failed")
            return
        self._known.look_at(listing)
        after = self._known.modules
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
        """Create what fits, in file order: somebody else may have taken a slot since the look."""
        for each in work:
            if not self._does_not_go(each):
                if each.change.wanted.key in self._known.modules:
                    self._is_as_found(each)
                elif self._known.free <= 0:
                    self._settle_without_slot(each)
                else:
                    await self._claim(each)
                    await self._carry_out(each)
            await self._make_up_for(each, each.in_place_of)

    # Deletes, alone and for a create that needs the slot.

    async def _swap(self, delete: PlannedWork, create: PlannedWork) -> None:
        """Delete a module and create another in its slot; both are claimed in one commit."""
        if self._does_not_go(create):
            self._does_not_go(delete)
            return
        if self._needs_slot(create) and not await self._may_go(delete, in_exchange=True):
            await (self._settle_unswapped(create) if self._needs_slot(create) else self._create([create]))
            return
        if not self._needs_slot(create):
            # Somebody else freed a slot, or created the module: delete and create no longer depend on each other.
            await self._create([create])
            await self._delete(delete)
            return
        await self._claim(delete, create, frees_slot_for=create.change.wanted.module_name)
        ending = await self._delete_claimed(delete, frees_slot_for=create.change.wanted.module_name)
        if ending.outcome is not Outcome.DELETED:
            if delete.change.wanted.key in self._known.modules and not ending.in_doubt:
                self._account.close_swap(delete.change.wanted)
            await self._settle_unswapped(create)
            return
        if self._needs_slot(create) or create.change.wanted.key in self._known.modules:
            self._settle_taken(create)
        elif (await self._carry_out(create)).rest is Rest.STOPPED:
            return
        await self._make_up_for(create, (delete.change.wanted, *create.in_place_of))

    def _needs_slot(self, create: PlannedWork) -> bool:
        return self._known.free <= 0 and create.change.wanted.key not in self._known.modules

    def _settle_taken(self, create: PlannedWork) -> None:
        """Settle a claimed create that was not sent because somebody else took its slot or name after the delete."""
        there = self._known.modules.get(create.change.wanted.key)
        if there is None:
            self._settle_without_slot(create)
            return
        decided = judge(create.row, there)
        self._session.recorder.settle(
            create.row, decided.outcome, message=decided.message, recovered=decided.recovered, owned=decided.owned
        )

    async def _settle_unswapped(self, create: PlannedWork) -> None:
        """Settle a create whose delete was not carried out."""
        if self._session.stop.requested:
            reopen(create.row, self._session.recorder)
            return
        if ChangeKind.DELETE in self._account.denied:
            self._account.withhold(create.change, Withheld.NEEDS_DELETE)
            self._session.recorder.settle(create.row, Outcome.WITHHELD, code=Withheld.NEEDS_DELETE.value)
        else:
            self._session.recorder.settle(create.row, Outcome.OVER_BUDGET, code="swap", message=_SLOTS_GONE)
        await self._make_up_for(create, create.in_place_of)

    async def _delete(self, each: PlannedWork) -> None:
        if not await self._may_go(each):
            return
        await self._claim(each)
        await self._delete_claimed(each)

    async def _delete_claimed(self, each: PlannedWork, *, frees_slot_for: str | None = None) -> Ending:
        """Send a claimed delete; if its result is in doubt, decide again whether the module may be deleted."""
        ending = Ending(Rest.ANEW)
        for _ in range(self._session.policy.max_attempts):
            ending = await self._carry_out(each)
            each = each._replace(row=ending.row or each.row)
            if ending.rest is not Rest.ANEW:
                break
            self._asked_for_packages = False
            if not await self._may_go(each, in_exchange=frees_slot_for is not None):
                return Ending(outcome=Outcome.SURPLUS, in_doubt=self._session.stop.requested)
            await self._claim(each, frees_slot_for=frees_slot_for)
        if ending.rest is Rest.ANEW and ending.failure is not None:
            self._account.left += 1
            self._session.recorder.settle(
                each.row, Outcome.UNKNOWN, code=ending.failure.code, message=ending.failure.message
            )
        elif ending.outcome is Outcome.SURPLUS:
            self._account.left += 1
        return ending

    async def _may_go(self, each: PlannedWork, *, in_exchange: bool = False) -> bool:
        """Decide, from what is known now, whether a module may be deleted; if not, settle its change."""
        if self._does_not_go(each) or not await self._has_looked(each):
            return False
        there = self._known.modules.get(each.change.wanted.key)
        if there is None or not is_unchanged(each.change, there):
            self._settle_moved_delete(each, there)
            return False
        if there.key[1] == RESERVED_MODULE_NAME:
            self._keep(each, Kept.NOT_ASKED.value, "not deleted: it is the device's own firmware")
            return False
        if len(self._known.customs) <= 1 and not in_exchange and each.lifted != Withheld.EMPTIES_PRODUCT:
            self._account.withhold(each.change, Withheld.EMPTIES_PRODUCT)
            self._account.left += 1
            self._session.recorder.settle(each.row, Outcome.SURPLUS, code=Withheld.EMPTIES_PRODUCT.value)
            return False
        if self._packages is None or there.key[1] in self._packages:
            kept = Kept.PACKAGES_UNKNOWN if self._packages is None else Kept.PACKAGE
            self._keep(each, kept.value, "not deleted: it holds an update package, or that could not be checked")
            return False
        return True

    async def _has_looked(self, each: PlannedWork) -> bool:
        """List again if the last listing is too old for a delete, and list packages before the first delete.

        If the product can't be listed, the delete is settled.
        """
        if not self._known.is_fresh:
            listing = await self._session.calls.list_modules(self._product_key)
            if not isinstance(listing, Listing):
                _settle_unlisted(each, listing, self._account)
                return False
            self._known.look_at(listing)
            self._asked_for_packages = False
        if not self._asked_for_packages:
            known = Listing(tuple(self._known.modules.values()), None, 200)
            self._packages = await held_packages(self._session, self._product_key, known)
            self._asked_for_packages = True
        return not self._session.stop.requested

    # What was deleted for a create that did not succeed.

    async def _make_up_for(self, create: PlannedWork, deleted: Iterable[OtaModule]) -> None:
        """Unless the create's module exists now, create again what was deleted for it, or report it."""
        there = self._known.modules.get(create.change.wanted.key)
        for module in deleted:
            if there is not None and not differences(create.row.module, there):
                self._account.close_swap(module)
            elif not self._session.stop.requested:
                await self._restore(module)

    async def _restore(self, module: OtaModule) -> None:
        """Create a deleted module again whose slot was not used; without a free slot, report the module."""
        if module.key in self._known.modules:
            self._account.close_swap(module)
            return
        if self._refusal is not None or self._known.free <= 0:
            self._account.undone.append(module)
            return
        change = _again(module)
        again = PlannedWork(Row(NO_LINE, change.wanted), change, None)
        await self._claim(again)
        ending = await self._carry_out(again)
        row = ending.row or again.row
        if ending.outcome is Outcome.CREATED:
            self._session.recorder.settle(
                row,
                Outcome.SURPLUS,
                code="restored",
                message="it was deleted for a module that could then not be created, and was made again",
            )
            # Last: an open swap, like the code, tells the next night not to delete it again.
            self._account.close_swap(module)
        elif ending.rest is not Rest.STOPPED:
            self._account.undone.append(module)
            if not row.in_doubt:
                self._session.recorder.settle(
                    row,
                    Outcome.DELETED,
                    code="not_restored",
                    message="it was deleted for a module that could then not be created, and could not be made again",
                )


def _again(module: OtaModule) -> Change:
    """Return the change that creates a deleted module again."""
    wanted = OtaModule(module.product_key, module.module_name, module.alias_name or None, module.desc or None)
    return Change(ChangeKind.CREATE, wanted)
