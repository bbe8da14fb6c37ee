"""The ledger's one way to write a time."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso_utc"]


def iso_utc(at: float) -> str:
    """Return seconds since the epoch as ``2026-11-22T20:41:55.123Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
