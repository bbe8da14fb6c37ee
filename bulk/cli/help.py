"""How `--help` looks: options under the heading that says what they are for, commands loaded when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bulk.stray import control_in, is_quoted, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GroupedCommand", "GroupedOption", "LazyGroup"]


class GroupedOption(click.Option):
    """An option that knows its heading, and refuses invisible characters."""

    def __init__(self, *args: Any, heading: str, any_text: bool = False, **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        """Take click's parameters, and two more.

        Args:
            args: As click takes them.
            heading: The option's heading.
            any_text: Allow control characters: a column's name can contain a line break.
            attributes: As click takes them.
        """
        super().__init__(*args, **attributes)
        self.heading = heading
        self._any_text = any_text

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the variable's value without invisible characters at its ends, such as a Windows line ending."""
        value = super().resolve_envvar_value(ctx)
        return None if value is None else trimmed(value) or None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:  # noqa: ANN401 - click's own signature
        """Convert the value, after checks for common slips.

        Raises:
            click.BadParameter: It contains a control character, or the variable's value has quotes around it.
        """
        if isinstance(value, str) and not self._any_text:
            self._refuse_slips(ctx, value)
        return super().type_cast_value(ctx, value)

    def _refuse_slips(self, ctx: click.Context, value: str) -> None:
        of_variable = ctx.get_parameter_source(self.name or "") is ParameterSource.ENVIRONMENT
        if of_variable and is_quoted(value):
            raise click.BadParameter(
                f"{self.envvar} has quotes around its value (docker's --env-file keeps them): remove the quotes",
                ctx=ctx,
                param=self,
            )
        if stray := control_in(value):
            holds = f"{self.envvar} holds" if of_variable else "the value holds"
            raise click.BadParameter(f"{holds} {stray}: remove it", ctx=ctx, param=self)


class GroupedCommand(click.Command):
    """A command whose help lists the options by heading, in the order in which the headings first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading; options without a heading come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # The text above explains arguments: here they would be empty lines.
            if record is not None and isinstance(parameter, click.Option):
                heading = parameter.heading if isinstance(parameter, GroupedOption) else None
                (sections.setdefault(heading, []) if heading else others).append(record)
        for heading, records in [*sections.items(), ("Other", others)]:
            with formatter.section(heading):
                formatter.write_dl(records)


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, so that `--help` answers at once."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own signature
        commands_by_name: Mapping[str, str],
        modules: str = "bulk.cli.commands.",
        **attributes: Any,  # noqa: ANN401 - as above
    ) -> None:
        """Take click's parameters, and the commands to load.

        Args:
            args: As click takes them.
            commands_by_name: Command → its line in the overview, in the order of the overview. The command ``name``
                is the attribute ``name`` of a module. That module's name is ``modules`` followed by ``name``.
            modules: Prefix of the modules' names.
            attributes: As click takes them.
        """
        super().__init__(*args, **attributes)
        self._overview = commands_by_name
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return the commands in the order of the overview."""
        return list(self._overview)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own signature
        """Import the command's module and return the command."""
        if cmd_name not in self._overview:
            return None
        module = f"{self._modules}{cmd_name}"
        command = getattr(import_module(module), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; if there is none, say which one is like it."""
        from difflib import get_close_matches  # noqa: PLC0415 - `--help` need not wait for it

        alike = get_close_matches(args[0], self._overview, n=1)
        if args[0] not in self._overview and alike and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{alike[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own signature
        """Write the overview without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._overview.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command.

        Raises:
            RuntimeError: A connection broke unnoticed. Click would take a BrokenPipeError for a closed stdout.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as exc:
            raise RuntimeError(f"a broken connection was not dealt with: {exc}") from exc
