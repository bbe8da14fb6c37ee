"""`bulk sync`: make the platform match a file, and touch only modules that this ledger made or adopted."""

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
from bulk.cli.flags.sync import named, sync_options, sync_options_of
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time
from bulk.errors import SettingsError
from bulk.exits import ExitCode
from bulk.model.inputs import has_no_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.cli.invocation import Invocation
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["accepting", "show_summary", "sync"]

_TRYING = ("--limit", "--only", "--account")
_FINE = frozenset({ExitCode.DONE, ExitCode.CHANGED})


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  all is as the file says
      1  finished, but something is not as the file says
      2  a flag, a setting or the input can't be used, or the input looks like
         another job's file; nothing was sent
      3  stopped early: key, permission, platform out of reach, disk full
      4  the ledger is held by another run, belongs to another target, or was
         written by a newer version
      5  something is withheld: read the plan, then approve it with bulk apply
      6  with --detailed-exitcode: something was changed, all is as the file says
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@input_argument
@sync_options
@click.option(
    "--detailed-exitcode",
    "detailed",
    is_flag=True,
    cls=GroupedOption,
    heading="What is shown",
    help="End with 6 instead of 0 where something was changed.",
)
@settings_options
@json_option
@log_options
@metrics_option
@click.pass_context
def sync(ctx: click.Context, /, input_name: str, *, detailed: bool, as_json: bool, **_settings: object) -> int:
    """Make the platform match INPUT: create, update and, with --prune, delete.

    Every product that INPUT names is listed first, and everything is decided before anything is changed. Modules that
    this ledger neither made nor adopted are never deleted. If there are too many changes for one night, or the input
    has shrunk, changes are withheld until you approve them with `bulk apply`.
    """
    settings = settings_of(ctx)
    options = sync_options_of(ctx)
    try:
        options.check(settings)
    except SettingsError as exc:
        raise named(ctx, exc) from exc
    check_run_destinations(ctx, input_name, settings)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.conclude import summary_json  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.engine.sync.run import sync as sync_engine  # noqa: PLC0415 - see above

    invocation: Invocation = ctx.obj
    stop = StopSignal()

    def resume(summary: Summary) -> str | None:
        return _resume(invocation, summary, stopped=stop.requested)

    def to_json(summary: Summary) -> bytes:
        return summary_json(summary, resume=resume(summary))

    with watched(ctx, input_name, noticed=True) as listener:
        summary = execute(
            lambda: sync_engine(
                input_name,
                settings,
                options,
                detailed_exit_code=detailed,
                listener=listener,
                stop=stop,
                to_json=to_json,
            ),
            stop,
        )
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(to_json(summary))
        else:
            approve = invocation.approving(summary.plan, input_name) if summary.plan else None
            accept = accepting(invocation, summary, summary.ledger)
            show_summary(summary, invocation, settings, resume=resume(summary), approve=approve, accept=accept)
    return summary.exit_code


def show_summary(
    summary: Summary,
    invocation: Invocation,
    settings: Settings,
    *,
    resume: str | None,
    approve: str | None = None,
    accept: Sequence[str] = (),
) -> None:
    """Print the screen that ends a sync or an apply."""
    from bulk.cli.screens.sync import sync_lines  # noqa: PLC0415 - `--help` need not wait for it

    print_lines(
        sync_lines(
            summary,
            width=screen_width(),
            paint=paint_for_stdout(),
            program=invocation.program,
            approve=approve,
            accept=accept,
            resume=resume,
            platform=invocation.platform,
            input_format=settings.read.format,
        )
    )


def accepting(invocation: Invocation, summary: Summary, ledger: str) -> Sequence[str]:
    """Return the commands that accept an input that lost much; none: it did not, or it can't be read again."""
    if not summary.to_accept or has_no_place(summary.input):
        return ()
    return invocation.accepting(f"{ledger}.plan.jsonl", summary.input)


def _resume(invocation: Invocation, summary: Summary, *, stopped: bool) -> str | None:
    if summary.exit_code in _FINE or (summary.exit_code == ExitCode.WITHHELD and not stopped):
        return None
    return invocation.again if stopped else invocation.again_without(_TRYING)
