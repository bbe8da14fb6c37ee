"""Names as text that can be stored and shown: of files, which need not be UTF-8 on POSIX, and of runs."""

from __future__ import annotations

__all__ = ["brief_run_id", "legible", "legible_fields"]

_BRIEF_DIGITS = 8
"""Enough to tell the runs of one ledger apart."""


def legible(text: str) -> str:
    r"""Return the text, each byte of a name that is no UTF-8 written as ``\xff``; only ``text`` opens the file."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a character, which stands for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def brief_run_id(run_id: str) -> str:
    """Return how a run is named to people; JSON, logs and the ledger have its whole id."""
    return run_id[:_BRIEF_DIGITS]


def legible_fields(value: object) -> object:
    """Return the value, of which JSON is to be made, with all its texts legible."""
    match value:
        case str():
            return legible(value)
        case dict():
            return {name: legible_fields(one) for name, one in value.items()}
        case list() | tuple():
            return [legible_fields(one) for one in value]
        case _:
            return value
