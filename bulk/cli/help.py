"""How `--help` looks: options under the heading that says what they are for, commands loaded when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GroupedCommand", "GroupedOption", "LazyGroup"]


class GroupedOption(click.Option):
    """An option that knows its heading."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        """Take click's parameters, and the heading to stand under."""
        super().__init__(*args, **attributes)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose help lists the options by heading, in the order in which the headings first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a heading; options without one come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # Arguments are explained in the text above: here they would be empty lines.
            if record is not None and isinstance(parameter, click.Option):
                heading = parameter.heading if isinstance(parameter, GroupedOption) else None
                (sections.setdefault(heading, []) if heading else others).append(record)
        for heading, records in [*sections.items(), ("Other", others)]:
            with formatter.section(heading):
                formatter.write_dl(records)


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, so that `--help` answers at once."""

    def __init__(self, *args: Any, commands_by_name: Mapping[str, str], **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        """Take click's parameters, and what there is to load.

        Args:
            args: As click takes them.
            commands_by_name: Command → its line in the overview, in the order of the overview. The command ``name``
                is the attribute ``name`` of the module ``bulk.cli.name``.
            attributes: As click takes them.
        """
        super().__init__(*args, **attributes)
        self._overview = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return the commands in the order of the overview."""
        return list(self._overview)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own signature
        """Import the command's module and return the command."""
        if cmd_name not in self._overview:
            return None
        command = getattr(import_module(f"bulk.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"bulk.cli.{cmd_name}.{cmd_name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own signature
        """Write the overview without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._overview.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command.

        Raises:
            RuntimeError: A connection broke unnoticed. As BrokenPipeError, click would take it for a closed stdout.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as exc:
            raise RuntimeError(f"a broken connection was not dealt with: {exc}") from exc
