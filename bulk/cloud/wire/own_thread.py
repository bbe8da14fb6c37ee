"""Start blocking work in a separate thread. Nobody has to wait for the thread: a source may never answer.

The event loop's own pool has few threads, and the process waits for them when it ends: one silent source would block
the others.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

__all__ = ["started"]

_Result = TypeVar("_Result")


def started(work: Callable[[], _Result], *, name: str) -> Future[_Result]:
    """Return a future of what the work returns or raises.

    Args:
        work: Blocks. If the future is cancelled, it goes on alone, and the process can end without it.
        name: The thread's name.
    """
    loop = asyncio.get_running_loop()
    answer: Future[_Result] = loop.create_future()

    def tell(result: _Result | None, failure: BaseException | None) -> None:
        if answer.done():
            return
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # without a failure there is a result

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as exc:  # noqa: BLE001 - raised again where the future is awaited
            failure = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
