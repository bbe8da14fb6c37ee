"""`bulk settings`: show each setting, and where it comes from."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, json_option, log_options, metrics_option, settings_options
from bulk.cli.flags.origin import SETTINGS_FILE, SETTINGS_PROFILE, origin_of, overruled, values_without_flag
from bulk.cli.help import GroupedCommand
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.screens.accounts import KEY, SHOWN_OF_A_KEY, Shown, account_rows, accounts_shown
from bulk.errors import BulkError
from bulk.exits import ExitCode
from bulk.redaction import MASK, shown_address
from bulk.report.tones import Tone
from bulk.settings.keys import ACCOUNT_KEYS, KEYS

if TYPE_CHECKING:
    from bulk.events import Event
    from bulk.settings import Settings

__all__ = ["settings"]

_ADDRESSES = frozenset({"endpoint", "sts_endpoint"})
_NOT_SETTINGS = frozenset(
    {"as_json", "help", "limit", "only", "only_accounts", "product_map", SETTINGS_FILE, SETTINGS_PROFILE}
)


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    A settings file, bulk.toml:
      concurrency = 50                    # at its top: for every run
      [profiles.night]                    # bulk run FILE --settings-profile night
      region = "cn-shanghai"
      instance_id = "iot-0123abcd"
      qps = 8
      deadline = "3h"
      columns = { ProductKey = "pk", Desc = "note" }
      [accounts.factory]                  # for rows with Account factory
      region = "cn-beijing"
      key_env = "FACTORY"                 # from FACTORY_ACCESS_KEY_ID, …

    An account can have: ACCOUNT_KEYS. What it leaves out is taken from the profile, or from the file's top. If there
    are accounts, --endpoint, --region, --instance-id and --profile are refused.

    Settings are named as the flags are, with _ for -; --map is called columns. Only one file is read: ./bulk.toml
    replaces the user's own file. Secrets are refused.
    """.replace("ACCOUNT_KEYS", ", ".join(ACCOUNT_KEYS)),
)
@settings_options
@json_option
@log_options
@metrics_option
@click.pass_context
def settings(ctx: click.Context, /, *, as_json: bool, **_settings: object) -> int:
    """Show each setting that a run would have here, and where it comes from.

    A flag overrides the environment, the environment overrides the chosen profile of the settings file, and the profile
    overrides the file's top. No secret is shown, only the first characters of the key's id.
    """
    told, shown = settings_of(ctx), _settings_shown(ctx)
    accounts = accounts_shown(ctx, told) if told.accounts else {}
    if not accounts:
        shown.append(_key(told))
    if as_json:
        of_accounts = {"accounts": {name: _object(rows) for name, rows in accounts.items()}} if accounts else {}
        print_json({**_object(shown), **of_accounts})
    else:
        print_lines(_lines([*shown, *account_rows(ctx, accounts)]))
    return ExitCode.DONE


def _object(shown: list[Shown]) -> dict[str, dict[str, object]]:
    return {each.name: {"value": each.value, "origin": each.origin} for each in shown}


def _settings_shown(ctx: click.Context) -> list[Shown]:
    passed_over = overruled(ctx)
    found = values_without_flag(ctx)
    of_file_alone = [
        Shown(key, _plain(known.option, value.value), value.origin)
        if (value := found.get(known.option))
        else Shown(key, None, "default")
        for key, known in KEYS.items()
        if not known.has_flag
    ]
    with_flag = [
        Shown(_name(parameter), _plain(name, ctx.params.get(name)), origin_of(ctx, parameter))
        for parameter in ctx.command.params
        if (name := parameter.name or "") not in _NOT_SETTINGS | passed_over
    ]
    return with_flag + of_file_alone


def _name(parameter: click.Parameter) -> str:
    """Return the parameter's name as a settings file spells it, or would spell it."""
    of_file = (key for key, known in KEYS.items() if known.option == parameter.name)
    return next(of_file, max(parameter.opts, key=len)[2:].replace("-", "_"))


def _plain(name: str, value: object) -> object:
    """Return a value that JSON can hold, without any secret in a URL."""
    if name in _ADDRESSES and isinstance(value, str):
        return shown_address(value)
    if isinstance(value, str):
        return re.sub(r"(?<=//)[^/@]*@", f"{MASK}@", value)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | dict | None) else str(value)


def _key(told: Settings) -> Shown:
    # --help need not wait for the HTTP client that the engine loads.
    from bulk.engine.sessions.connect import credentials_for  # noqa: PLC0415 - see above
    from bulk.events import CredentialsFound  # noqa: PLC0415 - see above

    origins = ["the sandbox's own"]

    def listen(event: Event) -> None:
        if isinstance(event, CredentialsFound):
            origins.append(event.source)

    async def find() -> str:
        provider = await credentials_for(told, listener=listen)
        return (await provider.current()).access_key_id

    try:
        key_id = asyncio.run(find())
    except BulkError as exc:
        return Shown(KEY, None, f"none: {exc}")
    return Shown(KEY, f"{key_id[:SHOWN_OF_A_KEY]}…", origins[-1])


def _lines(shown: list[Shown]) -> list[str]:
    paint, width = paint_for_stdout(), screen_width()
    names = max(len(each.name) for each in shown)
    values = min(max(len(_spelled(each.value)) for each in shown), width // 3)
    lines = []
    for each in shown:
        line = f"{each.name:<{names}}  {_spelled(each.value):<{values}}  {each.origin}"
        # Values that you chose must be easy to tell from defaults.
        lines.append(line if each.origin == "default" else paint(line, Tone.HEADING))
    return lines


def _spelled(value: object) -> str:
    if value is None or value in ({}, []):
        return "-"
    if isinstance(value, list):
        return ", ".join(map(repr, value))
    if isinstance(value, dict):
        return ", ".join(f"{field}={column}" for field, column in value.items())
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
