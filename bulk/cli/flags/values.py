"""Read the values of flags: their forms, and the message when one can't be read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from bulk.cli.output import tell
from bulk.errors import SettingsError
from bulk.model import Outcome
from bulk.settings import FailureCap, parse_delimiter, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "complete_outcomes",
    "read_columns",
    "read_delimiter",
    "read_duration",
    "read_failure_cap",
    "read_faults",
    "read_input_name",
    "read_interval",
    "read_outcomes",
]

_Value = TypeVar("_Value")

_SHORTEST_INTERVAL_S = 0.1
_LONGEST_INTERVAL_S = 86_400


def _flag_value(parse: Callable[[str], _Value], text: str) -> _Value:
    """Make an error name the flag: click adds it."""
    try:
        return parse(text)
    except SettingsError as exc:
        raise click.BadParameter(str(exc.by_names(lambda field: f"--{field.replace('_', '-')}"))) from exc


def read_duration(text: str) -> float:
    """Read ``90s``, ``30m``, ``1h30m``, ``2d`` or a plain number of seconds; return seconds.

    Raises:
        click.BadParameter: It is none of these.
    """
    return _flag_value(parse_duration, text)


def read_faults(text: str) -> str:
    """Check a specification of the sandbox's faults before anything starts.

    Raises:
        click.BadParameter: It can't be read.
    """
    from bulk.sandbox import FaultPlan  # noqa: PLC0415 - it loads a server, which only a rehearsal needs

    _flag_value(FaultPlan.parse, text)
    return text


def read_interval(text: str) -> float:
    """Read seconds between two looks.

    Raises:
        click.BadParameter: It is no number, or out of bounds.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_INTERVAL_S <= seconds <= _LONGEST_INTERVAL_S:
        bounds = f"{_SHORTEST_INTERVAL_S:g} to {_LONGEST_INTERVAL_S:,}"
        raise click.BadParameter(f"{text!r} is not a number of seconds from {bounds}")
    return seconds


def read_failure_cap(text: str) -> FailureCap:
    """Read ``N`` rows or ``N%`` of them.

    Raises:
        click.BadParameter: It is neither.
    """
    return _flag_value(FailureCap.parse, text)


def read_delimiter(text: str) -> str:
    r"""Read one character; a tab may be written as ``\t`` or ``tab``.

    Raises:
        click.BadParameter: It is more or less than one character.
    """
    return _flag_value(parse_delimiter, text)


def read_columns(_ctx: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> Mapping[str, str]:
    """Read each ``Field=Column``; a click callback for an option that may be repeated.

    Only the first equals sign divides: a column's name may contain others. An empty column means no column. The reader
    knows which fields there are.

    Raises:
        click.BadParameter: A text is no such pair, or two name the same field.
    """
    columns: dict[str, str] = {}
    for text in texts:
        field, _, column = text.partition("=")
        if not field.strip() or "=" not in text:
            raise click.BadParameter(f"{text!r} is not FIELD=COLUMN, such as ProductKey=pk")
        if columns.setdefault(field.strip(), column) != column:
            raise click.BadParameter(f"{field.strip()} is given two columns, {columns[field.strip()]!r} and {column!r}")
    return columns


def read_input_name(ctx: click.Context, _parameter: click.Parameter, input_name: str) -> str:
    """Return an input's path. Refuse an empty one, as an unset shell variable gives.

    Raises:
        click.BadParameter: It is empty.
    """
    if not input_name:
        raise click.BadParameter("INPUT is empty: name a file, or - for stdin")
    if input_name == "-" and sys.stdin.isatty() and not ctx.resilient_parsing:
        tell("Reading rows from the terminal: Ctrl-D on a line of its own ends them")
    return input_name


def read_outcomes(text: str) -> frozenset[Outcome]:
    """Read names of outcomes, divided by commas.

    Raises:
        click.BadParameter: There is no such outcome, or none is named.
    """
    names = {name.strip().casefold().replace("-", "_") for name in text.split(",") if name.strip()}
    unknown = sorted(names - set(Outcome))
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is no outcome; there are {', '.join(Outcome)}")
    return frozenset(map(Outcome, names))


def complete_outcomes(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the outcomes that may follow the last comma, without those already named."""
    named, comma, last = incomplete.rpartition(",")
    taken = set(named.split(","))
    return [
        CompletionItem(f"{named}{comma}{outcome}")
        for outcome in Outcome
        if outcome.startswith(last) and outcome not in taken
    ]
