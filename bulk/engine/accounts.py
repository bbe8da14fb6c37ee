"""Accounts of a job: what their names mean, where their keys are, and which accounts can't be in one job."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from bulk.cloud.dialects import resolve_target
from bulk.cloud.keys.credentials import variables_of
from bulk.cloud.keys.sources import KeysSource, default_rate_group, open_credentials, token_endpoint
from bulk.errors import SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, ignore
from bulk.model import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.cloud.keys.credentials import AccountCredentials
    from bulk.events import Event, Listener
    from bulk.model import Target
    from bulk.settings import Settings
    from bulk.settings.account import AccountSettings

__all__ = ["Account", "OpenedAccount", "accounts_of", "keys_source", "open_account_keys", "refuse_double"]

_ONE_OF = (("endpoint", "region"), ("profile", "key_env"))
"""Pairs of fields. An account that sets one of a pair does not take the other one from the defaults."""

_SHOWN_OF_A_KEY = 4

_BY_KEY = {
    "--endpoint": "endpoint",
    "--region": "region",
    "--dialect": "dialect",
    "--instance-id": "instance_id",
    "--profile": "credentials_profile",
    "profile": "credentials_profile",
}
"""What a setting is called elsewhere → its key in an account's table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A name for one target and the keys that sign for it."""

    name: str
    """As rows and the ledger have it; empty: the job names no accounts."""

    settings: Settings
    """The job's settings. What the account sets itself replaces the defaults."""

    target: Target
    keys: KeysSource
    is_tried: bool = True
    """False: ``--account`` excludes it. Its rows stay as they are, and nothing is opened for it."""

    place: str | None = None
    """Where its settings are written, for messages; ``None``: a program passed them."""

    prefixes: frozenset[str] = frozenset()
    """``key_env`` of all accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAccount:
    """An account whose keys were found."""

    account: Account
    credentials: AccountCredentials
    rate_group: str
    """Accounts with the same one share the platform's rates, also across processes. Holds no secret."""

    @property
    def shown_rate_group(self) -> str:
        """The rate group as messages show it: only the beginning of a key's id."""
        is_key = self.rate_group == self.credentials.long_lived_key_id
        return f"of the key {self.rate_group[:_SHOWN_OF_A_KEY]}…" if is_key else repr(self.rate_group)


def accounts_of(settings: Settings) -> tuple[Account, ...]:
    """Return all accounts of the settings, also those that are not tried; one without a name if they name none.

    Raises:
        SettingsError: An account has no platform, its settings contradict each other, or two accounts are one; the
            message names the account and its place.
    """
    if not settings.accounts:
        return (Account(name="", settings=settings, target=resolve_target(settings), keys=keys_source(settings)),)
    tried = frozenset(settings.only_accounts or settings.accounts)
    accounts = tuple(_account(settings, name, is_tried=name in tried) for name in settings.accounts)
    _refuse_same_words(accounts)
    prefixes = frozenset(account.keys.key_env for account in accounts if account.keys.key_env)
    return tuple(replace(account, prefixes=prefixes) for account in accounts)


def keys_source(settings: Settings, *, named_by: str = "--profile") -> KeysSource:
    """Return where settings say that keys are.

    Args:
        settings: Of a job without accounts, or of one account.
        named_by: What messages call the setting that names the profile.

    Raises:
        SettingsError: The settings contradict each other.
    """
    return KeysSource(
        profile=settings.profile,
        key_env=settings.key_env,
        role_arn=settings.role_arn,
        external_id=settings.external_id,
        sts_endpoint=settings.sts_endpoint,
        profile_named_by=named_by,
    )


async def open_account_keys(
    account: Account, *, listener: Listener = ignore, environ: Mapping[str, str] = os.environ
) -> OpenedAccount:
    """Find the keys of one account; temporary ones are renewed from then on.

    Args:
        account: Of a job that is no rehearsal.
        listener: Receives where the keys are from, and when they can't be renewed, with the account's name.
        environ: ``os.environ``, or what replaces it.

    Raises:
        SettingsError: There are no keys; the message says where they were looked for, and does not name the account.
        KeysUnavailableError: There are no keys, and a source that is set up did not answer.
    """

    def listen(event: Event) -> None:
        if isinstance(event, CredentialsFound | CredentialsNotRenewed):
            event = replace(event, account=account.name)
        listener(event)

    credentials = await open_credentials(
        account.keys,
        environ=_own_variables(account, environ),
        insecure_http=account.settings.insecure_http,
        listener=listen,
    )
    # Temporary keys have another id each time, but their source keeps its name.
    group = account.settings.rate_group or default_rate_group(account.keys, credentials) or credentials.source
    return OpenedAccount(account=account, credentials=credentials, rate_group=group)


def refuse_double(opened: Iterable[OpenedAccount]) -> None:
    """Refuse accounts that can't be in one job. Call this with all of them, before the first request.

    Raises:
        SettingsError: Two accounts have the same endpoint, instance and key, or two accounts of one rate group have
            different rates.
    """
    by_key: dict[tuple[Target, str], Account] = {}
    by_group: dict[str, Account] = {}
    for one in opened:
        account = one.account
        key = account.keys.role_arn or one.credentials.long_lived_key_id or one.credentials.source
        _refuse_two_names(by_key.setdefault((account.target, key), account), account)
        _refuse_two_rates(by_group.setdefault(one.rate_group, account), account, one.shown_rate_group)


def _own_variables(account: Account, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Hide other accounts' keys if this account has none: a message must not advise you to use them."""
    if not account.keys.key_env or all(name in environ for name in variables_of(account.keys.key_env)[:2]):
        return environ
    others = {name for prefix in account.prefixes - {account.keys.key_env} for name in variables_of(prefix)}
    return {name: value for name, value in environ.items() if name not in others}


def _account(settings: Settings, name: str, *, is_tried: bool) -> Account:
    said = settings.accounts[name]
    try:
        own = _own_settings(settings, said)
        target = _own_target(own, name)
        keys = keys_source(own, named_by="credentials_profile")
        token_endpoint(keys, {}, insecure_http=own.insecure_http)
    except SettingsError as exc:
        raise SettingsError(f"{_placed(name, said)}: {exc.by_names(lambda field: _BY_KEY.get(field, field))}") from exc
    return Account(name=name, settings=own, target=target, keys=keys, is_tried=is_tried, place=said.place)


def _own_settings(settings: Settings, account: AccountSettings) -> Settings:
    names = [field.name for field in fields(account) if field.name != "place"]
    said = {name: value for name in names if (value := getattr(account, name)) is not None}
    for group in _ONE_OF:
        if any(name in said for name in group):
            said = dict.fromkeys(group) | said
    if settings.external_id and (settings.role_arn or account.role_arn):
        # One of the defaults is for those that have a role.
        said = {"external_id": settings.external_id} | said
    defaults = replace(settings, accounts={}, only_accounts=(), external_id=None)
    own = _rehearsed(defaults, said) if settings.sandbox else replace(defaults, **said)
    if not (own.sandbox or own.endpoint or own.region):
        raise SettingsError("it names no platform: give it {0} or {1}", "endpoint", "region")
    if own.instance_id and not account.instance_id and _dialect_of(own) is Dialect.TUYA:
        raise SettingsError(
            "{0} at the top of the settings is Alibaba's IotInstanceId, and this account is Tuya's: move it to the "
            "accounts that have one",
            "instance_id",
        )
    return own


def _rehearsed(defaults: Settings, said: dict[str, Any]) -> Settings:
    """Return an account's settings for a rehearsal. Its requests have the form that its own platform expects."""
    place = {name: said.pop(name, None) for name in ("endpoint", "region")}
    own = replace(defaults, **said)
    if not any(place.values()):
        return own
    real = replace(own, sandbox=False, sandbox_faults=None, sandbox_seed=None, **place)
    return replace(own, dialect=_dialect_of(real))


def _dialect_of(own: Settings) -> Dialect:
    return resolve_target(replace(own, instance_id=None)).dialect


def _own_target(own: Settings, name: str) -> Target:
    target = resolve_target(own)
    # In a rehearsal each account has its own world, as it otherwise has its own platform.
    return replace(target, endpoint=f"{target.endpoint}/{name}") if own.sandbox else target


def _refuse_same_words(accounts: Iterable[Account]) -> None:
    """Refuse what can be seen before any key is opened."""
    by_words: dict[tuple[Target, KeysSource], Account] = {}
    by_group: dict[str, Account] = {}
    for account in accounts:
        _refuse_two_names(by_words.setdefault((account.target, account.keys), account), account)
        if group := account.settings.rate_group or account.keys.uid:
            _refuse_two_rates(by_group.setdefault(group, account), account, repr(group))


def _refuse_two_names(first: Account, second: Account) -> None:
    if first is not second:
        raise SettingsError(
            f"{_at(second)}accounts {first.name!r} and {second.name!r} are the same: same endpoint, instance and key "
            f"({second.target}); remove one of them, and name the other in its rows"
        )


def _refuse_two_rates(first: Account, second: Account, group: str) -> None:
    rates = [(one.settings.qps, one.settings.list_qps) for one in (first, second)]
    if rates[0] != rates[1]:
        shown = " and ".join(f"qps = {qps:g}, list_qps = {list_qps:g}" for qps, list_qps in rates)
        raise SettingsError(
            f"{_at(second)}accounts {first.name!r} and {second.name!r} share the rate group {group} and have "
            f"different rates ({shown}): give both the same, or write a rate_group of its own for each if they are two "
            "accounts"
        )


def _at(account: Account) -> str:
    return f"{account.place}: " if account.place else ""


def _placed(name: str, account: AccountSettings) -> str:
    return f"{account.place}, account {name!r}" if account.place else f"account {name!r}"
