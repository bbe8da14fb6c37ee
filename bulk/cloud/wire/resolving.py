"""Resolve host names, each in its own thread: if a name server does not answer for one, the others don't wait."""

from __future__ import annotations

import errno
import socket
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from bulk.cloud.wire.own_thread import started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["resolver"]

_Result = TypeVar("_Result")


def resolver() -> aiohttp.ThreadedResolver:
    """Return aiohttp's resolver for the system's names, with a thread for each name."""
    return aiohttp.ThreadedResolver(_Lookups())  # type: ignore[arg-type]  # it uses only these two methods of a loop


class _Lookups:
    """The part of a loop that resolves names. The default loop has few threads for all work, and uvloop has four."""

    async def getaddrinfo(self, host: str, port: int, **hints: int) -> Sequence[object]:
        return await _looked_up(partial(socket.getaddrinfo, host, port, **hints))

    async def getnameinfo(self, address: tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        return await _looked_up(partial(socket.getnameinfo, address, flags))


async def _looked_up(work: Callable[[], _Result]) -> _Result:
    try:
        looking = started(work, name="bulk-names")
    except RuntimeError as exc:  # the system can't start another thread
        raise OSError(errno.EAGAIN, str(exc)) from exc
    return await looking
