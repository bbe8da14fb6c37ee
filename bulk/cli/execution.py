"""Run the engine from a command: the event loop, the two signals, and what a crash leaves behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType
    from typing import Any

__all__ = ["Stoppable", "execute"]

_Result = TypeVar("_Result")

_REASONS = {signal.SIGINT: "interrupted by Ctrl-C", signal.SIGTERM: "terminated by SIGTERM"}
_EXIT_CODE_OF_SIGNALS = 128
"""A shell reports a process that a signal ended as this plus the signal's number."""

_STDERR = 2
_SHOW_CURSOR = b"\x1b[?25h\n"
_LEFT = b"Left at once. The next run asks the platform what became of the requests in flight.\n"


class Stoppable(Protocol):
    """What is asked to stop; ``bulk.engine.stop.StopSignal`` is one."""

    def request(self, reason: str, *, exit_code: int) -> None:
        """Ask for a graceful stop; returns at once."""


def execute(work: Callable[[], Coroutine[Any, Any, _Result]], stop: Stoppable) -> _Result:
    """Run the work to its end on an event loop of its own, on uvloop where that is installed.

    The first SIGINT or SIGTERM asks ``stop``; a second one ends the process at once.

    Args:
        work: Called once, on the loop.
        stop: What the first signal asks to stop.
    """
    # What was loaded stays: to look through all of it again takes tens of milliseconds, by which a request leaves late.
    gc.freeze()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_with_signals(work, stop))


async def _with_signals(work: Callable[[], Coroutine[Any, Any, _Result]], stop: Stoppable) -> _Result:
    with _graceful(asyncio.get_running_loop(), stop):
        return await work()


@contextmanager
def _graceful(loop: asyncio.AbstractEventLoop, stop: Stoppable) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _REASONS}

    def first(number: int, _frame: FrameType | None) -> None:
        # The second signal first: it may come while the first is answered, and it must work when the loop is stuck.
        for each in _REASONS:
            signal.signal(each, _leave)
        asked = signal.Signals(number)
        loop.call_soon_threadsafe(partial(stop.request, _REASONS[asked], exit_code=_EXIT_CODE_OF_SIGNALS + number))

    for number in _REASONS:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End the process now; the ledger is made to be left at any instant."""
    # Written past Python's own streams: whoever was interrupted may hold their locks.
    with suppress(OSError):
        os.write(_STDERR, (_SHOW_CURSOR if os.isatty(_STDERR) else b"") + _LEFT)
    os._exit(_EXIT_CODE_OF_SIGNALS + number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - an extra, not a dependency

    return uvloop.new_event_loop
