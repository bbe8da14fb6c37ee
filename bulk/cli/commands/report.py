"""`bulk report`: write the page for the person who reads it in the morning."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.destinations import STDOUT, check_destinations
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import closed_pipe_is_fine, tell
from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation

__all__ = ["report"]


@click.command(cls=GroupedCommand)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    cls=GroupedOption,
    heading="Where it goes",
    help="Write to this file; - is stdout.  [default: LEDGER.html]",
)
@click.pass_context
def report(ctx: click.Context, /, ledger: Path, *, output: Path | None) -> int:
    """Write one page of HTML about LEDGER: outcomes, charts, reasons, the rows not provisioned, its runs.

    The page needs no network, reads well on a phone and can be printed. You can also write it while a run is at work on
    the ledger.
    """
    # `--help` need not wait for SQLite and the template engine.
    from bulk.report.html.content import read_content  # noqa: PLC0415 - see above
    from bulk.report.html.page import render  # noqa: PLC0415 - see above

    check_destinations({"-o": output}, ledger=ledger)
    invocation: Invocation = ctx.obj
    content = read_content(ledger)
    page = render(content, written_at=datetime.now(UTC), program=invocation.program).encode("utf-8", "replace")
    if output == STDOUT:
        with closed_pipe_is_fine():
            sys.stdout.buffer.write(page)
        return ExitCode.DONE
    path = output or ledger.with_name(f"{ledger.name}.html")
    _write(path, page)
    tell(f"The report is in {path}")
    return ExitCode.DONE


def _write(path: Path, page: bytes) -> None:
    from bulk.atomic import replaced  # noqa: PLC0415 - as in report()

    try:
        with replaced(path) as out:
            out.write(page)
    except OSError as exc:
        raise SettingsError(
            f"{path}: it can't be written ({explain_os_error(exc)}); name another file with -o"
        ) from exc
