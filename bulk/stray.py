"""Characters that get into settings and keys unnoticed: Windows line endings, spaces, marks and quotes. Pure."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["control_in", "is_quoted", "stray_in", "trimmed"]

_CONTROL = "Cc"
_UNSEEN = frozenset({_CONTROL, "Cf", "Zs", "Zl", "Zp"})
"""Unicode's categories of invisible characters: control and format characters, and white space of every width."""

_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\uff02\uff07"

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "\r": "a carriage return (\\r), as Windows line ends have",
        "\n": "a line break (\\n)",
        "\t": "a tab (\\t)",
        " ": "a space",
        "\u00a0": "a no-break space (U+00A0)",
        "\u200b": "a zero-width space (U+200B)",
        "\ufeff": "a byte order mark (U+FEFF)",
    }
)


def trimmed(text: str) -> str:
    """Return the text without invisible characters at its ends."""
    start, end = 0, len(text)
    while start < end and _is_unseen(text[start]):
        start += 1
    while end > start and _is_unseen(text[end - 1]):
        end -= 1
    return text[start:end]


def control_in(text: str) -> str | None:
    """Name the first control character of a text, ``None`` if there is none."""
    return next((_name(each) for each in text if unicodedata.category(each) == _CONTROL), None)


def stray_in(text: str) -> str | None:
    """Name the first character that no key or id can have; ``None``: all are visible ASCII, and none is a quote."""
    return next((_name(each) for each in text if not "!" <= each <= "~" or each in _QUOTES), None)


def is_quoted(text: str) -> bool:
    """Say whether a text begins or ends with a quote, straight or curly."""
    return bool(text) and (text[0] in _QUOTES or text[-1] in _QUOTES)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def _name(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    if character in _QUOTES:
        return f"a quote ({character})"
    return f"the character U+{ord(character):04X}"
