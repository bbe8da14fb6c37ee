"""`bulk apply`: make the changes that a sync withheld and a person approved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.commands.sync import show_summary
from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, json_option, log_options, metrics_option, settings_options
from bulk.cli.flags.destinations import check_apply_destinations
from bulk.cli.flags.sync import named
from bulk.cli.flags.values import read_duration
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json
from bulk.cli.streams import ended_in_time
from bulk.errors import SettingsError
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation
    from bulk.model import Summary

__all__ = ["apply"]


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  everything that the plan lists is done, and all is as the file says
      1  finished, but something is not as the file says
      2  PLAN can't be read, is too old, or was applied already; nothing was sent
      4  the plan is for another target or another ledger
      3, 5, 130, 143  the same as for bulk sync
    """,
)
@click.argument("plan", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--max-age",
    "max_age_s",
    type=read_duration,
    default="24h",
    show_default=True,
    metavar="DURATION",
    cls=GroupedOption,
    heading="What a sync may do",
    help="Refuse a plan that is older, such as 72h over a weekend.",
)
@settings_options
@json_option
@log_options
@metrics_option
@click.pass_context
def apply(ctx: click.Context, /, plan: Path, *, max_age_s: float, as_json: bool, **_settings: object) -> int:
    """Carry out the changes that PLAN lists, which `bulk sync` or `bulk plan --sync` wrote.

    The input is read again, every product is listed again, and everything is decided again. A change is carried out
    only if PLAN lists it with the same old and new texts. To leave a change out, delete its line from PLAN.
    """
    settings = settings_of(ctx)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.conclude import summary_json  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.engine.sync.apply import apply as apply_engine  # noqa: PLC0415 - see above
    from bulk.engine.sync.plan_file import read_header  # noqa: PLC0415 - see above

    header = read_header(plan)
    check_apply_destinations(ctx, plan, Path(header.ledger), header.input)
    invocation: Invocation = ctx.obj
    stop = StopSignal()

    def resume(summary: Summary) -> str | None:
        return invocation.again if stop.requested or summary.exit_code == ExitCode.WITHHELD else None

    def to_json(summary: Summary) -> bytes:
        return summary_json(summary, resume=resume(summary))

    try:
        with watched(ctx, str(plan), noticed=True) as listener:
            summary = execute(
                lambda: apply_engine(
                    plan, settings, max_age_s=max_age_s, listener=listener, stop=stop, to_json=to_json
                ),
                stop,
            )
    except SettingsError as exc:
        raise named(ctx, exc) from exc
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(to_json(summary))
        else:
            show_summary(summary, invocation, settings, resume=resume(summary))
    return summary.exit_code or ExitCode.DONE
