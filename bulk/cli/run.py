"""`bulk run`: create the modules that a file asks for, or go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk.cli.help import GroupedCommand
from bulk.cli.options import (
    ENVIRONMENT_HELP,
    input_argument,
    json_option,
    log_options,
    metrics_option,
    settings_of,
    settings_options,
)
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.report.summary import summary_lines

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation

__all__ = ["run"]


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  every row is provisioned: created, exists or duplicate
      1  finished, but some rows are not
      2  a flag, a setting or the input can't be used; nothing was sent
      3  stopped early: key, permission, platform out of reach, disk full
      4  the ledger is held by another run, or belongs to another target
      130, 143  interrupted by Ctrl-C, by SIGTERM
    """,
)
@input_argument
@settings_options
@json_option
@log_options
@metrics_option
@click.pass_context
def run(ctx: click.Context, /, source: str, *, as_json: bool, **_settings: object) -> int:
    """Create the OTA modules that INPUT asks for.

    INPUT is a .csv, .tsv, .jsonl or .ndjson file, each also as .gz, or - for stdin, with the columns ProductKey,
    ModuleName, AliasName and Desc. Running the same command again goes on where the last run stopped.
    """
    settings = settings_of(ctx)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.watch import watched  # noqa: PLC0415 - see above
    from bulk.engine.conclude import summary_json  # noqa: PLC0415 - see above
    from bulk.engine.run import run as run_engine  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    invocation: Invocation = ctx.obj
    stop = StopSignal()
    with watched(ctx, source) as listener:
        summary = execute(
            lambda: run_engine(source, settings, listener=listener, stop=stop, resume=invocation.again), stop
        )
    if as_json:
        print_json(summary_json(summary))
    else:
        paint = paint_for_stdout()
        print_lines(summary_lines(summary, width=screen_width(), paint=paint, program=invocation.program))
    return summary.exit_code
