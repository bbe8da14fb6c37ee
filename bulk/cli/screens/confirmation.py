"""Show what a run would do, and ask whether it may."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

import click

from bulk.cli.execution import execute
from bulk.cli.following import watched
from bulk.cli.output import paint_for, print_lines, screen_width
from bulk.cli.screens.plan import plan_lines
from bulk.engine.plan import plan
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError
from bulk.exits import ExitCode
from bulk.model.inputs import has_no_place

if TYPE_CHECKING:
    from bulk.settings import Settings

__all__ = ["NotConfirmedError", "confirm"]


class NotConfirmedError(click.ClickException):
    """The user answered no, or stopped the plan: nothing was created, as after a Ctrl-C."""

    def __init__(self, message: str, *, exit_code: int = ExitCode.INTERRUPTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click itself looks at the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message without "Error:", since it is no error."""
        click.echo(self.format_message(), file=file, err=file is None)


def confirm(ctx: click.Context, input_name: str, settings: Settings, *, confirmed: bool) -> None:
    """Show the plan on stderr, and return once it may be carried out.

    Args:
        ctx: Context of a command with ``log_options``.
        input_name: Path of the input.
        settings: Those of the run that follows.
        confirmed: The user said yes already, so don't ask.

    Raises:
        SettingsError: There is nobody to ask, or the input can't be read twice.
        NotConfirmedError: The answer is no, or the plan was stopped.
    """
    if has_no_place(input_name):
        what = "stdin" if input_name == "-" else input_name
        raise SettingsError(f"--plan reads the input, and the run reads it again: give a file instead of {what}")
    if not (confirmed or sys.stdin.isatty()):
        raise SettingsError(
            "--plan asks before it goes on, and stdin is no terminal: add --yes to go on without asking"
        )
    stop = StopSignal()
    with watched(ctx, input_name, measured=False, noticed=False) as listener:
        made = execute(lambda: plan(input_name, settings, listener=listener, stop=stop), stop)
    # stdout is for the summary of the run.
    print_lines([*plan_lines(made, width=screen_width(), paint=paint_for(sys.stderr)), ""], err=True)
    if stop.exit_code is not None:
        raise NotConfirmedError("Nothing was created: the plan is incomplete.", exit_code=stop.exit_code)
    if not confirmed and not click.confirm("Go on?", err=True):
        raise NotConfirmedError("Nothing was created.")
