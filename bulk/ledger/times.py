"""The ledger's one way to write a time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["iso_utc"]


def iso_utc(at: float) -> str:
    """Return seconds since the epoch as ``2026-11-22T20:41:55.123Z``."""
    second, millisecond = divmod(int(at * 1000), 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=4)  # a second has many records, and formatting is most of what a time costs
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")
