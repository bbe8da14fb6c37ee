"""`bulk fleet split`: divide an input into shards, and put them into a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import input_argument, json_option, log_options, splitting_options
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json, print_lines
from bulk.exits import ExitCode
from bulk.report.wording import spell_count
from bulk.shell import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.fleet.manifest import Manifest

__all__ = ["split"]

_SHOWN_SHARDS = 10


@click.command(
    cls=GroupedCommand,
    epilog="""
    Flags and their variables are those of bulk run; the accounts are those of bulk.toml. No key is used or stored.

    \b
    Exit codes:
      0  the shards are in the store
      2  a flag, a setting, the store or INPUT can't be used
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@input_argument
@click.option(
    "--store",
    "url",
    required=True,
    metavar="URL",
    cls=GroupedOption,
    heading="How it is shared",
    any_text=True,  # a folder may have such a name
    help="The fleet's store: a folder, s3://, oss://, gs:// or az://. One store holds one input.",
)
@click.option(
    "--shards",
    type=int,
    metavar="N",
    cls=GroupedOption,
    heading="How it is shared",
    help="How many shards.  [default: one for every 150 accounts]",
)
@splitting_options
@json_option
@log_options
@click.pass_context
def split(
    ctx: click.Context, /, input_name: str, *, url: str, shards: int | None, as_json: bool, **_settings: object
) -> int:
    """Divide INPUT into shards of whole rate groups, and put them into a store.

    Each account of bulk.toml needs rate_group or role_arn, so that no two shards share a limit of the platform. To
    run the same command again changes nothing. Each machine that works needs a bulk.toml with the same accounts, and
    their keys.
    """
    settings = settings_of(ctx)
    # --help and a mistyped flag need not wait for the store's client and the readers.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.fleet.splitting import split as split_input  # noqa: PLC0415 - see above
    from bulk.fleet.store_url import open_store  # noqa: PLC0415 - see above

    store, stop = open_store(url, make=True), StopSignal()
    with watched(ctx, input_name, measured=False) as listener:
        manifest = execute(
            lambda: split_input(input_name, settings, store, stop=stop, shards=shards, listener=listener), stop
        )
    if as_json:
        print_json(_figures(manifest, url))
    else:
        print_lines(_lines(manifest, url))
    return ExitCode.DONE


def _figures(manifest: Manifest, url: str) -> dict[str, object]:
    shards = [{"number": each.number, "accounts": each.accounts, "rows": each.rows} for each in manifest.shards]
    return {"store": url, "input": manifest.input, "rows": manifest.rows, "shards": shards, "exit_code": ExitCode.DONE}


def _lines(manifest: Manifest, url: str) -> Iterator[str]:
    shards = manifest.shards
    accounts = spell_count(sum(len(shard.accounts) for shard in shards), "account")
    yield f"{spell_count(manifest.rows, 'row')} of {accounts} in {spell_count(len(shards), 'shard')}, in {url}"
    for shard in shards[:_SHOWN_SHARDS]:
        rows = spell_count(shard.rows, "row")
        yield f"  shard {shard.number}: {spell_count(len(shard.accounts), 'account')}, {rows}"
    if len(shards) > _SHOWN_SHARDS:
        yield f"  and {spell_count(len(shards) - _SHOWN_SHARDS, 'shard')} more"
    yield "Next, on each machine, with N from 0 on:"
    yield f"  {shell_join(['bulk', 'fleet', 'work', url, '--shard', 'N'])}"
