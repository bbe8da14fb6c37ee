"""Say which command goes on with the ledger that a fleet's merge has made: no command has made it before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bulk.ledger.views.reading import at_one_moment, read_input, read_input_name
from bulk.rows import InputShape
from bulk.shell import shell_join, shell_path

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["continuing_command"]


def continuing_command(ledger: Path, *, program: Sequence[str] = ("bulk",)) -> str | None:
    """Return the command; ``None``: the input is not on this machine, or was read by a map, whose path is not known.

    Args:
        ledger: A merged ledger.
        program: What starts `bulk` here.

    Raises:
        LedgerError: It can't be read.
    """
    name = read_input_name(ledger)
    if name is None or not Path(name).is_file():
        return None
    with at_one_moment(ledger) as connection:
        shape = read_input(connection, ledger)
    if shape is None or InputShape.from_json(shape).is_mapped:
        return None
    return f"{shell_join(program)} run {shell_path(name)} --ledger {shell_path(str(ledger))}"
