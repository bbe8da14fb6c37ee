"""`bulk check`: compare a file with the platform, or with another file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, comparing_options, json_option, log_options, looking_options
from bulk.cli.flags.destinations import check_inputs_are_kept
from bulk.cli.flags.values import read_input_name
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json, print_lines
from bulk.cli.streams import ended_in_time
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.engine.looking.check import Checked

__all__ = ["check"]

_WHAT = "What is compared"


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  all is equal, and everything was read
      1  something is missing, different or unread, or surplus with --surplus
      2  a flag, a setting or a file can't be used
      3  the work stopped early
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@click.argument("wanted", metavar="A", type=click.Path(allow_dash=True), callback=read_input_name)
@click.argument("other", metavar="[B]", type=click.Path(), required=False)
@click.option(
    "--surplus",
    is_flag=True,
    cls=GroupedOption,
    heading=_WHAT,
    help="Also name modules that no row of A lists: in A's products, or in all of B.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    cls=GroupedOption,
    any_text=True,  # a file may have such a name
    heading=_WHAT,
    help="Write every difference to this file, whose name ends in .csv, .jsonl or .ndjson.",
)
@comparing_options
@looking_options
@json_option
@log_options
@click.pass_context
def check(
    ctx: click.Context,
    /,
    wanted: str,
    *,
    other: str | None,
    surplus: bool,
    output: Path | None,
    as_json: bool,
    **_settings: object,
) -> int:
    """Compare the modules that A lists with those on the platform, or with those of the file B.

    A is any file that bulk run reads. Without B, every product of A is listed on the platform; no ledger is used. A
    blank cell of A is not compared. With B, no key is needed; the reading options are for both files. Nothing is
    changed.
    """
    settings = settings_of(ctx)
    if output is not None:
        inputs = [name for name in (wanted, other, settings.product_map) if name]
        check_inputs_are_kept("-o", output, inputs)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.looking.check import check as compare  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    stop = StopSignal()
    with watched(ctx, wanted) as listener:
        done = execute(
            lambda: compare(
                wanted, settings, other=other, surplus=surplus, output=output, listener=listener, stop=stop
            ),
            stop,
        )
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(_keys(done, output))
        else:
            print_lines(_lines(done))
    return done.exit_code


def _keys(done: Checked, output: Path | None) -> dict[str, object]:
    return {
        "a": done.wanted,
        "b": done.other,
        "rows": done.rows,
        "equal": done.equal,
        **{verdict.value: count for verdict, count in done.counts.items()},
        "output": None if output is None else str(output),
        "exit_code": int(done.exit_code),
    }


def _lines(done: Checked) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in done.counts.items())
    yield f"{spell_count(done.rows, 'row')} of {done.wanted} against {done.other}: {done.equal:,} equal, {counts}"
    for finding in done.examples:
        line = f"line {finding.line}, " if finding.line else ""
        whose = f"account {finding.account}, " if finding.account else ""
        module = f"{finding.product_key} {finding.module_name}: " if finding.product_key else ""
        yield f"  {finding.verdict}: {line}{whose}{module}{finding.reason}"
    more = sum(done.counts.values()) - len(done.examples)
    if more > 0:
        yield f"  and {more:,} more; -o FILE writes all of them"
