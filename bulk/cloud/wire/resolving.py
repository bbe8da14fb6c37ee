"""Resolve host names, each in a thread of its own: a name server that is silent about one holds no other up."""

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
    """Return aiohttp's resolver of the system's names, with threads of its own."""
    return aiohttp.ThreadedResolver(_Lookups())  # type: ignore[arg-type]  # of a loop it uses these two methods alone


class _Lookups:
    """What a loop does for names: the default one has few threads, and uvloop's has four, for all there is to do."""

    async def getaddrinfo(self, host: str, port: int, **hints: int) -> Sequence[object]:
        return await _looked_up(partial(socket.getaddrinfo, host, port, **hints))

    async def getnameinfo(self, address: tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        return await _looked_up(partial(socket.getnameinfo, address, flags))


async def _looked_up(work: Callable[[], _Result]) -> _Result:
    try:
        looking = started(work, name="bulk-names")
    except RuntimeError as exc:  # the system gives no more threads
        raise OSError(errno.EAGAIN, str(exc)) from exc
    return await looking
