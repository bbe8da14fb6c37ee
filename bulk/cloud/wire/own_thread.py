"""Start blocking work in a thread of its own, which nobody has to wait for: what it asks may never answer.

The loop's own pool has few threads, and is waited for when the process ends: one silent source would hold others up.
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
    """Return what becomes what the work returns or raises.

    Args:
        work: Blocks. It goes on alone where the future is cancelled, and the process ends without it.
        name: Of the thread.
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
        except BaseException as exc:  # noqa: BLE001 - raised where it is waited for
            failure = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
