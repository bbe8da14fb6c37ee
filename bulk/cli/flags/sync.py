"""The options of `bulk sync` and `bulk plan --sync`: what it may change, and how much without approval."""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, TypeVar

import click

from bulk.cli.help import GroupedOption
from bulk.control.guard import MAX_DELETES, MAX_UPDATES, Limit
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.engine.sync.options import SyncOptions

__all__ = ["SYNC_OPTIONS", "named", "sync_options", "sync_options_of"]

_Decorated = TypeVar("_Decorated", bound="Callable[..., object]")

_may = partial(click.option, cls=GroupedOption, heading="What a sync may do")

SYNC_OPTIONS = ("prune", "adopt", "max_updates", "max_deletes", "prune_products")
"""Parameters that only a sync has."""

_OPTIONS = (
    _may("--prune", is_flag=True, help="Also delete modules that this ledger made or adopted and INPUT no longer has."),
    _may(
        "--adopt",
        is_flag=True,
        help="Take over modules that are as INPUT wants them, so that a later --prune may delete them.",
    ),
    _may(
        "--max-updates",
        metavar="N|N%",
        help="Withhold all updates if there are more than this in 20 hours.  "
        f"[default: {MAX_UPDATES} of the modules ever asked for]",
    ),
    _may(
        "--max-deletes",
        metavar="N|N%",
        help="Withhold all deletes if there are more than this in 20 hours.  "
        f"[default: {MAX_DELETES} of the owned modules]",
    ),
    _may(
        "--prune-product",
        "prune_products",
        metavar="KEY",
        multiple=True,
        help="With --prune: also delete owned modules of this product, which no row names; may be repeated.",
    ),
)


def sync_options(command: _Decorated) -> _Decorated:
    """Let a command take the options that say what a sync may do."""
    decorated: _Decorated = reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
    return decorated


def sync_options_of(ctx: click.Context) -> SyncOptions:
    """Return what the command line allows a sync to do.

    Raises:
        SettingsError: A limit is neither a number nor a share.
    """
    from bulk.engine.sync.options import SyncOptions  # noqa: PLC0415 - `--help` need not wait for it

    values = {name: ctx.params[name] for name in SYNC_OPTIONS}
    limits = {"max_updates": MAX_UPDATES, "max_deletes": MAX_DELETES}
    try:
        for name, default in limits.items():
            values[name] = default if values[name] is None else Limit.parse(values[name], name)
        return SyncOptions(**values)
    except SettingsError as exc:
        raise named(ctx, exc) from exc


def named(ctx: click.Context, exc: SettingsError) -> SettingsError:
    """Return the error with flags of the command instead of fields."""
    flags = {parameter.name: max(parameter.opts, key=len) for parameter in ctx.command.params}
    return exc.by_names(lambda field: flags.get(field, field))
