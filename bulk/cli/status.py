"""`bulk status`: show how a ledger stands, also while a run is at work on it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.help import GroupedCommand
from bulk.cli.options import json_option
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width

if TYPE_CHECKING:
    from bulk.ledger.status import LedgerStatus

__all__ = ["status"]


@click.command(cls=GroupedCommand)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@json_option
def status(ledger: Path, *, as_json: bool) -> int:
    """Show how LEDGER stands: outcomes, reasons, its runs, and who is at work on it."""
    from bulk.ledger.status import read_status  # noqa: PLC0415 - `--help` need not wait for SQLite
    from bulk.report.standing import status_lines  # noqa: PLC0415 - as above

    read = read_status(ledger)
    if as_json:
        print_json(_status_object(read))
    else:
        print_lines(status_lines(read, width=screen_width(), paint=paint_for_stdout()))
    return 0


def _status_object(read: LedgerStatus) -> dict[str, object]:
    # The target is one string here, as it is in a run's summary.
    return asdict(read) | {"target": str(read.target)}
