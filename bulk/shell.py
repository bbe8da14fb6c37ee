"""Words that a shell reads as they were meant, whatever their bytes are: for commands that bulk prints."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["shell_join", "shell_path", "shell_quote"]

_PLAIN_SIGNS = {ord("\\"): r"\\", ord("'"): r"\'", ord("\n"): r"\n", ord("\r"): r"\r", ord("\t"): r"\t"}


def shell_quote(text: str) -> str:
    r"""Return a word that bash reads as ``text``, on one line and in printable characters, whatever its bytes are."""
    return shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'"


def shell_join(words: Iterable[str]) -> str:
    """Return a command line that bash splits into these words."""
    return " ".join(map(shell_quote, words))


def shell_path(path: str) -> str:
    """Return a word that a command reads as this path, even if it begins like an option."""
    return shell_quote(f"./{path}" if path.startswith("-") else path)


def _escaped(character: str) -> str:
    if character.isprintable():
        return _PLAIN_SIGNS.get(ord(character), character)
    # Octal has at most three digits, whatever follows. bash knows \x and \u too, but other shells do not.
    named = _PLAIN_SIGNS.get(ord(character))
    return named or "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
