"""Names as text that can be stored and shown: of files, which need not be UTF-8 on POSIX, and of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["brief_run_id", "legible", "legible_fields", "spoken_targets"]

_BRIEF_DIGITS = 8
"""Enough to tell the runs of one ledger apart."""


def legible(text: str) -> str:
    r"""Return the text with each byte that is not UTF-8 written as ``\xff``. To open the file, use ``text`` itself."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that encodes no byte
        return text.encode("utf-8", "backslashreplace").decode()


def brief_run_id(run_id: str) -> str:
    """Return a run's name as people see it; JSON, logs and the ledger have its full id."""
    return run_id[:_BRIEF_DIGITS]


def legible_fields(value: object) -> object:
    """Return a value with all its texts legible, ready to be written as JSON."""
    match value:
        case str():
            return legible(value)
        case dict():
            return {name: legible_fields(one) for name, one in value.items()}
        case list() | tuple():
            return [legible_fields(one) for one in value]
        case _:
            return value


def spoken_targets(targets: Iterable[object]) -> str:
    """Return where the requests of all accounts go, for a line of a screen."""
    each = list(dict.fromkeys(map(str, targets)))
    return each[0] if len(each) == 1 else f"{len(each)} targets"
