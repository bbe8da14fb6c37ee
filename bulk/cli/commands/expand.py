"""`bulk expand`: write an input with every product of one file and every module of another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bulk.cli.flags.amount import read_settings_of
from bulk.cli.flags.common import json_option, reading_options
from bulk.cli.flags.destinations import check_inputs_are_kept, writable
from bulk.cli.flags.places import table_option
from bulk.cli.flags.values import read_input_name
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json, print_lines, tell
from bulk.cli.streams import ended_in_time
from bulk.errors import SettingsError, StoppedError
from bulk.exits import ExitCode
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.engine.stop import StopSignal
    from bulk.rows.products.expansion import Expansion
    from bulk.settings import ReadSettings

__all__ = ["expand"]

_WHAT = "What is written"


@click.command(
    cls=GroupedCommand,
    epilog="""
    \b
    Exit codes:
      0  FILE is written
      2  a flag, a setting or a file can't be used; FILE is as it was
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP; FILE is as it was
    """,
)
@click.argument("products", metavar="PRODUCTS", type=click.Path(allow_dash=True), callback=read_input_name)
@click.option(
    "--modules",
    "modules",
    type=click.Path(),
    required=True,
    metavar="SET",
    cls=GroupedOption,
    any_text=True,  # a file may have such a name
    heading=_WHAT,
    help="A file of up to ten modules: ModuleName, AliasName and Desc.",
)
@click.option(
    "--modules-sheet",
    metavar="NAME",
    cls=GroupedOption,
    heading=_WHAT,
    help="If SET is a workbook, the sheet to read.  [default: the only one with content]",
)
@table_option(_WHAT)
@reading_options
@json_option
@click.pass_context
def expand(
    ctx: click.Context,
    /,
    products: str,
    *,
    modules: str,
    modules_sheet: str | None,
    output: Path,
    as_json: bool,
    **_settings: object,
) -> int:
    """Write an input for bulk run: every product of PRODUCTS with every module of SET.

    PRODUCTS is any file that bulk run reads, or - for stdin, with a column ProductKey. Its columns Account and
    ProductName are kept. The reading options are for PRODUCTS; --map, --null and the lenient options are for SET as
    well, which is UTF-8 and has a header.

    FILE is written completely or not at all. It is not written if a product or a module is there twice, if a cell can't
    be sent, or if there are more than ten modules. The message names the lines.
    """
    from bulk.cli.execution import execute  # noqa: PLC0415 - --help need not wait for it
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.engine.threads import in_thread  # noqa: PLC0415 - see above

    settings = read_settings_of(ctx)
    if modules == "-":
        raise SettingsError("--modules -: the set of modules is read from a file, not from stdin; name one")
    check_inputs_are_kept("-o", output, [products, modules])
    of_modules = replace(
        settings,
        format=None,
        sheet=modules_sheet,
        encoding=None,
        delimiter=None,
        no_header=False,
        skip_lines=0,
    )
    stop = StopSignal()
    made = execute(lambda: in_thread(_write, products, modules, output, settings, of_modules, stop), stop)
    with ended_in_time(stop.exit_code):
        _show(made, output, as_json=as_json)
    return ExitCode.DONE


def _write(
    products: str, modules: str, output: Path, settings: ReadSettings, of_modules: ReadSettings, stop: StopSignal
) -> Expansion:
    from bulk.atomic import replaced  # noqa: PLC0415 - as in expand()
    from bulk.rows.products import expansion  # noqa: PLC0415 - as in expand()

    written = expansion.FORMATS.get(output.suffix.lower())
    if written is None:
        raise SettingsError(f"-o {output}: its name does not tell a format; end it in .csv, .jsonl or .ndjson")

    def obey() -> None:
        if stop.requested:
            raise StoppedError(f"{stop.reason}; {output} is as it was", exit_code=stop.exit_code or ExitCode.STOPPED)

    found = expansion.read_modules(modules, of_modules, while_waiting=obey)
    with writable(output), replaced(output) as out:
        return expansion.expand(products, found, out, settings=settings, format=written, while_waiting=obey)


def _show(made: Expansion, output: Path, *, as_json: bool) -> None:
    for notice in made.notices:
        tell(notice)
    if as_json:
        figures = {"products": made.products, "modules": made.modules, "rows": made.rows}
        print_json({**figures, "output": str(output), "exit_code": int(ExitCode.DONE)})
        return
    counted = f"{spell_count(made.products, 'product')} with {spell_count(made.modules, 'module')} each"
    print_lines([f"{spell_count(made.rows, 'row')} in {output}: {counted}"])
