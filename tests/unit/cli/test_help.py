"""A group that imports its commands when they are used."""

from __future__ import annotations

import click
import pytest

from bulk.cli.help import LazyGroup


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
