"""`bulk sync` and `bulk apply`: make the platform match the file."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulk.control.guard import refuse_other_file
from bulk.control.reconcile import Withheld
from bulk.engine.conclude import conclude, gravest, summary_json
from bulk.engine.lanes.selection import EVERYTHING
from bulk.engine.lanes.sending import in_all_sessions, writing
from bulk.engine.preparing import Prepared
from bulk.engine.run import Run
from bulk.engine.sessions.connect import ledger_path, sandbox_states
from bulk.engine.stop import StopSignal
from bulk.engine.sync.decided import Decided
from bulk.engine.sync.ending import changes_of, code_of, notes_of_input, unprovisioned
from bulk.engine.sync.figures import figures_by_account, surplus_by_account
from bulk.engine.sync.left_files import LeftFiles
from bulk.engine.sync.night import Night, NightTerms, amend_gone_products, forget_plans
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.plan_file import PlanHeader, write_plan
from bulk.engine.sync.protection import protection_of
from bulk.engine.sync.scope import Scope, opened_looks
from bulk.engine.threads import in_thread
from bulk.errors import InputError
from bulk.events import PlanStarted, ignore
from bulk.exits import ExitCode
from bulk.ledger.good_inputs import KeyCounts, compare_keys, note_first_good_input, note_good_input
from bulk.ledger.planning import plan_path
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc
from bulk.model import ChangeKind, Outcome
from bulk.model.inputs import has_no_place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.conclude import Done
    from bulk.engine.job import Part
    from bulk.engine.lanes.sending import Room
    from bulk.engine.sessions.keys import KeyRing
    from bulk.engine.sessions.session import Session
    from bulk.events import Listener
    from bulk.ledger.looking import LookReader
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["Sync", "sync"]


async def sync(
    input_name: str,
    settings: Settings,
    options: SyncOptions | None = None,
    *,
    detailed_exit_code: bool = False,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
    to_json: Callable[[Summary], bytes] = summary_json,
) -> Summary:
    """Make the platform match the input, and return the state of its rows.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: Targets, rates, retries and limits, and what narrows the scope.
        options: What it may do; default: create and update, delete nothing.
        detailed_exit_code: End with 6 if something was changed and everything now matches the file.
        credentials: As for `bulk.run`.
        listener: Receives what happens.
        stop: Ends it early when it is requested.
        to_json: Encodes the summary for the ledger.

    Raises:
        SettingsError: Settings or credentials can't be used; nothing was read.
        InputError: The input can't be read, has no valid row, or is a different file; nothing was sent.
        LedgerError: The ledger can't be used, is held by another run, or belongs to another target.
        StoppedError: A stop was requested before the keys were available.
    """
    options = options or SyncOptions()
    options.check(settings)
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    prepared = await Prepared.of(settings, credentials, listener=listener, stop=stop, syncs=True)
    async with prepared.ledger(path, input_name) as ledger:
        job = Sync(
            input_name=input_name,
            settings=settings,
            accounts=prepared.accounts,
            product_map=prepared.product_map,
            ledger=ledger,
            listener=listener,
            stop=stop,
            parts=prepared.parts,
            syncs=True,
            command="sync",
            options=options,
            detailed_exit_code=detailed_exit_code,
        )
        return await job.run(prepared.keys, to_json)


@dataclass(kw_only=True)
class Sync(Run):
    """One sync, or one apply of a plan."""

    options: SyncOptions = field(default_factory=SyncOptions)
    detailed_exit_code: bool = False
    plan_path: Path | None = None
    """For an apply: the plan's file."""

    plan_header: PlanHeader | None = None
    """For an apply: the plan's header."""

    is_plan: bool = False
    """True: only look, decide and judge; the ledger is a copy that is thrown away."""

    shown_ledger: Path | None = None
    """For a plan: the ledger that was copied."""

    def __post_init__(self) -> None:
        """Begin without nights."""
        super().__post_init__()
        self._nights: dict[str, Night] = {}
        self._sha256 = ""
        self._keys: dict[str, KeyCounts] = {}
        self._left = LeftFiles(self.ledger.path, self.run_id)

    @property
    def decided(self) -> Decided:
        """The changes that it decided on."""
        return Decided(self.ledger, self.run_id)

    def surplus(self) -> dict[str, int]:
        """Return how many of our modules left the file and stay on the platform, by reason."""
        found = surplus_by_account(self.ledger, [part.name for part in self.parts])
        return dict(sum(map(Counter, found.values()), Counter()))

    @property
    def is_narrowed(self) -> bool:
        """Whether some products of the file are left out."""
        return bool(self.settings.only) or self.settings.limit is not None

    async def _read_and_send(self, keys: KeyRing) -> None:
        self.ledger.before_intake = lambda connection: note_first_good_input(
            connection, run_id=self.run_id, at=time.time()
        )
        self.ledger.check_intake = self._refuse_other_file
        self._sha256 = (await self._read_input()).sha256
        scope = Scope(self.settings, tuple(part.name for part in self.parts), self.options.prune_products)
        async with opened_looks(scope, self.ledger, self.parts, plan=self.plan_path) as looks, self._announced(looks):
            if looks:
                await self._all_nights(looks, keys)

    @asynccontextmanager
    async def _announced(self, looks: list[tuple[Part, LookReader]]) -> AsyncIterator[None]:
        if self.is_plan:
            self.listener(PlanStarted(sum(lanes.products for _, lanes in looks)))
            yield
            return
        async with self._start_announced(EVERYTHING):
            yield

    async def _all_nights(self, readers: list[tuple[Part, LookReader]], keys: KeyRing) -> None:
        states = await in_thread(self._states, [part.name for part, _ in readers])
        async with writing(self.ledger, run_id=self.run_id, stop=self.stop) as writer:
            for part, _ in readers:
                self._nights[part.name] = Night(account=part.name, terms=await in_thread(self._terms, part))

            async def through(number: int, session: Session, room: Room) -> None:
                part, lanes = readers[number]
                await self._nights[part.name].through(session, writer, lanes, room=room)

            parts = [part for part, _ in readers]
            for part in self.parts:
                if part not in parts and not self.is_narrowed:
                    forget_plans(writer, part.name, self.run_id)
                    amend_gone_products(writer, part.name, self.run_id, self.options)
            await in_all_sessions(self, parts, keys, through, writer=writer, states=states)

    def _states(self, accounts: list[str]) -> dict[str, Path]:
        """Return where the sandbox keeps its worlds: a plan creates none."""
        states = sandbox_states(self.shown_ledger or self.ledger.path, accounts)
        return {name: state for name, state in states.items() if not self.is_plan or state.exists()}

    def _terms(self, part: Part) -> NightTerms:
        products, all_stay = protection_of(self.ledger, part.name, self.product_map)
        return NightTerms(
            options=self.options,
            run_id=self.run_id,
            ledger=self.ledger.path,
            is_narrowed=self.is_narrowed,
            is_apply=self.plan_header is not None,
            is_plan=self.is_plan,
            keep_products=products,
            keeps_all=all_stay,
            keys=self._keys.get(part.name, KeyCounts()),
            input_name=self.input_name,
            input_sha256=self._sha256,
            flags=orjson.dumps(self.flags()).decode(),
        )

    def flags(self) -> dict[str, object]:
        """Return the options of the plan."""
        return {
            "prune": self.options.prune,
            "adopt": self.options.adopt,
            "prune_products": list(self.options.prune_products),
            "only": list(self.settings.only),
            "limit": self.settings.limit,
            "accounts": list(self.settings.only_accounts),
            "product_map": self.settings.product_map,
        }

    def _refuse_other_file(self, connection: sqlite3.Connection) -> None:
        self._keys = compare_keys(connection)
        keys, good, common = map(sum, zip(KeyCounts(), *self._keys.values(), strict=True))
        if reason := refuse_other_file(keys=keys, common=common, last_good_keys=good):
            raise InputError(f"{reason}; nothing was sent", file=self.input_name)

    def _conclude(self, done: Done) -> Summary:
        summary = conclude(self, done)
        waiting = {account: self.decided.withheld(account) for account in self._nights}
        withheld = {f"{kind}s": sum(of[f"{kind}s"] for of in waiting.values()) for kind in ChangeKind}
        surplus = sum(self.surplus().values())
        plan = self._write_plan() if sum(withheld.values()) and not self.is_plan else None
        changes = changes_of(self.parts)
        exit_code = self._exit_code(summary, withheld, changes)
        accounts = {
            name: replace(account, exit_code=code_of(account, part, self._nights.get(name), waiting.get(name, {})))
            for name, account in summary.accounts.items()
            for part in [next((part for part in self.parts if part.name == name), None)]
        }
        self._note_good({account for account, counts in waiting.items() if any(counts.values())})
        if (
            self.plan_header is not None
            and all(night.finished for night in self._nights.values())
            and not self.stop.requested
            and not any(withheld.values())
        ):
            self._finish(self.plan_header.plan_id)
        in_doubt = self.stop.requested or summary.outcomes[Outcome.UNKNOWN]
        undo = self._left.leave_undo() if changes["updated"] or changes["deleted"] or in_doubt else None
        of_nights = (note for night in self._nights.values() for note in night.notes)
        unknown = self.decided.unknown(self.options.prune_products)
        of_products = (f"--prune-product {key}: no input of this ledger has named this product" for key in unknown)
        notes = (*notes_of_input(self.plan_header, self._sha256), *of_products, *of_nights, *self._left.notes)
        return replace(
            summary,
            changes=changes,
            withheld=withheld,
            surplus=surplus,
            plan=plan,
            undo=undo,
            exit_code=exit_code,
            stopped=summary.stopped or (self.stop.reason if exit_code == self.stop.exit_code else None),
            accounts=accounts,
            figures=figures_by_account(
                self.ledger,
                self.parts,
                self._nights,
                {name: account.exit_code for name, account in accounts.items()} or {"": exit_code},
                is_narrowed=self.is_narrowed,
            ),
            notes=notes,
            to_accept=any(night.to_accept for night in self._nights.values()),
            reasons=self.ledger.reasons() if exit_code not in {ExitCode.DONE, ExitCode.CHANGED} else (),
        )

    def _exit_code(self, summary: Summary, withheld: Mapping[str, int], changes: Mapping[str, int]) -> int:
        stops = [stop.exit_code for stop in (self.stop, *(part.stop for part in self.parts)) if stop.exit_code]
        codes = [summary.exit_code] if summary.exit_code not in {ExitCode.DONE, ExitCode.INCOMPLETE} else []
        if not (self._read_in and all(night.finished for night in self._nights.values())):
            codes += stops
        if any(withheld.values()):
            codes.append(ExitCode.WITHHELD)
        if self._is_incomplete(summary):
            codes.append(ExitCode.INCOMPLETE)
        elif self.detailed_exit_code and any(changes.values()):
            codes.append(ExitCode.CHANGED)
        return gravest(*codes, ExitCode.DONE)

    def _is_incomplete(self, summary: Summary) -> bool:
        """Say whether a delete failed, or rows are not as wanted although their change does not wait."""
        left = sum(night.left + night.unlisted + len(night.not_restored) for night in self._nights.values())
        planned = self.decided.rows_to_change() if self.is_plan else 0
        return bool(left or unprovisioned(summary.outcomes) > planned)

    def _note_good(self, waiting: Collection[str]) -> None:
        """Note each account whose whole input succeeded: the next input is compared with it.

        For an apply, a person has only seen the input that the plan was made from. So only that input is approved, and
        only if all of it was looked at.
        """
        if self.is_plan or self.is_narrowed:
            return
        approved = self.plan_header is not None and self.plan_header.input_sha256 == self._sha256
        for name, night in self._nights.items():
            if night.finished and (approved or (self.plan_header is None and name not in waiting)):
                note_good_input(
                    self.ledger.connection,
                    self.ledger.path,
                    account=name,
                    run_id=self.run_id,
                    at=time.time(),
                    also_shorter=approved or night.lost is None,
                    also_others=approved or night.lost is not Withheld.OTHER_KEYS,
                )

    def _finish(self, plan_id: str) -> None:
        with translated(self.ledger.path):
            for name in self._nights:
                self.ledger.connection.execute(
                    query("note_applied"), (name, plan_id, iso_utc(time.time()), self.run_id, self.input_name)
                )

    def _write_plan(self) -> str | None:
        """Write what waits for a person. If the input can't be read again, a plan can't be applied."""
        if has_no_place(self.input_name):
            return None
        path = plan_path(self.ledger.path, self.run_id)
        return self._left.leave_plan(
            path, lambda path: write_plan(path, self.header(), self.decided.entries(only_withheld=True))
        )

    def header(self, *, ledger: Path | None = None) -> PlanHeader:
        """Return the first line of the plan's file."""
        product_map = self.settings.product_map
        with translated(self.ledger.path):
            first, last = self.ledger.connection.execute(query("first_and_last_run"), (self._own_run,)).fetchone()
        return PlanHeader(
            plan_id=self.run_id,
            ledger=str((ledger or self.ledger.path).resolve()),
            ledger_id=first,
            last_run=last,
            input=str(Path(self.input_name).resolve()),
            input_sha256=self._sha256,
            targets={account.name: str(account.target) for account in self.accounts},
            flags={**self.flags(), "product_map": product_map and str(Path(product_map).resolve())},
            made_at=iso_utc(time.time()),
        )

    @property
    def _own_run(self) -> str:
        """Return its run id if the ledger does not keep it: a plan's id is only in the copy."""
        return self.run_id if self.is_plan else ""
