"""Read the values of flags: how they are written, and what is said when they can't be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from bulk.errors import SettingsError
from bulk.model import Outcome
from bulk.settings import FailureCap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["read_columns", "read_delimiter", "read_duration", "read_failure_cap", "read_outcomes"]

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)([dhms])"


def read_duration(text: str) -> float:
    """Read ``90s``, ``30m``, ``1h30m``, ``2d`` or a plain number of seconds; return seconds.

    Raises:
        click.BadParameter: It is none of these.
    """
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"(?:{_PART})+", text):
        raise click.BadParameter(f"{text!r} is no duration; write 90s, 30m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))


def read_failure_cap(text: str) -> FailureCap:
    """Read ``N`` rows or ``N%`` of them.

    Raises:
        click.BadParameter: It is neither.
    """
    try:
        return FailureCap.parse(text)
    except SettingsError as exc:
        raise click.BadParameter(str(exc)) from exc


def read_columns(_ctx: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> Mapping[str, str]:
    """Read each ``Field=Column``, as click calls back for an option that may be repeated.

    Only the first equals sign divides: a column's name may hold others. Which fields there are, the reader knows.

    Raises:
        click.BadParameter: One is no such pair, or a field is named twice.
    """
    columns: dict[str, str] = {}
    for text in texts:
        field, _, column = text.partition("=")
        if not field.strip() or not column:
            raise click.BadParameter(f"{text!r} is no FIELD=COLUMN, such as ProductKey=pk")
        if columns.setdefault(field.strip(), column) != column:
            raise click.BadParameter(f"{field.strip()} is given two columns, {columns[field.strip()]!r} and {column!r}")
    return columns


def read_delimiter(text: str) -> str:
    r"""Read one character; a tab may be written as ``\t`` or ``tab``.

    Raises:
        click.BadParameter: It is more or less than one character.
    """
    character = "\t" if text in {"\\t", "tab"} else text
    if len(character) != 1:
        raise click.BadParameter(f"{text!r} is not one character; for a tab write tab")
    return character


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
