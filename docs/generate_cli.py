"""Write docs/cli.md from the program itself: `python docs/generate_cli.py`. A test says when the page is out of date.

No part of the program, and not installed: it reads the click commands and writes Markdown.
"""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import click

from bulk.cli.app import COMMANDS, app
from bulk.cli.help import GroupedOption

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PAGE", "reference"]

PAGE = Path(__file__).with_name("cli.md")

_WIDTH = 110
"""Columns of text."""

_AS_IT_STANDS = "\b\n"
"""Before a paragraph that click is not to wrap."""

_HEAD = """\
<!-- Written by `python docs/generate_cli.py`; what is changed here by hand is lost. -->

# Commands and options

What `bulk --help` and `bulk COMMAND --help` say, on one page. What the commands are for is in the
[README](../README.md); how to run them every night in [operations.md](operations.md).

"""


def reference() -> str:
    """Return the whole page."""
    with click.Context(app, info_name="bulk") as context:
        sections = [section for name in app.list_commands(context) for section in _sections(name, app, context)]
    return f"{_HEAD}{_overview()}{''.join(sections)}"


def _overview() -> str:
    rows = "".join(f"| [`bulk {name}`](#bulk-{name}) | {_cell(line)} |\n" for name, line in COMMANDS.items())
    return f"| command | what it is for |\n|---|---|\n{rows}"


def _sections(name: str, group: click.Group, parent: click.Context) -> Iterator[str]:
    """Yield the section of a command, and those of its own commands."""
    command = group.get_command(parent, name)
    if command is None:
        raise LookupError(f"{name} is in the overview, and is no command")
    with click.Context(command, parent, info_name=name) as context:
        path = context.command_path
        usage = " ".join(command.collect_usage_pieces(context))
        blocks = [f"## {path}", f"`{path} {usage}`", _prose(command), *_tables(command), _ending(context)]
        yield "".join(f"\n{block}\n" for block in blocks if block)
        if isinstance(command, click.Group):
            for own in command.list_commands(context):
                yield from _sections(own, command, context)


def _prose(command: click.Command) -> str:
    """Return the help text, wrapped afresh: a docstring that was only wrapped anew makes no new page."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{text.removeprefix(_AS_IT_STANDS)}\n```" if text.startswith(_AS_IT_STANDS) else fill(text, _WIDTH)
        for text in paragraphs
    )


def _tables(command: click.Command) -> Iterator[str]:
    """Yield a table of options a heading, in the order in which `--help` shows them."""
    sections: dict[str, list[click.Option]] = {}
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            heading = option.heading if isinstance(option, GroupedOption) else "Options"
            sections.setdefault(heading, []).append(option)
    for heading, options in sections.items():
        columns = {"option": _spelling, "environment": _variables, "meaning": _meaning}
        if not any(option.envvar for option in options):
            del columns["environment"]
        head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
        rows = ["".join(f"| {_cell(column(option))} " for column in columns.values()) + "|" for option in options]
        yield "\n".join([f"**{heading}**", "", head, *rows])


def _spelling(option: click.Option) -> str:
    names = " / ".join(", ".join(names) for names in (option.opts, option.secondary_opts) if names)
    return f"`{f'{names} {_value(option)}'.rstrip()}`"


def _variables(option: click.Option) -> str:
    names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
    return ", ".join(f"`{name}`" for name in names)


def _meaning(option: click.Option) -> str:
    default = option.default
    shown = f"{default:g}" if isinstance(default, float) else default
    return f"{option.help or ''}  [default: {shown}]" if option.show_default else option.help or ""


def _value(option: click.Option) -> str:
    """Return what stands for the option's value; our own words, as click's differ between its versions."""
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return "N" if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType) else "TEXT"


def _ending(context: click.Context) -> str:
    """Return what stands below the options, as the program prints it."""
    formatter = click.HelpFormatter(width=_WIDTH)
    context.command.format_epilog(context, formatter)
    text = formatter.getvalue().strip("\n")
    return f"```text\n{cleandoc(text)}\n```" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"{PAGE} is written")  # noqa: T201 - a script says what it did
