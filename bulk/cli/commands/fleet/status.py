"""`bulk fleet status`: show the state of a fleet, from its store alone."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from bulk.cli.flags.common import json_option
from bulk.cli.help import GroupedCommand
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.exits import ExitCode

__all__ = ["status"]


@click.command(cls=GroupedCommand)
@click.argument("url", metavar="URL")
@json_option
def status(url: str, *, as_json: bool) -> int:
    """Show how far the fleet in the store URL is: rows, rate, accounts, who has which shard, and what to do.

    Only the store is read, also while workers are at work: this machine needs no settings and no account's key.
    """
    # --help and a mistyped flag need not wait for the store's client.
    from bulk.fleet.standing import status as read_status  # noqa: PLC0415 - see above
    from bulk.fleet.store_url import open_store  # noqa: PLC0415 - see above

    found = asyncio.run(read_status(open_store(url), url=url))
    if as_json:
        print_json(asdict(found))
        return ExitCode.DONE
    from bulk.cli.screens.fleet_status import status_lines  # noqa: PLC0415 - see above

    print_lines(status_lines(found, width=screen_width(), paint=paint_for_stdout()))
    return ExitCode.DONE
