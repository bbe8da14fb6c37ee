"""Ask a source of keys in a thread of its own, which nobody has to wait for: a source may never answer."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.renewal import Found

__all__ = ["SilentSourceError", "ask"]


class SilentSourceError(Exception):
    """A source did not answer in time; its text says how long it was waited for."""


async def ask(fetch: Callable[[], Found], *, within_s: float) -> Found:
    """Return what a source gives, or raise what it raises.

    Args:
        fetch: Asks the source; blocks. It goes on alone where it takes longer, and the process ends without it.
        within_s: How long to wait, in seconds.

    Raises:
        SilentSourceError: There is no answer by then.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def tell(found: Found | None, failure: BaseException | None) -> None:
        if answer.done():
            return
        if found is not None:
            answer.set_result(found)
        else:
            answer.set_exception(failure or RuntimeError("no keys and no reason"))

    def work() -> None:
        found, failure = None, None
        try:
            found = fetch()
        except BaseException as exc:  # noqa: BLE001 - raised by whoever waits
            failure = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, found, failure)

    # The loop's own pool would be waited for when the process ends.
    threading.Thread(target=work, name="bulk-keys", daemon=True).start()
    try:
        await asyncio.wait([answer], timeout=within_s)
        if answer.done():
            return answer.result()
    finally:
        answer.cancel()
    raise SilentSourceError(f"no answer in {within_s:g} s")
