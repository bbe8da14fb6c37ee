"""Accounts as `bulk settings` shows them: what is in effect for each, where it comes from, and which key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bulk.cli.flags.origin import accounts_in_file, file_values, origin_of
from bulk.errors import BulkError
from bulk.events import CredentialsFound
from bulk.redaction import shown_address
from bulk.settings.keys import ACCOUNT_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click

    from bulk.engine.accounts import Account
    from bulk.events import Event
    from bulk.settings import Settings

__all__ = ["KEY", "SHOWN_OF_A_KEY", "Shown", "account_rows", "accounts_shown"]

KEY = "access_key_id"
SHOWN_OF_A_KEY = 4
_NONE = "none: "
_AT_ONCE = 16
_ADDRESSES = ("endpoint", "sts_endpoint")


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as it is in effect."""

    name: str
    value: object
    origin: str


def accounts_shown(ctx: click.Context, told: Settings) -> dict[str, list[Shown]]:
    """Return what is in effect for each account that ``--account`` selects, and its key.

    Args:
        ctx: Context of a command with ``settings_options``.
        told: The settings from ``settings_of(ctx)``.

    Raises:
        SettingsError: An account's settings contradict each other.
    """
    # --help need not wait for the HTTP client that the engine loads.
    from bulk.engine.accounts import accounts_of  # noqa: PLC0415 - see above

    tried = [account for account in accounts_of(told) if account.is_tried]
    keys = asyncio.run(_keys(tried))
    return {account.name: [*_in_effect(ctx, account), keys[account.name]] for account in tried}


def account_rows(ctx: click.Context, accounts: Mapping[str, list[Shown]]) -> list[Shown]:
    """Return the screen's rows: for a single account all its settings, for several accounts one row each."""
    if len(accounts) == 1:
        ((name, rows),) = accounts.items()
        return [
            Shown(f"{name}.{row.name}", row.value, row.origin)
            for row in rows
            if row.value is not None or row.name == KEY
        ]
    return [_row(ctx, name, rows) for name, rows in accounts.items()]


def _row(ctx: click.Context, name: str, rows: Iterable[Shown]) -> Shown:
    place = _origin(ctx, name)
    own = ", ".join(f"{row.name}={_plain(row)}" for row in rows if row.origin == place and row.value is not None)
    key = next(row for row in rows if row.name == KEY)
    why_none = key.origin.splitlines()[0].removeprefix(_NONE)
    is_missing = key.origin.startswith(_NONE)
    found = f"key {key.value} from {key.origin}" if key.value else f"{'no ' if is_missing else ''}key: {why_none}"
    return Shown(f"account {name}", own or None, f"{accounts_in_file(ctx)[name].place}; {found}")


def _plain(row: Shown) -> str:
    return f"{row.value:g}" if isinstance(row.value, float) else str(row.value)


def _in_effect(ctx: click.Context, account: Account) -> list[Shown]:
    said = account.settings
    return [
        Shown(key, _value(known.option, getattr(said, known.option)), _origin_of(ctx, account.name, known.option))
        for key, known in ACCOUNT_KEYS.items()
    ]


def _value(option: str, value: object) -> object:
    if option in _ADDRESSES and isinstance(value, str):
        return shown_address(value)
    return value if isinstance(value, float | None) else str(value)


def _origin_of(ctx: click.Context, name: str, option: str) -> str:
    by_hand = next((parameter for parameter in ctx.command.params if parameter.name == option), None)
    default = origin_of(ctx, by_hand) if by_hand else _in_file(ctx, option)
    if default.startswith(("flag", "environment")):
        return default
    is_own = getattr(accounts_in_file(ctx)[name], option) is not None
    return _origin(ctx, name) if is_own else default


def _in_file(ctx: click.Context, option: str) -> str:
    found = file_values(ctx).get(option)
    return found.origin if found else "default"


def _origin(ctx: click.Context, name: str) -> str:
    place = (accounts_in_file(ctx)[name].place or "").partition(", line ")[0]
    return f"account {name!r} of {place}"


async def _keys(accounts: Iterable[Account]) -> dict[str, Shown]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def find(account: Account) -> Shown:
        async with turns:
            return await _key(account)

    async with asyncio.TaskGroup() as group:
        tasks = {account.name: group.create_task(find(account)) for account in accounts}
    return {name: task.result() for name, task in tasks.items()}


async def _key(account: Account) -> Shown:
    if account.settings.sandbox:
        return Shown(KEY, None, "the sandbox's own")
    from bulk.engine.accounts import open_account_keys  # noqa: PLC0415 - see above

    origins: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, CredentialsFound):
            origins.append(event.source)

    # Show the keys that exist already: only a run assumes a role.
    keys = replace(account.keys, role_arn=None, external_id=None)
    try:
        opened = await open_account_keys(replace(account, keys=keys), listener=listen)
        key_id = (await opened.credentials.current()).access_key_id
    except BulkError as exc:
        return Shown(KEY, None, f"{_NONE}{exc}")
    return Shown(KEY, f"{key_id[:SHOWN_OF_A_KEY]}…", origins[-1])
