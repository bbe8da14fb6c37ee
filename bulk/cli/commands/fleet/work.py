"""`bulk fleet work`: work on one shard of a fleet, as an engine starts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import json_option, log_options, metrics_option, working_options
from bulk.cli.flags.places import work_folder_option
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time
from bulk.exits import ExitCode

if TYPE_CHECKING:
    from bulk.cli.invocation import Invocation
    from bulk.model import Summary

__all__ = ["work", "work_by_text"]

_HOW = "How it is shared"


@click.command(
    cls=GroupedCommand,
    epilog="""
    Keys and settings are this machine's own, as for bulk run: the store holds none.

    \b
    Exit codes:
      0  every row of the shard is provisioned: created, exists or duplicate
      1  finished, but some rows are not
      2  a flag, a setting or the store can't be used; nothing was sent
      3  stopped early: key, permission, platform or store out of reach, disk
         full, or another machine took the shard
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@click.argument("url", metavar="URL")
@click.option(
    "--shard",
    type=click.IntRange(min=0),
    required=True,
    metavar="N",
    cls=GroupedOption,
    heading=_HOW,
    help="Number of the shard, from 0 on.",
)
@work_folder_option(_HOW)
@working_options
@json_option
@log_options
@metrics_option
@click.pass_context
def work(
    ctx: click.Context, /, url: str, *, shard: int, work_folder: str | None, as_json: bool, **_settings: object
) -> int:
    """Work on shard N of the fleet in the store URL, until its rows have their outcomes.

    If another process has the shard, this one waits for it. Results are kept in the store too, so the same command on
    another machine goes on where this one ended, even if it was killed.
    """
    settings = settings_of(ctx)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.conclude import summary_json  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.fleet.worker import work as work_on  # noqa: PLC0415 - see above

    invocation: Invocation = ctx.obj
    stop = StopSignal()
    folder = Path(work_folder) if work_folder else None

    def to_json(summary: Summary) -> bytes:
        return summary_json(summary, resume=_resume(invocation, summary))

    with watched(ctx, f"shard {shard}") as listener:
        summary = execute(
            lambda: work_on(url, shard, settings, folder=folder, listener=listener, stop=stop, to_json=to_json), stop
        )
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(to_json(summary))
        else:
            _show(summary, invocation)
    return summary.exit_code


def _show(summary: Summary, invocation: Invocation) -> None:
    from bulk.report.summary import summary_lines  # noqa: PLC0415 - `--help` need not wait for it

    lines = summary_lines(
        summary,
        width=screen_width(),
        paint=paint_for_stdout(),
        program=invocation.program,
        resume=_resume(invocation, summary),
    )
    print_lines(lines)


def _resume(invocation: Invocation, summary: Summary) -> str | None:
    return None if summary.exit_code == ExitCode.DONE else invocation.again


def work_by_text(task: str) -> str:
    """Work on a shard in a thread of another program: for an engine that runs Python functions.

    Args:
        task: JSON with two keys. ``words``: the arguments of `bulk fleet work`. ``ended_by``: the name in the store
            by which a driver asks the worker to stop.

    Returns:
        JSON: ``exit_code`` and ``stopped``, as in a summary.
    """
    from bulk.cli.execution import execute_in_thread  # noqa: PLC0415 - `--help` need not wait for it
    from bulk.errors import BulkError  # noqa: PLC0415 - as above
    from bulk.fleet.worker import work as work_on  # noqa: PLC0415 - as above

    asked = json.loads(task)
    try:
        with work.make_context("work", list(asked["words"])) as ctx:
            settings, params = settings_of(ctx), ctx.params
        folder = Path(params["work_folder"]) if params["work_folder"] else None
        summary = execute_in_thread(
            lambda: work_on(params["url"], params["shard"], settings, folder=folder, ended_by=asked["ended_by"])
        )
    except BulkError as exc:
        return json.dumps({"exit_code": exc.exit_code, "stopped": str(exc)})
    except click.ClickException as exc:
        return json.dumps({"exit_code": exc.exit_code, "stopped": exc.format_message()})
    return json.dumps({"exit_code": summary.exit_code, "stopped": summary.stopped})
