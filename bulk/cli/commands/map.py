"""`bulk map`: find the target's product for each product of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import ENVIRONMENT_HELP, json_option, log_options, looking_options
from bulk.cli.flags.destinations import check_inputs_are_kept
from bulk.cli.flags.places import table_option
from bulk.cli.flags.values import read_input_name
from bulk.cli.help import GroupedCommand
from bulk.cli.output import print_json, print_lines, tell
from bulk.cli.streams import ended_in_time
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.engine.looking.mapping import MappedProduct, ProductMapping

__all__ = ["map"]

_MOST_NAMED = 20


@click.command(
    "map",
    cls=GroupedCommand,
    epilog=ENVIRONMENT_HELP
    + """
    \b
    Exit codes:
      0  MAP is written, and every product has its target
      1  MAP is written, and you have to complete it
      2  a flag, a setting or EXPORT can't be used
      3  a list of products can't be read, or the work stopped early
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@click.argument("export", metavar="EXPORT", type=click.Path(), callback=read_input_name)
@table_option("What is written", metavar="MAP", besides=" It must not be there yet.")
@looking_options
@json_option
@log_options
@click.pass_context
def map(  # noqa: A001 - the command is called so
    ctx: click.Context, /, export: str, *, output: Path, as_json: bool, **_settings: object
) -> int:
    """Find each exported product's counterpart on the target platform, for --product-map.

    The settings are the target's. A counterpart has the same ProductKey, or else the same ProductName if both sides
    have it once. If there is none, the cell in MAP is blank, and MAP says why. Write the TargetProductKey into it, or
    delete the line if you don't move this product. Nothing is changed on the platform: this command can't write.
    """
    settings = settings_of(ctx)
    check_inputs_are_kept("-o", output, [export])
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.cli.following import watched  # noqa: PLC0415 - see above
    from bulk.engine.looking.mapping import map_products  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above

    stop = StopSignal()
    with watched(ctx, export) as listener:
        done = execute(lambda: map_products(export, output, settings, listener=listener, stop=stop), stop)
    with ended_in_time(stop.exit_code):
        _show(done, as_json=as_json)
    return done.exit_code


def _show(done: ProductMapping, *, as_json: bool) -> None:
    for notice in done.notices:
        tell(notice)
    named = [_line(product) for product in done.open_products[:_MOST_NAMED]]
    more = len(done.open_products) - len(named)
    for line in [*named, *([f"and {more:,} more"] if more else [])]:
        tell(line)
    if as_json:
        opened = [{"product_key": each.source.product_key, "reason": each.how} for each in done.open_products]
        figures = {"products": len(done.products), "mapped": len(done.products) - len(opened), "open": opened}
        print_json({**figures, "output": done.path, "exit_code": int(done.exit_code)})
        return
    left = f"; {len(done.open_products):,} open: write their TargetProductKey, or take out their lines"
    left = left if done.open_products else ""
    print_lines([f"{spell_count(len(done.products), 'product')} in {done.path}{left}"])


def _line(product: MappedProduct) -> str:
    account, key, name = product.source
    whose = f"account {account}, " if account else ""
    return f"{whose}{key}{f' ({name})' if name else ''}: {product.how}"
