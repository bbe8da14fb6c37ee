"""One account's sync, a *night*: look at every product in scope, decide, let the guard judge, then work.

Nothing is written to the platform before the look and the judgement of the whole account are complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from bulk.control.budget import judge
from bulk.control.guard import SENT_SPAN_S, AccountLook, GoodInput, guard, lost_too_much
from bulk.control.reasons import withheld_words
from bulk.control.reconcile import Withheld
from bulk.engine.lanes.sending import visit
from bulk.engine.sessions.session import SYSTEM_CLOCK
from bulk.engine.sync.account import AccountWork
from bulk.engine.sync.look import Look
from bulk.engine.sync.work import work_off_changes
from bulk.engine.threads import held, in_thread
from bulk.events import PhaseStarted, SyncPhase
from bulk.ledger.good_inputs import KeyCounts
from bulk.ledger.planning import WithheldReader, WorkReader, read_figures
from bulk.ledger.times import iso_utc
from bulk.model import ChangeKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bulk.engine.lanes.sending import Room
    from bulk.engine.sessions.session import Session
    from bulk.engine.sync.options import SyncOptions
    from bulk.engine.sync.writing import PlanWriter
    from bulk.ledger.looking import LookReader
    from bulk.model import OtaModule

__all__ = ["Night", "NightTerms", "amend_gone_products", "forget_plans"]

_ACCEPT = "if that is right, accept it: write a plan of the whole input, and apply it"


@dataclass(frozen=True, slots=True, kw_only=True)
class NightTerms:
    """Options and scope of an account in this job."""

    options: SyncOptions
    run_id: str
    ledger: Path
    is_narrowed: bool
    """True: not every product of the account is in scope."""

    is_apply: bool = False
    is_plan: bool = False
    """True: only requests that read are sent."""

    keep_products: Collection[str] = ()
    keeps_all: bool = False
    keys: KeyCounts = field(default_factory=KeyCounts)
    """Counts of the account's part of the whole input."""

    input_name: str = ""
    input_sha256: str = ""
    flags: str = "{}"
    """JSON: options of the plan, as the ledger keeps them."""


def amend_gone_products(writer: PlanWriter, account: str, run_id: str, options: SyncOptions) -> None:
    """Count our modules in products that no row names; nothing looks at these products."""
    besides = orjson.dumps(options.prune_products).decode()
    writer.amend("surplus_of_gone_products", iso_utc(SYSTEM_CLOCK.wall()), run_id, account, besides)


def forget_plans(writer: PlanWriter, account: str, run_id: str, flags: str | None = None) -> None:
    """Forget earlier plans of an account: all, or those with the same flags; until then they wait for approval."""
    writer.amend("forget_plans", account, flags, run_id)
    writer.amend("forget_planned", account, iso_utc(SYSTEM_CLOCK.wall() - SENT_SPAN_S))


@dataclass(kw_only=True)
class Night:
    """What a sync does for one account, and the result."""

    account: str
    terms: NightTerms
    finished: bool = field(default=False, init=False)
    """True: it was completed."""

    notes: list[str] = field(default_factory=list, init=False)
    unlisted: int = field(default=0, init=False)
    lost: Withheld | None = field(default=None, init=False)
    """Why the input lost too much to continue without a person; ``None``: it did not."""

    to_accept: bool = field(default=False, init=False)
    """It did, and no delete waits with whose approval a person would accept that."""

    left: int = field(default=0, init=False)
    """Deletes that were due and were not carried out."""

    not_restored: list[OtaModule] = field(default_factory=list, init=False)
    """Modules deleted for a create that was then impossible, and not created again."""

    async def through(self, session: Session, writer: PlanWriter, lanes: LookReader, *, room: Room) -> None:
        """Look, judge and work.

        Raises:
            LedgerError: The ledger can't be read, or a claim could not be made durable.
        """
        terms = self.terms
        look = Look(
            session=session,
            writer=writer,
            run_id=terms.run_id,
            prune=terms.options.prune,
            adopt=terms.options.adopt,
            keep_products=terms.keep_products,
            keeps_all=terms.keeps_all,
        )
        session.listener(PhaseStarted(phase=SyncPhase.LOOK, products=lanes.products, account=self.account))
        await visit(session, lanes, look.at, room=room)
        self.unlisted, self.not_restored = look.unlisted, look.lost
        await writer.claim(())
        if session.stop.requested:
            return
        await self._judge(session, writer)
        await self._settle_withheld(session, writer)
        if not terms.is_plan:
            await self._work(session, writer, room=room)
        for module in self.not_restored:
            self._note(
                f"{module.module_name} of {module.product_key} was deleted for a module that could then not be "
                "created; its texts are in the undo file of that run"
            )
        self.finished = not session.stop.requested

    async def _judge(self, session: Session, writer: PlanWriter) -> None:
        """Withhold what the guard objects to. A person has approved what an apply carries out."""
        terms, account, run_id = self.terms, self.account, self.terms.run_id
        if not terms.is_apply:
            await self._withhold(session, writer)
        writer.amend("withhold_swapped", account, run_id)
        if not terms.is_narrowed:
            amend_gone_products(writer, account, run_id, terms.options)
        self._replace_plans(writer)
        await writer.claim(())

    def _replace_plans(self, writer: PlanWriter) -> None:
        """Put the plan in the place of earlier ones. A look that was cut off has no plan, and so replaces none."""
        terms, account = self.terms, self.account
        made_at = iso_utc(SYSTEM_CLOCK.wall())
        writer.amend("begin_plan", account, terms.run_id, made_at, terms.input_name, terms.input_sha256, terms.flags)
        forget_plans(writer, account, terms.run_id, terms.flags if terms.is_narrowed else None)

    async def _withhold(self, session: Session, writer: PlanWriter) -> None:
        look, options = await self._counted(session), self.terms.options
        objections = guard(look, max_updates=options.max_updates, max_deletes=options.max_deletes)
        for kind, objection in objections.items():
            writer.amend("withhold_kind", objection.withheld.value, self.account, self.terms.run_id, kind.value)
            self._note(objection.message)
        if lost := lost_too_much(look):
            self.lost = lost.withheld
            if lost not in objections.values():
                self.to_accept = True
                self._note(f"{lost.message}: {_ACCEPT}")

    async def _counted(self, session: Session) -> AccountLook:
        """Count what the guard needs to know."""
        figures = await in_thread(
            read_figures,
            self.terms.ledger,
            account=self.account,
            run_id=self.terms.run_id,
            sent_since=session.clock.wall() - SENT_SPAN_S,
        )
        good = (
            None
            if figures.good_rows is None or figures.good_products is None
            else GoodInput(rows=figures.good_rows, products=figures.good_products)
        )
        return AccountLook(
            managed=figures.managed,
            owned=figures.owned,
            updates=figures.updates,
            deletes=figures.deletes,
            updates_sent=figures.updates_sent,
            deletes_sent=figures.deletes_sent,
            input=GoodInput(rows=figures.rows, products=figures.products),
            last_good=good,
            good_keys=self.terms.keys.good,
            common_keys=self.terms.keys.common,
        )

    async def _work(self, session: Session, writer: PlanWriter, *, room: Room) -> None:
        terms, account = self.terms, self.account
        writer.amend("adopt_planned", account, terms.run_id)
        await writer.claim(())
        work = AccountWork(session=session, writer=writer, run_id=terms.run_id, approved=terms.is_apply)
        async with held(WorkReader, terms.ledger, account=account, run_id=terms.run_id) as lanes:
            session.listener(
                PhaseStarted(phase=SyncPhase.WORK, products=lanes.products, changes=lanes.changes, account=self.account)
            )
            await visit(session, lanes, lambda lane: work_off_changes(lane, work), room=room)
        for kind, failure in work.denied.items():
            writer.amend("withhold_kind", Withheld.NO_PERMISSION.value, account, terms.run_id, kind.value)
            self._note(
                f"the key lacks the right to {kind}: {failure.permission}; grant it, or apply the plan with a key that "
                "has it"
            )
        if work.others_changed:
            writer.amend("withhold_kind", Withheld.OTHERS_CHANGED.value, account, terms.run_id, ChangeKind.UPDATE.value)
            self._note(f"updates stopped: the first one also changed {work.others_changed}")
        self.left, self.not_restored = work.left, [*self.not_restored, *work.undone]
        await writer.claim(())

    async def _settle_withheld(self, session: Session, writer: PlanWriter) -> None:
        """Record in every row whose change waits that it waits."""
        async with held(WithheldReader, self.terms.ledger, account=self.account, run_id=self.terms.run_id) as reader:
            while found := await in_thread(reader.next_rows):
                for row, found_module, withheld in found:
                    how = f"; {judge(row, found_module).message}" if found_module else ""
                    session.recorder.settle(
                        row, Outcome.WITHHELD, code=withheld, message=f"{withheld_words(withheld)}{how}"
                    )
        await writer.claim(())

    def _note(self, text: str) -> None:
        self.notes.append(f"account {self.account}: {text}" if self.account else text)
