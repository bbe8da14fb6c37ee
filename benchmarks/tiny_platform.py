"""A platform that does nearly nothing: it answers every listing alike and every create with success.

It runs in a process of its own, on the last CPU, so that what is measured on the first is the client alone. It speaks
just enough HTTP/1.1 for clients with kept connections and requests without a body.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

import orjson
from inputs import module_of
from loops import installed_loops, loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

__all__ = ["CREATED", "LISTED", "on_first_cpu", "on_last_cpu", "tiny_platform"]

_END_OF_HEAD = b"\r\n\r\n"
_PRODUCT_KEY = re.compile(rb"ProductKey=(a1\d{9})")


def _reply(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


LISTED = _reply(b'{"RequestId":"9E76053E-26ED-4AB4-AE58-8AFC3F1D7A6E","Success":true,"Data":[]}')
CREATED = _reply(b'{"RequestId":"9E76053E-26ED-4AB4-AE58-8AFC3F1D7A6E","Success":true}')


def _listed(modules: int) -> bytes:
    """Return the listing of a product whose modules are as the rows of `inputs` want them, with ``KEY`` for its key."""
    shown = [
        {"ProductKey": "KEY", "ModuleName": name, "AliasName": alias, "Desc": desc, "GmtCreate": "2026-11-27T09:46Z"}
        for _, name, alias, desc in (module_of(slot, products=1) for slot in range(modules))
    ]
    return orjson.dumps({"RequestId": "9E76053E-26ED-4AB4-AE58-8AFC3F1D7A6E", "Success": True, "Data": shown})


class _Answering(asyncio.Protocol):
    """One kept connection."""

    def __init__(
        self, latency_s: tuple[float, float], uniform: Callable[[float, float], float], listing: bytes | None
    ) -> None:
        self._listing = listing
        self._latency_s = latency_s
        self._uniform = uniform
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        *heads, self._waiting = (self._waiting + data).split(_END_OF_HEAD)
        for head in heads:
            self._answer(self._listed(head) if b"Action=List" in head else CREATED)

    def _listed(self, head: bytes) -> bytes:
        product = _PRODUCT_KEY.search(head)
        if self._listing is None or product is None:
            return LISTED
        return _reply(self._listing.replace(b"KEY", product[1]))

    def _answer(self, reply: bytes) -> None:
        if self._latency_s[1]:
            asyncio.get_running_loop().call_later(self._uniform(*self._latency_s), self._transport.write, reply)
        else:
            self._transport.write(reply)


async def _serve(ready: Connection, latency_s: tuple[float, float], modules: int) -> None:
    listing = _listed(modules) if modules else None
    uniform = random.Random(1).uniform
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(latency_s, uniform, listing), "127.0.0.1", 0, backlog=4_096)
    ready.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, _until_closed, ready)


def _until_closed(ready: Connection) -> None:
    with suppress(EOFError):
        ready.recv()


def _process(ready: Connection, latency_s: tuple[float, float], modules: int) -> None:
    _pin(-1)
    with asyncio.Runner(loop_factory=loop_factory(installed_loops()[-1])) as runner:
        runner.run(_serve(ready, latency_s, modules))


@contextmanager
def tiny_platform(*, latency_s: tuple[float, float] = (0.0, 0.0), modules: int = 0) -> Iterator[str]:
    """Start the server, yield its URL, and end it.

    Args:
        latency_s: Bounds of how long a reply takes; each is drawn between them, the same sequence every time.
        modules: How many each listing shows, as the rows of `inputs` want them.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_process, args=(theirs, latency_s, modules), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        ours.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()


def on_first_cpu() -> None:
    """Keep this process, and all threads that it starts, on the first CPU."""
    _pin(0)


def on_last_cpu() -> None:
    """Keep this process on the last CPU."""
    _pin(-1)


def _pin(index: int) -> None:
    # Linux only; elsewhere the system's scheduler must do.
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[index]})
