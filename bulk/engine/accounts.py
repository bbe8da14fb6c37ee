"""Accounts of a job: what their names stand for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from bulk.cloud.dialects import resolve_target

if TYPE_CHECKING:
    from bulk.model import Target
    from bulk.settings import AccountSettings, Settings

__all__ = ["Account", "accounts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A name for one target and the keys that sign for it."""

    name: str
    """As rows and the ledger have it; empty: the job names no accounts."""

    settings: Settings
    """The job's, in which what the account says of itself stands in the place of the defaults."""

    target: Target


def accounts_of(settings: Settings) -> tuple[Account, ...]:
    """Return the accounts that a job may send to: one without a name, where the settings name none.

    Raises:
        SettingsError: An account's settings contradict each other, or `Settings.only_accounts` names one that is not
            there.
    """
    if not settings.accounts:
        return (Account(name="", settings=settings, target=resolve_target(settings)),)
    own = {name: _own_settings(settings, account) for name, account in settings.accounts.items()}
    return tuple(Account(name=name, settings=one, target=resolve_target(one)) for name, one in own.items())


def _own_settings(settings: Settings, account: AccountSettings) -> Settings:
    said = {field.name: value for field in fields(account) if (value := getattr(account, field.name)) is not None}
    if "endpoint" in said or "region" in said:
        said = {"endpoint": None, "region": None, **said}
    return replace(settings, accounts={}, only_accounts=(), **said)
