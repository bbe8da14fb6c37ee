"""The command line: one file a command, each loaded only when it is used."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from bulk.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_PATIENCE_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; see `bulk.cli.app.main`."""
    try:
        from bulk.cli.app import main as run_command  # noqa: PLC0415 - takes a moment, and Ctrl-C may come in it
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    exit_code = run_command(arguments)
    if arguments is None:
        _leave_what_hangs(exit_code)
    return exit_code


def _leave_what_hangs(exit_code: int) -> None:
    """End the process at once: Python would wait for threads that hang on a silent network."""
    end_at = time.monotonic() + _PATIENCE_S
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    for thread in others:
        thread.join(max(end_at - time.monotonic(), 0))
    if any(thread.is_alive() for thread in others):
        os._exit(exit_code)
