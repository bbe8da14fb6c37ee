"""`bulk fleet`: one input on many machines, each step a command of its own."""

from __future__ import annotations

from types import MappingProxyType

import click

from bulk.cli.help import LazyGroup

__all__ = ["FLEET_COMMANDS", "fleet"]

FLEET_COMMANDS = MappingProxyType(
    {
        "split": "Divide a file into shards, and put them into a store.",
        "work": "Work on one shard; your own scheduler starts it.",
        "run": "Work on all shards: by processes of this machine, or by Dask.",
        "status": "Show how far a fleet is; reads only its store.",
        "merge": "Merge all shards into one ledger, and prove that it is right.",
    }
)
"""Command → its line in the overview; the command ``name`` is in the module ``bulk.cli.commands.fleet.name``."""


@click.group(
    cls=LazyGroup,
    commands_by_name=FLEET_COMMANDS,
    modules="bulk.cli.commands.fleet.",
    epilog="How to run one: docs/fleet.md.",
)
def fleet() -> None:
    """Share one input among many machines, by a store: a folder or bucket that all of them reach.

    One process of bulk run can work on about 150 accounts. Use a fleet for more accounts, for several regions or
    outgoing addresses, and for machines that may disappear.
    """
