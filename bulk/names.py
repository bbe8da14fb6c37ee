"""Names as text that can be stored, shown and pasted: of files, which need not be UTF-8 on POSIX, and of runs."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DISTRIBUTION",
    "brief_run_id",
    "has_no_place",
    "legible",
    "legible_fields",
    "shell_join",
    "shell_path",
    "shell_quote",
]

DISTRIBUTION = "bulk"
"""What `pip` knows this program as."""

_PLAIN_SIGNS = {ord("\\"): r"\\", ord("'"): r"\'", ord("\n"): r"\n", ord("\r"): r"\r", ord("\t"): r"\t"}

_BRIEF_DIGITS = 8
"""Enough to tell the runs of one ledger apart."""

_DESCRIPTOR = re.compile(r"-|/dev/(?:stdin|fd/\d+)|/proc/(?:self|thread-self|\d+)/fd/\d+")


def has_no_place(path: str) -> bool:
    """Say whether an input is named by a descriptor, as stdin is: no file is beside it, and it can't be read twice."""
    return _DESCRIPTOR.fullmatch(path) is not None


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


def shell_quote(text: str) -> str:
    r"""Return a word that bash reads as ``text``, on one line and in printable characters, whatever its bytes are."""
    return shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'"


def shell_join(words: Iterable[str]) -> str:
    """Return a command line that bash takes apart into these words."""
    return " ".join(map(shell_quote, words))


def shell_path(path: str) -> str:
    """Return a word that a command reads as this path, also where it begins as an option does."""
    return shell_quote(f"./{path}" if path.startswith("-") else path)


def _escaped(character: str) -> str:
    if character.isprintable():
        return _PLAIN_SIGNS.get(ord(character), character)
    # Octal: never more than three digits, whatever follows. bash knows \x and \u too, but other shells do not.
    named = _PLAIN_SIGNS.get(ord(character))
    return named or "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
