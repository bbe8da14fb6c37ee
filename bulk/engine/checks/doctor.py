"""Check what a run would need, in the order in which it would need it. Nothing is changed anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.engine.accounts import accounts_of, refuse_double
from bulk.engine.checks.diagnosis import Check, Verdict, disk_check, folder_check
from bulk.engine.checks.platform import BY_LISTING, RateGroups, Tried, skipped, try_platform
from bulk.engine.checks.together import accounts_check, rate_groups_check
from bulk.errors import BulkError, LedgerError, SettingsError
from bulk.ledger.storage.folder import try_folder
from bulk.ledger.store import check_ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk.engine.accounts import Account
    from bulk.model import Target
    from bulk.settings import Settings

__all__ = ["Examination", "examine", "examine_accounts"]

_AT_ONCE = 16
"""Accounts that are checked in parallel: each has its own connections."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks of a job with accounts."""

    checks: tuple[Check, ...]
    """Checks of the job as a whole, in the order in which they were made."""

    accounts: Mapping[str, tuple[Check, ...]]
    """Name of each account that is tried → its checks, in the order of the settings."""

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """The checks of the job and of every account."""
        return (*self.checks, *(check for checks in self.accounts.values() for check in checks))


async def examine(settings: Settings, *, product_key: str | None = None) -> tuple[Check, ...]:
    """Check what a run with these settings, which name no accounts, would need.

    Args:
        settings: Where modules would go, how fast, and which ledger.
        product_key: The product whose modules are listed; ``None``: ``sample_product``, or a made-up one.

    Returns:
        The checks, in the order in which they were made.

    Raises:
        SettingsError: The faults of the sandbox can't be read.
    """
    target = None
    try:
        (account,) = accounts_of(settings)
    except BulkError as exc:
        platform = [Check("settings", Verdict.FAILED, str(exc)), *skipped("endpoint", "keys", *BY_LISTING)]
    else:
        target = account.target
        async with RateGroups() as groups:
            tried = await try_platform(account, product_key, groups=groups)
        platform = [_settings_check(account), *tried.checks]
    return *platform, *await asyncio.to_thread(_ledger, settings, {"": target} if target else None)


async def examine_accounts(settings: Settings, *, product_key: str | None = None) -> Examination:
    """Check what a run with these settings, which name accounts, would need: each account, and all together.

    Args:
        settings: As for `examine`.
        product_key: A product of the only account that is tried; ``None``: the ``sample_product`` of each account, or
            a made-up one.

    Raises:
        SettingsError: You named a product, and several accounts are tried; or the faults can't be read.
    """
    try:
        accounts = accounts_of(settings)
    except BulkError as exc:
        failed = Check("settings", Verdict.FAILED, str(exc))
        return Examination((failed, *await asyncio.to_thread(_ledger, settings, None)), {})
    tried = [account for account in accounts if account.is_tried]
    if product_key and len(tried) > 1:
        raise SettingsError("--product is a product of one account: add --account NAME, or write sample_product")
    found = await _tried(tried, product_key)
    targets = {account.name: account.target for account in accounts}
    return Examination(
        (
            Check("settings", Verdict.PASSED, _spoken_count(len(tried), len(accounts))),
            _together(found),
            rate_groups_check({name: one.opened.rate_group for name, one in found.items() if one.opened}, _uids(found)),
            *await asyncio.to_thread(_ledger, settings, targets),
        ),
        {name: one.checks for name, one in found.items()},
    )


async def _tried(accounts: Sequence[Account], product_key: str | None) -> dict[str, Tried]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def attempt(account: Account, groups: RateGroups) -> Tried:
        async with turns:
            tried = await try_platform(account, product_key, groups=groups)
            return tried._replace(checks=(_settings_check(account), *tried.checks))

    async with RateGroups() as groups, asyncio.TaskGroup() as group:
        tasks = {account.name: group.create_task(attempt(account, groups)) for account in accounts}
    return {name: task.result() for name, task in tasks.items()}


def _settings_check(account: Account) -> Check:
    return Check("settings", Verdict.PASSED, f"requests go to {account.target}")


def _together(found: Mapping[str, Tried]) -> Check:
    try:
        refuse_double(one.opened for one in found.values() if one.opened)
    except SettingsError as exc:
        return accounts_check(str(exc))
    return accounts_check(None)


def _uids(found: Mapping[str, Tried]) -> dict[str, str]:
    return {name: one.uid for name, one in found.items() if one.uid}


def _spoken_count(tried: int, known: int) -> str:
    accounts = f"{known} accounts" if known > 1 else "one account"
    return accounts if tried == known else f"{tried} of {accounts}, as --account says"


def _ledger(settings: Settings, targets: Mapping[str, Target] | None) -> list[Check]:
    if settings.ledger:
        try:
            check_ledger(Path(settings.ledger), targets=targets)
        except LedgerError as exc:
            return [Check("ledger", Verdict.FAILED, str(exc)), *skipped("disk")]
    folder = Path(settings.ledger or "any.ledger.db").absolute().parent
    try:
        trial = try_folder(folder)
    except LedgerError as exc:
        remedy = "Name a ledger in a folder that can be written with --ledger."
        return [
            Check("ledger", Verdict.FAILED, str(exc), remedy),
            Check("disk", Verdict.SKIPPED, "no folder to look at"),
        ]
    return [folder_check(folder, trial), disk_check(trial.free_bytes)]
