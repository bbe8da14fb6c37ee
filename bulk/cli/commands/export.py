"""`bulk export`: write the modules that products have on the platform as an input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, json_option, log_options, looking_options
from bulk.cli.flags.destinations import check_inputs_are_kept
from bulk.cli.flags.places import table_option
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json, print_lines, tell
from bulk.cli.streams import ended_in_time
from bulk.errors import SettingsError
from bulk.exits import ExitCode
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk.engine.looking.manifest import AccountExport, Exported

__all__ = ["export"]

_WHAT = "What is written"
_MOST_NAMED = 20


@click.command(
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  FILE is written
      2  a flag, a setting or the file of products can't be used
      3  a product can't be read, or the work stopped early
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    After any other code than 0, FILE is as it was.
    """,
)
@table_option(_WHAT)
@click.option(
    "--products",
    default="all",
    metavar="all|FILE",
    cls=GroupedOption,
    any_text=True,  # a file may have such a name
    heading=_WHAT,
    help="Products of the account, or those of a file with a column ProductKey.  [default: all]",
)
@click.option(
    "--distributed",
    is_flag=True,
    cls=GroupedOption,
    heading=_WHAT,
    help="With --products all, export products too that another account distributed to this one.",
)
@click.option(
    "--excel-safe",
    is_flag=True,
    cls=GroupedOption,
    heading=_WHAT,
    help="Refused: a run would send the changed cells back to the platform.",
)
@looking_options
@json_option
@log_options
@click.pass_context
def export(
    ctx: click.Context,
    /,
    output: Path,
    *,
    products: str,
    distributed: bool,
    excel_safe: bool,
    as_json: bool,
    **_settings: object,
) -> int:
    """Write an input with the modules that products have on the platform, except the module default.

    FILE has the columns ProductKey, ModuleName, AliasName, Desc and ProductName, and Account first where bulk.toml has
    accounts. Beside it, FILE.manifest.json says where it is from, when it was read, and its SHA-256. Cells are exactly
    as on the platform; rows that a run would refuse or read differently are named. Nothing is changed there:
    this command can't write.

    FILE is written completely or not at all. A product that another account distributed to this one is named and left
    out, unless you add --distributed or name it in a file.
    """
    settings = settings_of(ctx)
    _check(output, products, excel_safe=excel_safe)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.looking.export import export as read_and_write  # noqa: PLC0415 - see above
    from bulk.engine.looking.manifest import as_keys, manifest_path  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    stop = StopSignal()
    with watched(ctx, str(output)) as listener:
        done = execute(
            lambda: read_and_write(
                output, settings, products=products, distributed=distributed, listener=listener, stop=stop
            ),
            stop,
        )
    with ended_in_time(stop.exit_code):
        for line in (*_distributed(done), *_read_otherwise(done)):
            tell(line)
        if as_json:
            keys = as_keys(done) | {"output": str(output), "manifest": str(manifest_path(output))}
            print_json({**keys, "exit_code": int(ExitCode.DONE)})
        else:
            of = f"of {spell_count(done.products, 'product')}"
            print_lines([f"{spell_count(done.rows, 'module')} {of} in {output}; manifest in {manifest_path(output)}"])
    return ExitCode.DONE


def _check(output: Path, products: str, *, excel_safe: bool) -> None:
    if excel_safe:
        raise SettingsError(
            "--excel-safe changes cells, and a run or a sync would send what it wrote to the platform: leave it out"
        )
    if products != "all":
        from bulk.engine.looking.manifest import manifest_path  # noqa: PLC0415 - as in export()

        for written in (output, manifest_path(output)):
            check_inputs_are_kept("-o", written, [products])


def _distributed(done: Exported) -> Iterator[str]:
    for account in done.accounts:
        if account.distributed:
            yield _distributed_line(account)


def _read_otherwise(done: Exported) -> Iterator[str]:
    """Name rows that would not recreate what is on the platform: FILE itself does not show it."""
    if not done.read_otherwise:
        return
    rows = [(account.account, row) for account in done.accounts for row in account.read_otherwise]
    yield f"{spell_count(done.read_otherwise, 'row')} of {done.path} can't be read by a run as the platform has them:"
    for account, row in rows[:_MOST_NAMED]:
        whose = f"account {account}, " if account else ""
        yield f"  {whose}{row.product_key} {row.module_name}: {row.reason}"
    if done.read_otherwise > _MOST_NAMED:
        yield f"  and {done.read_otherwise - _MOST_NAMED:,} more; the manifest names the first 1,000 of each account"


def _distributed_line(account: AccountExport) -> str:
    whose = f"Account {account.account}: " if account.account else ""
    keys = [product.product_key for product in account.distributed]
    named = ", ".join(keys[:_MOST_NAMED]) + (f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else "")
    what = "left out; --distributed exports them too" if account.left_out else "exported all the same"
    return f"{whose}{spell_count(len(keys), 'product')} of another account, distributed to this one, {what}: {named}"
