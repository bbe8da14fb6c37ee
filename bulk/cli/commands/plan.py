"""`bulk plan`: show what a run would do. It reads from the platform and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.commands.sync import accepting
from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, input_argument, json_option, log_options, settings_options
from bulk.cli.flags.destinations import STDOUT, check_run_destinations
from bulk.cli.flags.sync import SYNC_OPTIONS, named, sync_options, sync_options_of
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time
from bulk.conditions import explain_os_error
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation
    from bulk.settings import Settings

__all__ = ["plan"]


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  every row can be provisioned
      1  some rows can not
      5  with --sync: something would be withheld until you approve it
      2, 3, 4, 130, 143  the same as for bulk run
    """,
)
@input_argument
@click.option(
    "--offline",
    is_flag=True,
    cls=GroupedOption,
    heading="What is asked",
    help="Check the file only: list no product's modules, need no key.",
)
@click.option(
    "--sync",
    "syncs",
    is_flag=True,
    cls=GroupedOption,
    heading="What is asked",
    help="Show what bulk sync would do.",
)
@sync_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PLAN",
    cls=GroupedOption,
    any_text=True,  # beside an input that has such a name
    heading="What a sync may do",
    help="With --sync: write the plan to this file, for bulk apply.",
)
@settings_options
@json_option
@log_options
@click.pass_context
def plan(
    ctx: click.Context,
    /,
    input_name: str,
    *,
    offline: bool,
    syncs: bool,
    output: Path | None,
    as_json: bool,
    **_settings: object,
) -> int:
    """Show what `bulk run INPUT` would do: outcomes, calls, and how long they take at these rates.

    The products' modules are listed; nothing is created, and nothing is written. With --sync, show what `bulk sync
    INPUT` would do.
    """
    settings = settings_of(ctx)
    if output == STDOUT:
        raise SettingsError("--output -: a plan goes to a file, as only its owner may read it; name one")
    check_run_destinations(ctx, input_name, settings)
    if syncs:
        return _plan_sync(ctx, input_name, settings, offline=offline, output=output, as_json=as_json)
    given = [name for name in SYNC_OPTIONS if ctx.params[name]] + (["output"] if output else [])
    if given:
        raise named(ctx, SettingsError("{0} needs {1}: it is about a sync", given[0], "syncs"))
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.cli.screens.plan import plan_lines  # noqa: PLC0415 - see above
    from bulk.engine.plan import plan as make_plan  # noqa: PLC0415 - see above
    from bulk.engine.planned import plan_json  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    stop = StopSignal()
    with watched(ctx, input_name, noticed=as_json) as listener:
        made = execute(lambda: make_plan(input_name, settings, offline=offline, listener=listener, stop=stop), stop)
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(plan_json(made))
        else:
            print_lines(plan_lines(made, width=screen_width(), paint=paint_for_stdout()))
    return stop.exit_code or made.exit_code


def _plan_sync(
    ctx: click.Context, input_name: str, settings: Settings, *, offline: bool, output: Path | None, as_json: bool
) -> int:
    if offline:
        raise SettingsError("--offline and --sync exclude each other: a sync looks at the platform; leave one out")
    options = sync_options_of(ctx)
    try:
        options.check(settings)
    except SettingsError as exc:
        raise named(ctx, exc) from exc
    from bulk.cli.execution import execute  # noqa: PLC0415 - as in plan()
    from bulk.cli.following import watched  # noqa: PLC0415 - as in plan()
    from bulk.cli.screens.sync import plan_sync_lines  # noqa: PLC0415 - as in plan()
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - as in plan()
    from bulk.engine.sync.planning import plan_sync, sync_plan_json  # noqa: PLC0415 - as in plan()

    stop = StopSignal()
    with watched(ctx, input_name, noticed=True) as listener:
        try:
            made = execute(
                lambda: plan_sync(input_name, settings, options, output=output, listener=listener, stop=stop), stop
            )
        except OSError as exc:
            raise SettingsError(
                f"{output}: it can't be written ({explain_os_error(exc)}); name another file with -o"
            ) from exc
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(sync_plan_json(made))
        else:
            shown = str(output) if output else None
            invocation: Invocation = ctx.obj
            accepts = made.summary.to_accept and not (settings.only or settings.limit)
            approve = invocation.approving(shown, input_name) if shown and (made.planned or accepts) else None
            accept = () if shown and accepts else accepting(invocation, made.summary, made.ledger)
            width, paint = screen_width(), paint_for_stdout()
            print_lines(plan_sync_lines(made, width=width, paint=paint, output=shown, approve=approve, accept=accept))
    return stop.exit_code or made.exit_code
