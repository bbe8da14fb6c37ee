"""Accounts of the settings file: which ones a command line chooses, and which flags can't be combined with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from click.core import ParameterSource

from bulk.cli.flags.origin import BY_HAND, accounts_in_file, names_for_shell, origin_of, overruled
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click
    from click.shell_completion import CompletionItem

    from bulk.settings.account import AccountSettings

__all__ = ["accounts_of_command", "complete_account"]

_OF_ONE_ACCOUNT = ("endpoint", "region", "instance_id", "profile")
_OF_EACH = ("qps", "list_qps")


def accounts_of_command(ctx: click.Context) -> Mapping[str, AccountSettings]:
    """Return the accounts that a command works with: those of the settings file, unless flags override them.

    Raises:
        SettingsError: A flag or a variable sets a value for all accounts that only one of them can have.
    """
    accounts = accounts_in_file(ctx)
    if accounts:
        _refuse_flags_of_one(ctx, accounts)
        _refuse_other_dialect(ctx, accounts)
    said = {name: None for name in _OF_EACH if ctx.get_parameter_source(name) in BY_HAND}
    return {name: replace(account, **said) for name, account in accounts.items()} if said else accounts


def complete_account(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the accounts of the settings file to a shell, without those already named."""
    from bulk.settings.file import account_names  # noqa: PLC0415 - `--help` need not wait for it

    return names_for_shell(ctx, account_names, incomplete, named=ctx.params.get("only_accounts") or ())


def _refuse_flags_of_one(ctx: click.Context, accounts: Mapping[str, AccountSettings]) -> None:
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = name in _OF_ONE_ACCOUNT and ctx.get_parameter_source(name) in BY_HAND and name not in overruled(ctx)
        if given and ctx.params.get(name) is not None:
            key = "credentials_profile" if name == "profile" else name
            raise SettingsError(
                f"{_given(ctx, parameter)} is for a run without accounts, and {_there_are(accounts)}: "
                f"{_leave_out(ctx, parameter)}, and write {key} below [accounts.NAME]"
            )


def _refuse_other_dialect(ctx: click.Context, accounts: Mapping[str, AccountSettings]) -> None:
    """Refuse to send requests in another account's dialect: the platform would report wrong keys."""
    if ctx.get_parameter_source("dialect") not in BY_HAND:
        return
    parameter = next(each for each in ctx.command.params if each.name == "dialect")
    for name, account in accounts.items():
        if account.dialect and account.dialect is not ctx.params["dialect"]:
            raise SettingsError(
                f"{_given(ctx, parameter)} contradicts account {name!r}, whose dialect is {account.dialect}: "
                f"{_leave_out(ctx, parameter)}"
            )


def _given(ctx: click.Context, parameter: click.Parameter) -> str:
    return origin_of(ctx, parameter).removeprefix("flag ").removeprefix("environment ")


def _leave_out(ctx: click.Context, parameter: click.Parameter) -> str:
    is_flag = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    return "leave it out" if is_flag else f"unset {parameter.envvar}"


def _there_are(accounts: Mapping[str, AccountSettings]) -> str:
    place = (next(iter(accounts.values())).place or "the settings file").partition(", line ")[0]
    count = len(accounts)
    return f"{place} has {'one' if count == 1 else count}"
