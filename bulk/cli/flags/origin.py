"""Where an option's value comes from: its flag, the environment, the settings file, or its default, in this order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from click.core import ParameterSource
from click.shell_completion import CompletionItem

from bulk.cli.output import tell
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from pathlib import Path

    import click

    from bulk.settings.account import AccountSettings
    from bulk.settings.file import FileSettings, FileValue

__all__ = [
    "BY_HAND",
    "SETTINGS_FILE",
    "SETTINGS_PROFILE",
    "accounts_in_file",
    "complete_profile",
    "file_values",
    "names_for_shell",
    "origin_of",
    "overruled",
    "read_settings_file",
    "values_without_flag",
]

SETTINGS_FILE = "settings_file"
SETTINGS_PROFILE = "settings_profile"

_PLACES = ("endpoint", "region", "sandbox")
_BY_WEIGHT = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
BY_HAND = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})
"""Origins that override the settings file."""

_FILE_SETTINGS = "bulk.cli.flags.origin.file_settings"


def read_settings_file(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Take options from the settings file if neither a flag nor the environment sets them.

    Click calls this for both options that choose the file and the profile, before all other options. The command line
    decides which of the two comes last.

    Raises:
        SettingsError: The file can't be read, has a mistake, or lacks the profile.
    """
    known = {**ctx.params, parameter.name: value}
    if not ctx.resilient_parsing and {SETTINGS_FILE, SETTINGS_PROFILE} <= known.keys():
        found = _read(known[SETTINGS_FILE], known[SETTINGS_PROFILE])
        ctx.meta[_FILE_SETTINGS] = found
        ctx.default_map = {option: each.value for option, each in found.values.items()}
    return value


def _read(named: str | None, profile: str | None) -> FileSettings:
    # `--help` need not wait for it.
    from bulk.settings.file import FileSettings, find_file, read_file, user_file  # noqa: PLC0415 - see above

    path = find_file(named, os.environ, on_hidden=tell)
    if path is not None:
        return read_file(path, profile)
    if profile:
        places = " nor ".join(str(place) for place in ("./bulk.toml", user_file(os.environ)) if place)
        raise SettingsError(f"profile {profile!r} needs a settings file, and there is none: neither {places}")
    return FileSettings()


def complete_profile(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles of the settings file to a shell."""
    from bulk.settings.file import profile_names  # noqa: PLC0415 - as above

    return names_for_shell(ctx, profile_names, incomplete)


def names_for_shell(
    ctx: click.Context, names_of: Callable[[Path], Iterable[str]], incomplete: str, *, named: Container[str] = ()
) -> list[CompletionItem]:
    """Offer names of the settings file to a shell.

    Args:
        ctx: Says which file is meant.
        names_of: Gives the names of a file.
        incomplete: The part of a name that is typed.
        named: Names already on the command line.
    """
    from bulk.settings.file import find_file  # noqa: PLC0415 - as above

    path = find_file(ctx.params.get(SETTINGS_FILE), os.environ)
    try:
        names = names_of(path) if path else ()
    except SettingsError:
        return []  # a prompt is no place for a message; the command will report it
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and name not in named]


def file_values(ctx: click.Context) -> Mapping[str, FileValue]:
    """Return the settings file's values, by the names of commands' parameters."""
    found: FileSettings | None = ctx.meta.get(_FILE_SETTINGS)
    return found.values if found else {}


def accounts_in_file(ctx: click.Context) -> Mapping[str, AccountSettings]:
    """Return the settings file's accounts, by name."""
    found: FileSettings | None = ctx.meta.get(_FILE_SETTINGS)
    return found.accounts if found else {}


def values_without_flag(ctx: click.Context) -> Mapping[str, FileValue]:
    """Return the values that only the settings file can give, by fields of `Settings`."""
    from bulk.settings.keys import KEYS  # noqa: PLC0415 - `--help` need not wait for it

    values = file_values(ctx)
    alone = {key.option for key in KEYS.values() if not key.has_flag}
    # A flag says where the keys are, and it overrides what the file says of that.
    passed_over = {"key_env"} if ctx.get_parameter_source("profile") in BY_HAND else set()
    return {option: values[option] for option in values.keys() & alone - passed_over}


def origin_of(ctx: click.Context, parameter: click.Parameter) -> str:
    """Say in words where an option's value comes from."""
    match ctx.get_parameter_source(parameter.name or ""):
        case ParameterSource.COMMANDLINE:
            return f"flag {max(parameter.opts, key=len)}"
        case ParameterSource.ENVIRONMENT:
            return f"environment {parameter.envvar}"
        case ParameterSource.DEFAULT_MAP:
            return file_values(ctx)[parameter.name or ""].origin
        case _:
            return "default"


def overruled(ctx: click.Context) -> frozenset[str]:
    """Return the options that choose a platform but are overridden by another of them: a flag overrides the file."""
    named = {place: ctx.get_parameter_source(place) for place in _PLACES if ctx.params.get(place)}
    heaviest = next((source for source in _BY_WEIGHT if source in named.values()), None)
    return frozenset(place for place, source in named.items() if source is not heaviest)
