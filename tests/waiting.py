"""Waiting for what another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_S = 60.0


def wait_until(is_so: Callable[[], object], otherwise: str) -> None:
    """Look again and again: there is no event to wait for, and the other process wants the processor."""
    end_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_at, otherwise
        time.sleep(0.002)
