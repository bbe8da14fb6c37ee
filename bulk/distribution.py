"""The name that `pip` knows this program by. `bulk` itself is another project on PyPI; command and package keep it."""

from __future__ import annotations

__all__ = ["DISTRIBUTION", "installed_version"]

DISTRIBUTION = "bulk-ota-modules"


def installed_version() -> str:
    """Return the installed version; reads files."""
    from importlib.metadata import version  # noqa: PLC0415 - slow to import, and a help page needs only the name

    return version(DISTRIBUTION)
