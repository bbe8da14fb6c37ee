"""The command line: one file a command, each loaded only when it is used."""

from __future__ import annotations

from bulk.cli.app import main

__all__ = ["main"]
