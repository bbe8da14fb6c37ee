"""Run the engine from a command: the event loop, and the signals that end it."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk.exits import ExitCode
from bulk.logs.backlog import write_if_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType
    from typing import Any

__all__ = ["Stoppable", "execute", "execute_in_thread"]

_Result = TypeVar("_Result")

_ENDINGS = {
    signal.SIGINT: ("interrupted by Ctrl-C", ExitCode.INTERRUPTED),
    signal.SIGTERM: ("terminated by SIGTERM", ExitCode.TERMINATED),
    signal.SIGHUP: ("terminated by SIGHUP: the terminal or the connection was closed", ExitCode.TERMINATED),
}
"""Signal → why a run ends, and its exit code. A SIGHUP is handled like a SIGTERM."""

_IMPATIENT_AFTER_S = 1.0
"""A second signal sooner than this repeats the first: `timeout` signals the process, and then its group."""

_MOST_THREADS = 16
"""Threads that a run may need: libuv's four, our own, and those of the default executor."""

_STDERR = 2
_SHOW_CURSOR = b"\x1b[?25h\n"
_LEFT = b"Exited immediately. The next run finds out what became of the requests in flight.\n"


class Stoppable(Protocol):
    """Something that can be asked to stop, such as ``bulk.engine.stop.StopSignal``."""

    def request(self, reason: str, *, exit_code: int) -> None:
        """Ask for a graceful stop; returns at once."""


def execute(work: Callable[[], Coroutine[Any, Any, _Result]], stop: Stoppable) -> _Result:
    """Run the work to its end on an event loop of its own, on uvloop where that is installed.

    The first SIGINT, SIGTERM or SIGHUP asks ``stop``; another one, a second later, ends the process at once. A SIGHUP
    that is ignored, as under `nohup`, stays ignored.

    Args:
        work: Called once, on the loop.
        stop: What the first signal asks to stop.
    """
    # The modules loaded so far are never garbage. Each scan of them takes tens of milliseconds, and delays requests.
    gc.freeze()
    with _runner() as runner:
        return runner.run(_with_signals(work, stop))


def execute_in_thread(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run the work to its end on an event loop of its own, in a thread of a program that handles its own signals."""

    async def unwaited() -> _Result:
        asyncio.get_running_loop().set_default_executor(_Unwaited())
        return await work()

    with _runner() as runner:
        return runner.run(unwaited())


def _runner() -> asyncio.Runner:
    _raise_open_files()
    return asyncio.Runner(loop_factory=_loop_factory())


class _Unwaited(ThreadPoolExecutor):
    """Threads that a loop does not wait for when it closes.

    Work that must finish, such as a commit, is awaited by the code that started it (`bulk.engine.threads`). Other
    threads resolve a name or fetch keys. On a silent network, waiting for them would delay the exit.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as in the base
        super().shutdown(wait=False, cancel_futures=cancel_futures)


async def _with_signals(work: Callable[[], Coroutine[Any, Any, _Result]], stop: Stoppable) -> _Result:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_Unwaited())
    with _graceful(loop, stop):
        return await work()


@contextmanager
def _graceful(loop: asyncio.AbstractEventLoop, stop: Stoppable) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _ENDINGS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    impatient_at = float("inf")

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal impatient_at
        if time.monotonic() >= impatient_at:
            _leave(number)
        if impatient_at < float("inf"):
            return
        impatient_at = time.monotonic() + _IMPATIENT_AFTER_S
        reason, exit_code = _ENDINGS[signal.Signals(number)]
        loop.call_soon_threadsafe(partial(stop.request, reason, exit_code=exit_code))

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int) -> None:
    """End the process now: the ledger survives an exit at any instant."""
    # Python's streams are not used: the interrupted code may hold their locks. A stuck stderr must not block the exit.
    write_if_ready(_STDERR, (_SHOW_CURSOR if os.isatty(_STDERR) else b"") + _LEFT)
    _, exit_code = _ENDINGS[signal.Signals(number)]
    os._exit(exit_code)


def _raise_open_files() -> None:
    """Raise the limit of open files as far as allowed: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _has_threads() -> bool:
    """Say whether the system allows as many threads as a run may need: if not, uvloop would abort the process."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(_MOST_THREADS)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError):
        return False
    finally:
        over.set()
        for thread in started:
            thread.join()
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None or not _has_threads():
        return None
    import uvloop  # noqa: PLC0415 - an extra, not a dependency

    return uvloop.new_event_loop
