"""Report what a run would do: read the input into a copy of the ledger, list, decide, and send no create."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from bulk.control.budget import decide
from bulk.engine.accounts import accounts_of
from bulk.engine.ingest import IngestStoppedError
from bulk.engine.job import Job, map_of, parts_of, spoken_target
from bulk.engine.lanes.selection import EVERYTHING, select
from bulk.engine.lanes.sending import opened_feeds, visit_all
from bulk.engine.planned import FullProduct, Plan, PlannedAccount, PlannedRow
from bulk.engine.sessions.connect import ledger_path, sandbox_states
from bulk.engine.sessions.keys import KeyRing, given_keys
from bulk.engine.stop import StopSignal
from bulk.engine.tally import EXAMPLES, Shown, Tally, seconds_of
from bulk.engine.threads import held, in_thread
from bulk.events import PlanStarted, ignore
from bulk.ledger.store import Ledger
from bulk.model import RESERVED_MODULE_NAME, ROW_OUTCOMES, TRIED_AGAIN_OUTCOMES, Failure, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.sessions.session import Session
    from bulk.events import Listener
    from bulk.ledger.views.reading import Result
    from bulk.model import Attempt, InputFound, Lane, Settlement
    from bulk.settings import Settings

__all__ = ["FullProduct", "Plan", "PlannedAccount", "PlannedRow", "plan"]

_SETTLED = tuple(outcome for outcome in ROW_OUTCOMES if outcome not in TRIED_AGAIN_OUTCOMES)


async def plan(
    input_name: str,
    settings: Settings,
    *,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    offline: bool = False,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Plan:
    """Read the input, list the products of its open rows, and say what a run would do. Nothing is changed.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: As for a run.
        credentials: Keys to sign listings with: one provider for all, or account → provider; default: as the settings
            say.
        offline: List nothing: every module that this ledger did not create counts as missing.
        listener: Receives what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used.
        InputError: The input can't be read.
        LedgerError: The ledger exists, and can't be read or belongs to another target.
        StoppedError: A stop was requested before the keys were available.
    """
    accounts = accounts_of(settings)
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    product_map = await map_of(settings, accounts)
    parts = parts_of(accounts, stop=stop, listener=listener)
    keys = None
    if not offline or credentials is not None:
        keys = KeyRing(given_keys(credentials, [part.name for part in parts]), listener=listener)
        await keys.open_only(parts)
    targets = {account.name: account.target for account in accounts}
    async with held(Ledger.scratch, path, targets=targets) as ledger:
        job = _Planning(
            input_name=input_name,
            settings=settings,
            accounts=accounts,
            product_map=product_map,
            ledger=ledger,
            listener=listener,
            stop=stop,
            parts=parts,
        )
        return await job.run(path, keys)


@dataclass
class _Planning(Job):
    """One plan."""

    def __post_init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        """Outcomes of rows that no listing can change, also of those that name no account."""

        self._tallies: dict[str, Tally] = {}
        self._shown = Shown()
        self._rows = 0
        self._selection = EVERYTHING
        self._found: InputFound | None = None

    async def run(self, path: Path, keys: KeyRing | None) -> Plan:
        with suppress(IngestStoppedError):
            self._found = await self.read_in()
            await in_thread(self._take_stock)
            if keys is None:
                await in_thread(self._judge_by_files)
            else:
                await self._ask(path, keys)
        return self._plan(path, offline=keys is None)

    def _take_stock(self) -> None:
        """Start with the rows that no listing can change."""
        outcomes = self.ledger.outcomes()
        by_account = {"": outcomes}
        if self.names_accounts:
            outcomes, by_account = self.ledger.counted()
        self._rows = sum(outcomes.values())
        self._selection = select(self.ledger, self.settings, [part.name for part in self.parts])
        self._tallies = {
            account.name: Tally(account, by_account.get(account.name, {}), _SETTLED, self._shown)
            for account in self.accounts
        }
        for outcome in _SETTLED:
            self._outcomes[outcome] = outcomes[outcome]
            for row in islice(self.ledger.rows((outcome,)), EXAMPLES):
                self._shown.add(_planned(row, outcome, already=outcome is Outcome.CREATED))

    def _judge_by_files(self) -> None:
        """Judge only products that ask for more than ten: every other open row would be created."""
        for part in self.parts:
            self._judge_account(self._tallies[part.name])
        self._show_first_creates()

    def _judge_account(self, tally: Tally) -> None:
        account = tally.account.name
        wanted = self._selection.of(account)
        open_rows = tally.rows - tally.settled.total() if wanted is None else sum(wanted.values())
        tally.requests["list"] = self.ledger.count_open_products(account=account) if wanted is None else len(wanted)
        for lane, made in self.ledger.crowded_lanes(account=account):
            if wanted is None or lane.product_key in wanted:
                tally.lose(lane, decide(lane.rows, (), held=made), taken_by=())
        tally.requests["create"] = open_rows - tally.found[Outcome.OVER_BUDGET]
        tally.found[Outcome.CREATED] += tally.requests["create"]

    def _show_first_creates(self) -> None:
        """Show the first rows that would be created; the few that get no slot are already known."""
        losing = {line for product in self._shown.full_products for line in product.lines}
        wanted = self._wanted_products()
        admitted = (
            row
            for row in self.ledger.rows(TRIED_AGAIN_OUTCOMES)
            if row.line not in losing and (wanted is None or row.product_key in wanted)
        )
        for row in islice(admitted, EXAMPLES):
            self._shown.add(_planned(row, Outcome.CREATED))

    def _wanted_products(self) -> set[str] | None:
        """Return the ProductKeys that are tried, of any account; ``None``: all."""
        if self._selection.products is None:
            return None
        return {key for products in self._selection.products.values() for key in products}

    async def _ask(self, path: Path, keys: KeyRing) -> None:
        states = await in_thread(_existing_states, path, [part.name for part in self.parts])
        async with opened_feeds(self, self._selection) as feeds:
            self.listener(PlanStarted(sum(feed.lanes.products for feed in feeds)))
            if feeds:
                await visit_all(self, feeds, keys, self._look, writer=_NoWriter(), states=states)
        for part in self.parts:
            self._tallies[part.name].stopped = part.stop.reason

    async def _look(self, lane: Lane, session: Session) -> None:
        listing = await session.calls.list_modules(lane.product_key)
        if listing is None or (isinstance(listing, Failure) and session.stop.requested):
            return
        tally = self._tallies[session.account]
        tally.requests["list"] += 1
        if isinstance(listing, Failure):
            message = f"its product could not be listed: {listing.code}, {listing.message}"
            for row in lane.rows:
                tally.count(row, Outcome.FAILED, message)
            return
        decision = decide(lane.rows, listing.modules)
        for verdict in decision.there:
            already = verdict.outcome is Outcome.CREATED
            tally.count(verdict.row, verdict.outcome, verdict.message, already=already)
        for row in decision.admitted:
            tally.count(row, Outcome.CREATED)
        tally.requests["create"] += len(decision.admitted)
        customs = sorted(module.module_name for module in listing.modules if module.key[1] != RESERVED_MODULE_NAME)
        tally.lose(lane, decision, taken_by=tuple(customs))

    def _plan(self, path: Path, *, offline: bool) -> Plan:
        accounts = {name: tally.planned() for name, tally in self._tallies.items()}
        outcomes = self._all_outcomes()
        requests = {kind: sum(account.requests[kind] for account in accounts.values()) for kind in ("list", "create")}
        seconds = self._seconds()
        return Plan(
            input=self.input_name,
            ledger=str(path),
            target=spoken_target(self.accounts),
            offline=offline,
            rows=self._rows,
            outcomes={outcome.value: outcomes[outcome] for outcome in ROW_OUTCOMES},
            requests=requests,
            seconds=seconds,
            would_create=requests["create"],
            already_created=outcomes[Outcome.CREATED] - requests["create"],
            outside=self._selection.outside,
            ends_at=_clock_time_in(seconds) if seconds else None,
            full_products=self._shown.full_products,
            examples=self._shown.examples,
            accounts=accounts if self.names_accounts else {},
            found=self._found,
            stopped=self.stop.reason or _first_stop(accounts),
        )

    def _all_outcomes(self) -> Counter[Outcome]:
        """Return the outcomes of all rows, also of those that name no account."""
        outcomes = self._outcomes.copy()
        for tally in self._tallies.values():
            outcomes += tally.found
        # Rows that were not judged, because they were excluded or the plan was stopped, stay as they are.
        outcomes[Outcome.PENDING] = self._rows - outcomes.total()
        return outcomes

    def _seconds(self) -> float:
        """Return how long a run takes: rate groups work in parallel, accounts of one group share its rates."""
        groups: dict[str, list[Tally]] = {}
        for tally in self._tallies.values():
            account = tally.account
            groups.setdefault(account.settings.rate_group or account.keys.uid or account.name, []).append(tally)
        return max(_seconds_of_group(group) for group in groups.values()) if groups else 0.0


def _seconds_of_group(tallies: list[Tally]) -> float:
    requests: Counter[str] = Counter()
    for tally in tallies:
        requests += tally.requests
    settings = tallies[0].account.settings
    return seconds_of(requests, qps=settings.qps, list_qps=settings.list_qps)


def _first_stop(accounts: Mapping[str, PlannedAccount]) -> str | None:
    return next((f"account {name}: {account.stopped}" for name, account in accounts.items() if account.stopped), None)


def _existing_states(ledger: Path, accounts: Iterable[str]) -> dict[str, Path]:
    """Return the sandbox's existing worlds: a plan creates none."""
    return {account: state for account, state in sandbox_states(ledger, accounts).items() if state.exists()}


def _planned(row: Result, outcome: Outcome, *, already: bool = False) -> PlannedRow:
    message = row.message if row.outcome == outcome else None
    account = row.account or None
    return PlannedRow(row.line, row.product_key, row.module_name, outcome, message, already=already, account=account)


def _clock_time_in(seconds: float) -> str:
    return (datetime.now().astimezone() + timedelta(seconds=seconds)).isoformat(timespec="seconds")


class _NoWriter:
    """Accepts what a plan would record, and drops it."""

    def settle(self, settlement: Settlement) -> None:
        """Drop it."""

    def note(self, attempt: Attempt) -> None:
        """Drop it."""

    def amend(self, statement: str, *parameters: object) -> None:
        """Drop it."""

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Refuse: a plan sends no create, and so claims nothing."""
        raise AssertionError(f"a plan claims nothing, not even {settlements!r}")
