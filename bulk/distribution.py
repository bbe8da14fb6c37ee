"""The name that `pip` knows this program by: it need not be the command's."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["DISTRIBUTION", "installed_version"]

DISTRIBUTION = "bulk"


def installed_version() -> str:
    """Return the version that is installed; it reads files."""
    return version(DISTRIBUTION)
