"""Build the settings from a command line, its environment and the settings file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bulk.cli.flags.accounts import accounts_of_command
from bulk.cli.flags.origin import overruled, values_without_flag
from bulk.errors import SettingsError
from bulk.settings import ReadSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

__all__ = ["read_settings_of", "settings_of"]


def settings_of(ctx: click.Context) -> Settings:
    """Return the settings that a command line, its environment and the settings file give together.

    Raises:
        SettingsError: A value is out of bounds, or two exclude each other.
    """
    values = {name: value for name, value in ctx.params.items() if name not in overruled(ctx)}
    values |= {name: found.value for name, found in values_without_flag(ctx).items()}
    values["accounts"] = accounts_of_command(ctx)
    with _named_as_flags(ctx):
        return Settings(read=ReadSettings(**_picked(ReadSettings, values)), **_picked(Settings, values))


def read_settings_of(ctx: click.Context) -> ReadSettings:
    """Return how an input is read, as ``settings_of`` does.

    Raises:
        SettingsError: A value is out of bounds.
    """
    with _named_as_flags(ctx):
        return ReadSettings(**_picked(ReadSettings, ctx.params))


@contextmanager
def _named_as_flags(ctx: click.Context) -> Iterator[None]:
    """Name a setting by its flag in the message of an error about it."""
    try:
        yield
    except SettingsError as exc:
        flags = {parameter.name: max(parameter.opts, key=len) for parameter in ctx.command.params}
        raise exc.by_names(lambda field: flags.get(field, field)) from exc


def _picked(settings: type[Settings | ReadSettings], values: dict[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(settings) if field.name in values}
