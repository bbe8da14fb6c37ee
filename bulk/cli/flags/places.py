"""Options that say where a command puts files, for commands that share them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bulk.cli.help import GroupedOption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["table_option", "work_folder_option"]

_Decorated = TypeVar("_Decorated", bound="Callable[..., object]")


def table_option(heading: str, *, metavar: str = "FILE", besides: str = "") -> Callable[[_Decorated], _Decorated]:
    """Let a command take the path of the table that it writes.

    Args:
        heading: Heading of its help.
        metavar: What the command's page calls the file.
        besides: More of its help.
    """
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        required=True,
        metavar=metavar,
        cls=GroupedOption,
        any_text=True,  # a file may have such a name
        heading=heading,
        help=f"Write to this file, whose name ends in .csv, .jsonl or .ndjson.{besides}",
    )


def work_folder_option(heading: str) -> Callable[[_Decorated], _Decorated]:
    """Let a command take the folder in which a machine works on shards; its help is below this heading."""
    return click.option(
        "--work-folder",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        envvar="BULK_WORK_FOLDER",
        cls=GroupedOption,
        heading=heading,
        any_text=True,  # a folder may have such a name
        help="Where each machine keeps ledgers of shards; on its own disk.  [default: bulk-fleet-UID in /tmp]",
    )
