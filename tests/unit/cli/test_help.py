"""What `--help` looks like on a usual terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from bulk.cli.app import app
from bulk.cli.help import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 80


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(app)), ids=" ".join)
def test_help_fits_a_usual_terminal(path: tuple[str, ...]) -> None:
    command: click.Command | None = app
    context = click.Context(app, info_name="bulk")
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context, terminal_width=COLUMNS)

    lines = context.get_help().splitlines()

    # An example that has no blank stays whole, so that you can copy it.
    assert [line for line in lines if len(line) > COLUMNS and " " in line.strip()] == []


def test_name_of_something_else_than_a_command_is_a_bug_that_says_where() -> None:
    group = LazyGroup(commands_by_name={"pprint": "Print."}, modules="")

    with pytest.raises(TypeError, match=r"pprint\.pprint is no command"):
        group.get_command(click.Context(group), "pprint")


class OnlyOne(LazyGroup):
    """A group of one command, whose connection breaks."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own signature
        def go() -> None:
            raise BrokenPipeError(32, "Broken pipe")

        return click.Command("go", callback=go)


def test_connection_that_breaks_is_not_taken_for_a_reader_that_left() -> None:
    with pytest.raises(RuntimeError, match="a broken connection was not dealt with"):
        OnlyOne(commands_by_name={}, modules="").main(["go"], standalone_mode=False)
