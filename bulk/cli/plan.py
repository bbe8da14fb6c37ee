"""`bulk plan`: tell what a run would do; ask the platform, change nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bulk.cli.destinations import check_run_destinations
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.options import ENVIRONMENT_HELP, input_argument, json_option, log_options, settings_of, settings_options
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time

if TYPE_CHECKING:
    from bulk.engine.plan import Plan

__all__ = ["plan"]


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  every row can be provisioned
      1  some rows can not
      2, 3, 4, 130, 143  as of bulk run
    """,
)
@input_argument
@click.option(
    "--offline",
    is_flag=True,
    cls=GroupedOption,
    heading="What is asked",
    help="Judge by the file alone: list no product's modules, need no key.",
)
@settings_options
@json_option
@log_options
@click.pass_context
def plan(ctx: click.Context, /, input_name: str, *, offline: bool, as_json: bool, **_settings: object) -> int:
    """Tell what `bulk run INPUT` would do: outcomes, calls, and the time at the rate asked for.

    Products' modules are listed to know it; nothing is created, and nothing written.
    """
    settings = settings_of(ctx)
    check_run_destinations(ctx, input_name, settings)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.cli.plan_screen import plan_lines  # noqa: PLC0415 - see above
    from bulk.engine.plan import plan as make_plan  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    stop = StopSignal()
    with watched(ctx, input_name, noticed=as_json) as listener:
        made = execute(lambda: make_plan(input_name, settings, offline=offline, listener=listener, stop=stop), stop)
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(_plan_object(made))
        else:
            print_lines(plan_lines(made, width=screen_width(), paint=paint_for_stdout()))
    return stop.exit_code or made.exit_code


def _plan_object(made: Plan) -> dict[str, object]:
    return asdict(made) | {"exit_code": made.exit_code}
