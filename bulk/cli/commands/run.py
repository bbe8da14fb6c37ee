"""`bulk run`: create the modules that a file lists, or go on where a run stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import (
    ENVIRONMENT_HELP,
    input_argument,
    json_option,
    log_options,
    metrics_option,
    settings_options,
)
from bulk.cli.flags.destinations import check_run_destinations
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time
from bulk.exits import ExitCode
from bulk.report.summary import stopped_accounts, summary_lines
from bulk.shell import shell_quote

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["run"]

_FIRST = "Before it begins"
_ACCOUNT = "--account"
_NAMED_ACCOUNTS = 3
"""Most accounts that the command to go on names."""

_TRYING = ("--limit", "--only")


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
      4  the ledger is held by another run, belongs to another target, or was
         written by a newer version
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    With accounts: the first of 130, 143, 3, 1, 0 that any of them ended with.
    """,
)
@input_argument
@click.option(
    "--plan",
    "planned",
    is_flag=True,
    cls=GroupedOption,
    heading=_FIRST,
    help="Show what would be done, as bulk plan does, and ask before anything is created.",
)
@click.option(
    "--yes",
    "confirmed",
    is_flag=True,
    cls=GroupedOption,
    heading=_FIRST,
    help="With --plan: show, and go on without asking.",
)
@settings_options
@json_option
@log_options
@metrics_option
@click.pass_context
def run(
    ctx: click.Context, /, input_name: str, *, planned: bool, confirmed: bool, as_json: bool, **_settings: object
) -> int:
    """Create the OTA modules that INPUT lists.

    INPUT is a .csv, .tsv, .jsonl, .ndjson or .xlsx file, each also as .gz, or - for stdin, with the columns ProductKey,
    ModuleName, AliasName and Desc. Running the same command again goes on where the last run stopped.
    """
    settings = settings_of(ctx)
    check_run_destinations(ctx, input_name, settings)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.conclude import summary_json  # noqa: PLC0415 - see above
    from bulk.engine.run import run as run_engine  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    if planned:
        from bulk.cli.screens.confirmation import confirm  # noqa: PLC0415 - see above

        confirm(ctx, input_name, settings, confirmed=confirmed)
    invocation: Invocation = ctx.obj
    stop = StopSignal()

    def to_json(summary: Summary) -> bytes:
        return summary_json(summary, resume=_resume(invocation, summary, settings, stopped=stop.requested))

    with watched(ctx, input_name, noticed=not planned) as listener:
        summary = execute(lambda: run_engine(input_name, settings, listener=listener, stop=stop, to_json=to_json), stop)
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(to_json(summary))
        else:
            paint = paint_for_stdout()
            lines = summary_lines(
                summary,
                width=screen_width(),
                paint=paint,
                program=invocation.program,
                resume=_resume(invocation, summary, settings, stopped=stop.requested),
                resume_accounts=_resume_accounts(invocation, summary, stopped=stop.requested),
                input_format=settings.read.format,
                pending=f"not tried: outside {given}" if (given := _selection(settings)) else None,
            )
            print_lines(lines)
    return summary.exit_code


def _resume(invocation: Invocation, summary: Summary, settings: Settings, *, stopped: bool) -> str | None:
    """Return the command that goes on where this run stopped, if anything is left to do."""
    if summary.exit_code == ExitCode.DONE:
        return None
    # A trial (--limit, --only) that was cut short goes on as a trial. After a complete trial comes the whole job.
    left = (one for name, one in summary.accounts.items() if name not in settings.only_accounts)
    # If all rows are of one account, the input may have no column Account, and then it needs the flag.
    is_try = bool(settings.only_accounts) and any(any(one.outcomes.values()) for one in left)
    trying = (*_TRYING, *(["--account"] if is_try else []))
    return invocation.again if stopped else invocation.again_without(trying)


def _resume_accounts(invocation: Invocation, summary: Summary, *, stopped: bool) -> str | None:
    """Return the command for only the accounts that stopped; ``None``: they are too many to name."""
    alone = stopped_accounts(summary)
    if stopped or not 0 < len(alone) <= _NAMED_ACCOUNTS or len(alone) == len(summary.accounts):
        return None
    return invocation.again_with(_ACCOUNT, alone, without=_TRYING)


def _selection(settings: Settings) -> str:
    limit = [f"--limit {settings.limit}"] if settings.limit else []
    accounts = [f"--account {shell_quote(name)}" for name in settings.only_accounts]
    return " ".join([*limit, *(f"--only {pattern}" for pattern in settings.only), *accounts])
