"""Keep a spreadsheet from running a cell as a formula."""

from __future__ import annotations

__all__ = ["harmless"]

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a formula may begin; the last four are the full-width forms of the first four."""


def harmless(cell: object) -> object:
    """Return a cell that a spreadsheet shows but does not run: a leading apostrophe makes it text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_STARTS) else cell
