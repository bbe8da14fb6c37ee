"""Ask a source of keys in a separate thread. Nobody has to wait for the thread: a source may never answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bulk.cloud.wire.own_thread import started

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.keys.renewal import Found

__all__ = ["SilentSourceError", "ask"]


class SilentSourceError(Exception):
    """A source did not answer in time; the text says how long bulk waited."""


async def ask(fetch: Callable[[], Found], *, within_s: float) -> Found:
    """Return what a source gives, or raise what it raises.

    Args:
        fetch: Asks the source; blocks. If it takes longer, it goes on alone, and the process can end without it.
        within_s: How long to wait, in seconds.

    Raises:
        SilentSourceError: There was no answer within that time.
    """
    answer = started(fetch, name="bulk-keys")
    try:
        await asyncio.wait([answer], timeout=within_s)
        if answer.done():
            return answer.result()
    finally:
        answer.cancel()
    raise SilentSourceError(f"no answer in {within_s:g} s")
