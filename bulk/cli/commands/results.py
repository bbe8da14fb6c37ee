"""`bulk results`: write the result of each row, or the rows to try again."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from bulk.cli.flags.destinations import STDOUT, check_destinations, writable
from bulk.cli.flags.values import complete_outcomes, read_outcomes
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import closed_pipe_is_fine, tell
from bulk.errors import SettingsError
from bulk.exits import ExitCode
from bulk.model.inputs import WORKBOOK_SUFFIXES
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.cli.invocation import Invocation
    from bulk.model import Outcome

__all__ = ["results"]

_WHICH = "Which rows, in which form"
_SHOWN_FIELDS = 5

_to = partial(
    click.option,
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    metavar="FILE",
    cls=GroupedOption,
    any_text=True,  # beside an input that has such a name
    heading="Where they go",
)


@click.command(cls=GroupedCommand)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    cls=GroupedOption,
    heading=_WHICH,
    help="One record a row, in the input's order.",
)
@click.option(
    "--outcome",
    "outcomes",
    type=read_outcomes,
    metavar="A,B",
    shell_complete=complete_outcomes,
    cls=GroupedOption,
    heading=_WHICH,
    help="Only rows with these outcomes, such as failed,invalid.",
)
@click.option(
    "--excel-safe",
    is_flag=True,
    cls=GroupedOption,
    heading=_WHICH,
    help="Also protect cells of the input that a spreadsheet would run as formulas.",
)
@_to("-o", "--output", help="Write to this file; - is stdout.  [default: stdout]")
@_to(
    "--retry-file",
    help="Write the rows not provisioned, in the input's own format (of a workbook: CSV), to fix and run again.",
)
@_to("--undo-file", help="Write the input that restores what the updates and deletes of a sync replaced.")
@click.option(
    "--run",
    "run_id",
    default="",
    metavar="ID",
    cls=GroupedOption,
    heading=_WHICH,
    help="With --undo-file: which run, by its id or the beginning of it.  [default: the last that changed anything]",
)
@click.pass_context
def results(
    ctx: click.Context,
    /,
    ledger: Path,
    *,
    form: str,
    outcomes: frozenset[Outcome] | None,
    excel_safe: bool,
    output: Path | None,
    retry_file: Path | None,
    undo_file: Path | None,
    run_id: str,
) -> int:
    """Write each row of LEDGER with its result: the row's own columns unchanged, then its outcome.

    After the rows come the modules that a sync deleted, or left on the platform for a reason.
    """
    _refuse_stdout("--retry-file", retry_file, "the rows to try again go")
    _refuse_stdout("--undo-file", undo_file, "what restores the modules goes")
    if run_id and undo_file is None:
        raise SettingsError("--run says whose changes --undo-file restores: add --undo-file FILE")
    if retry_file is not None and retry_file.suffix.lower() in WORKBOOK_SUFFIXES:
        raise SettingsError(f"--retry-file {retry_file}: rows of a workbook are written as CSV; name a .csv file")
    check_destinations({"-o": output, "--retry-file": retry_file, "--undo-file": undo_file}, ledger=ledger)
    from bulk.report.results import write_results, write_retry_file  # noqa: PLC0415 - `--help` need not wait for SQLite

    if retry_file is not None:
        with writable(retry_file):
            rows = write_retry_file(ledger, retry_file)
        tell(f"{spell_count(rows, 'row')} to try again in {retry_file}")
    if undo_file is not None:
        _write_undo(ctx.obj, ledger, undo_file, run_id)
    if output is None and (retry_file or undo_file):
        return ExitCode.DONE
    with _opened(output) as out:
        write_results(ledger, out, format=form, outcomes=outcomes, excel_safe=excel_safe)
    return ExitCode.DONE


def _refuse_stdout(option: str, path: Path | None, what_goes: str) -> None:
    if path == STDOUT:
        raise SettingsError(f"{option} -: {what_goes} to a file, not to stdout; name one")


def _write_undo(invocation: Invocation, ledger: Path, undo_file: Path, run_id: str) -> None:
    from bulk.ledger.views.undo import write_undo_file  # noqa: PLC0415 - as in results()
    from bulk.report.summary import restore_command  # noqa: PLC0415 - as in results()

    with writable(undo_file):
        undo = write_undo_file(ledger, undo_file, run=run_id)
    modules = "module as it was" if undo.rows == 1 else "modules as they were"
    tell(f"{undo.rows:,} {modules} before run {undo.run_id[:8]} in {undo_file}")
    for field in undo.not_restored[:_SHOWN_FIELDS]:
        tell(f"  was empty, and a blank cell does not restore that: {field}")
    if len(undo.not_restored) > _SHOWN_FIELDS:
        tell(f"  and {len(undo.not_restored) - _SHOWN_FIELDS:,} more such fields")
    command = restore_command(
        str(undo_file),
        undo.run_id,
        program=invocation.program,
        platform=undo.sandbox,
        rehearsed_in=str(ledger) if undo.sandbox else None,
    )
    settings = "" if undo.sandbox and not undo.names_accounts else ", with the settings of the run"
    what = "it" if undo.rows == 1 else "them"
    tell(f"To restore {what}{settings}:\n  {command}")


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    from bulk.atomic import replaced, spooled  # noqa: PLC0415 - as in results()

    if path is None or path == STDOUT:
        with closed_pipe_is_fine():
            out = sys.stdout.buffer
            if stat.S_ISREG(os.fstat(out.fileno()).st_mode):
                yield out
                return
            # A pager that nobody scrolls must not keep a snapshot open: the ledger's log would grow meanwhile.
            with spooled(out) as whole:
                yield whole
        return
    with writable(path), replaced(path) as out:
        yield out
