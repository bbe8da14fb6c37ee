"""The event loops that a benchmark may run on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["installed_loops", "loop_factory"]


def installed_loops() -> list[str]:
    """Return the names of those that are here, the fastest last."""
    return ["asyncio", "uvloop"] if find_spec("uvloop") else ["asyncio"]


def loop_factory(loop: str) -> Callable[[], AbstractEventLoop] | None:
    """Return what ``asyncio.Runner`` makes a loop of this name with."""
    if loop == "asyncio":
        return None
    import uvloop  # noqa: PLC0415 - an extra: loaded only where it is asked for

    return uvloop.new_event_loop
