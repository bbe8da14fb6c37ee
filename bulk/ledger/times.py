"""The ledger's one way to write a time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["iso_utc"]


def iso_utc(at: float) -> str:
    """Return seconds since the epoch as ``2026-11-22T20:41:55.123Z``."""
    return _millisecond(int(at * 1000))


@lru_cache(maxsize=64)  # a busy millisecond has many records, and to format is most of what a time costs
def _millisecond(at_ms: int) -> str:
    second, millisecond = divmod(at_ms, 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=4)  # so has a second at a lower rate
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")
