"""Names of files as text that can be stored and shown: on POSIX a name is bytes, and need not be UTF-8."""

from __future__ import annotations

__all__ = ["legible", "legible_fields"]


def legible(text: str) -> str:
    r"""Return the text, each byte of a name that is no UTF-8 written as ``\xff``; only ``text`` opens the file."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
