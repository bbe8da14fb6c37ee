"""`bulk fleet merge`: make one ledger of all shards, and prove that it is right."""

from __future__ import annotations

import gc
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.common import json_option
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.cli.streams import ended_in_time
from bulk.report.wording import filled, spell_count
from bulk.shell import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.fleet.merging import Merged

__all__ = ["merge"]

_SHOWN_SHARDS = 10
_REASON_LINES = 3


@click.command(
    cls=GroupedCommand,
    epilog="""
    \b
    Exit codes:
      0  LEDGER is written, and every row is provisioned
      1  LEDGER is written, but the fleet has not finished or some rows
         are not provisioned; or the proof fails, and nothing is written
      2  a flag or the store can't be used
      3  LEDGER can't be written, or is not a merge of this fleet
      4  a run is at work on LEDGER
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@click.argument("url", metavar="URL")
@click.option(
    "-o",
    "--output",
    "ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="LEDGER",
    cls=GroupedOption,
    any_text=True,  # a file may have such a name
    heading="What is written",
    help="Write to this file. An earlier merge of this fleet is replaced, and nothing else.",
)
@json_option
def merge(url: str, *, ledger: Path, as_json: bool) -> int:
    """Merge what the fleet in the store URL shipped into one ledger, and prove that it is right.

    The proof: every row of the input is in it once, no module was made twice, and no rate group sent more requests in
    a second than granted. bulk results, bulk status and bulk report read LEDGER. If the fleet is still at work, LEDGER
    gets what is done so far; merge again later.
    """
    # --help and a mistyped flag need not wait for SQLite and the store's client.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.fleet.merging import merge as merge_shards  # noqa: PLC0415 - see above
    from bulk.fleet.store_url import open_store  # noqa: PLC0415 - see above

    # The data has no reference cycles, and searching for them doubles the time. This process ends soon.
    gc.disable()
    store, stop = open_store(url), StopSignal()
    done = execute(lambda: merge_shards(store, ledger, url=url, stop=stop), stop)
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json({"store": url, **asdict(done), "exit_code": int(done.exit_code)})
        else:
            print_lines(_lines(done, url))
    return done.exit_code


def _lines(done: Merged, url: str) -> Iterator[str]:
    from bulk.report.continuing import continuing_command  # noqa: PLC0415 - see above
    from bulk.report.summary import outcome_lines  # noqa: PLC0415 - see above

    width = screen_width()
    accounts, shards = spell_count(done.accounts, "account"), spell_count(done.shards, "shard")
    yield f"{spell_count(done.rows, 'row')} of {accounts} in {shards}, merged into {done.ledger}"
    yield from outcome_lines(done.outcomes, width=width, paint=paint_for_stdout())
    yield "Proven: each row is there once, no module is in two shards, none was made twice,"
    holders = f"{done.fences:,} process{'' if done.fences == 1 else 'es'}"
    yield f"  and {spell_count(done.requests, 'request')} of {holders} kept to the rates."
    if done.not_shipped:
        rows = spell_count(sum(done.not_shipped.values()), "row")
        yield f"Not shipped: the outcomes of {rows}, of shards {', '.join(done.not_shipped)}."
        yield "  They are open here; the next step asks the platform about them."
    if done.unfinished:
        yield f"Not finished: {spell_count(len(done.unfinished), 'shard')}"
        for number, why in [*done.unfinished.items()][:_SHOWN_SHARDS]:
            yield from filled(f"  shard {number}: {why}", width, rest="    ", lines=_REASON_LINES)
        if len(done.unfinished) > _SHOWN_SHARDS:
            yield f"  and {spell_count(len(done.unfinished) - _SHOWN_SHARDS, 'shard')} more"
        yield "Let the fleet finish, and merge again:"
        yield f"  {shell_join(['bulk', 'fleet', 'status', url])}"
    elif done.exit_code:
        yield "Why rows are not provisioned:"
        yield f"  {shell_join(['bulk', 'status', done.ledger])}"
        if command := continuing_command(Path(done.ledger)):
            yield "To go on, with the settings of the fleet:"
            yield f"  {command}"
