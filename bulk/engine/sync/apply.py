"""`bulk apply`: carry out the changes that a person approved in a plan."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk.engine.accounts import accounts_of
from bulk.engine.conclude import summary_json
from bulk.engine.preparing import Prepared
from bulk.engine.stop import StopSignal
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.plan_file import read_entries, read_header
from bulk.engine.sync.run import Sync
from bulk.engine.threads import in_thread
from bulk.errors import LedgerTargetError, SettingsError
from bulk.events import ignore
from bulk.ledger.planning import MAX_AGE_S
from bulk.ledger.sql import query
from bulk.ledger.storage.database import is_there, translated
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.sync.plan_file import PlanHeader
    from bulk.events import Listener
    from bulk.ledger.store import Ledger
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["MAX_AGE_S", "apply", "settings_for"]

_CLOCKS_DIFFER_S = 300.0
"""Largest difference between clocks: a plan may come from another machine. Above this, one of the clocks is wrong."""


async def apply(
    plan: Path,
    settings: Settings,
    *,
    max_age_s: float = MAX_AGE_S,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
    to_json: Callable[[Summary], bytes] = summary_json,
) -> Summary:
    """Read the input of a plan again, decide again, and carry out what the plan also lists; the rest is `moved`.

    Args:
        plan: The plan's file.
        settings: Settings of the sync that wrote it; the plan says which products are in scope.
        max_age_s: Greatest age of the plan, in seconds.
        credentials: As for `bulk.run`.
        listener: Receives what happens.
        stop: Ends it early when it is requested; the same call continues the work later.
        to_json: Encodes the summary for the ledger.

    Raises:
        SettingsError: The file is no plan, or the plan is too old or already finished; nothing was sent.
        LedgerTargetError: The plan is for another target or another ledger.
        InputError: As for `bulk.sync`.
        LedgerError: As for `bulk.sync`.
    """
    header = await in_thread(_checked_header, plan, max_age_s)
    settings = await in_thread(settings_for, header, settings)
    options = SyncOptions(
        prune=bool(header.flags.get("prune")),
        adopt=bool(header.flags.get("adopt")),
        prune_products=tuple(header.flags.get("prune_products") or ()),
    )
    _refuse_other_target(plan, header, accounts_of(settings))
    stop = stop or StopSignal()
    prepared = await Prepared.of(settings, credentials, listener=listener, stop=stop, syncs=True)
    async with prepared.ledger(Path(header.ledger), header.input) as ledger:
        await in_thread(_refuse_other_ledger, plan, header, ledger)
        job = Sync(
            input_name=header.input,
            settings=settings,
            accounts=prepared.accounts,
            product_map=prepared.product_map,
            ledger=ledger,
            listener=listener,
            stop=stop,
            parts=prepared.parts,
            syncs=True,
            command="apply",
            applied=header.plan_id,
            options=options,
            plan_path=plan,
            plan_header=header,
        )
        return await job.run(prepared.keys, to_json)


def settings_for(header: PlanHeader, settings: Settings) -> Settings:
    """Return the settings with the ledger and the scope that a plan names.

    Raises:
        LedgerTargetError: The settings name another ledger.
        SettingsError: The settings narrow the scope differently.
    """
    if settings.ledger is not None and os.path.realpath(settings.ledger) != header.ledger:
        raise LedgerTargetError(f"the plan is for the ledger {header.ledger}, not for {settings.ledger}: name that one")
    limit = header.flags.get("limit")
    scope: dict[str, Any] = {
        "only": tuple(header.flags.get("only") or ()),
        "limit": limit if isinstance(limit, int) else None,
        "only_accounts": tuple(header.flags.get("accounts") or ()),
    }
    for name, planned in scope.items():
        asked = getattr(settings, name)
        if asked and asked != planned:
            raise SettingsError(
                "{0}: the plan itself says what is in scope; to leave changes out, take their lines out", name
            )
    scope["product_map"] = header.flags.get("product_map", settings.product_map)
    return replace(settings, ledger=header.ledger, **scope)


def _checked_header(plan: Path, max_age_s: float) -> PlanHeader:
    header = read_header(plan)
    for account in header.targets:
        for _ in read_entries(plan, account):
            pass  # this refuses a line that is no change before anything is sent
    _refuse_age(plan, header, max_age_s)
    if header.ledger_id is not None and not is_there(Path(header.ledger)):
        raise LedgerTargetError(
            f"{plan}: its ledger {header.ledger} is not there: put it back. A new ledger owns nothing, and has no plan"
        )
    if not Path(header.input).is_file():
        raise SettingsError(f"{plan}: its input {header.input} is not there: put it back, or run the sync again")
    return header


def _refuse_age(plan: Path, header: PlanHeader, max_age_s: float) -> None:
    made_at = utc_seconds(header.made_at)
    age_s = None if made_at is None else time.time() - made_at
    if age_s is None or age_s < -_CLOCKS_DIFFER_S:
        raise SettingsError(
            f"{plan}: by this machine's clock the plan is from the future ({header.made_at}): set the clock right, or "
            "run the sync again"
        )
    if age_s > max_age_s:
        raise SettingsError(
            f"{plan}: the plan is {age_s / 3_600:.0f} hours old, and --max-age allows {max_age_s / 3_600:.0f}: "
            "run the sync again for a new one, or raise --max-age"
        )


def _refuse_other_target(plan: Path, header: PlanHeader, accounts: tuple[Account, ...]) -> None:
    now = {account.name: str(account.target) for account in accounts}
    for account, target in header.targets.items():
        if now.get(account) != target:
            named = f"account {account!r}" if account else "the account"
            raise LedgerTargetError(
                f"{plan}: the plan is for {target}, and the settings now send {named} to {now.get(account, 'nowhere')}"
            )


def _refuse_other_ledger(plan: Path, header: PlanHeader, ledger: Ledger) -> None:
    known = {"first": header.ledger_id, "last": header.last_run}
    with translated(ledger.path):
        is_same, has_run = ledger.connection.execute(query("is_of_ledger"), known).fetchone()
        (finished,) = ledger.connection.execute(query("is_finished_plan"), (header.plan_id,)).fetchone()
    if not is_same:
        raise LedgerTargetError(f"{plan}: {ledger.path} is not the ledger that the plan was made from")
    if not has_run:
        raise LedgerTargetError(
            f"{plan}: {ledger.path} is an older copy of the ledger that the plan was made from: run the sync again"
        )
    if not header.is_as_written:
        raise SettingsError(
            f"{plan}: its first line was edited. Changes may be taken out, line by line, but the first line says what "
            "the plan is about: run the sync again for a new one"
        )
    if finished:
        raise SettingsError(f"{plan}: the plan was applied completely already: run the sync again for a new one")
