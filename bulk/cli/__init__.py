"""The command line: one file a command, each loaded only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; see `bulk.cli.app.main`."""
    try:
        from bulk.cli.app import main as run_command  # noqa: PLC0415 - takes a while, in which Ctrl-C may come
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return run_command(arguments)
