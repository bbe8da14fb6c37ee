"""A group that imports its commands when they are used."""

from __future__ import annotations

import click
import pytest

from bulk.cli.help import LazyGroup


def test_name_of_something_else_than_a_command_is_a_bug_that_says_where() -> None:
    group = LazyGroup(commands_by_name={"pprint": "Print."}, modules="")

    with pytest.raises(TypeError, match=r"pprint\.pprint is no command"):
        group.get_command(click.Context(group), "pprint")


def test_connection_that_breaks_is_not_taken_for_a_reader_that_left() -> None:
    group = LazyGroup(commands_by_name={}, modules="")

    @group.command("go")
    def go() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    group.get_command = lambda _ctx, _name: go  # type: ignore[method-assign]  # the only command

    with pytest.raises(RuntimeError, match="a broken connection was not dealt with"):
        group.main(["go"], standalone_mode=False)
