"""A platform for many accounts that stamps the arrival of every request, in a process of its own.

It answers as `tiny_platform` does. What it has stamped, it tells when it is asked: account by account, so that each can
be held to its own rate by who counts, and not by who sends.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import re
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from loops import installed_loops, loop_factory
from tiny_platform import CREATED, LISTED, on_last_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection

__all__ = ["StampingPlatform", "stamping_platform"]

_END_OF_HEAD = b"\r\n\r\n"
_KEY = re.compile(rb"AccessKeyId=([^&\s]+)")
_ANSWERS_S = 0.005, 0.025
"""How long an answer takes, as over a network within a region."""

Stamps = dict[str, dict[str, list[float]]]
"""AccessKeyId → ``list`` or ``create`` → when each of them arrived, in seconds of a clock of its own."""


class StampingPlatform:
    """The server, as the benchmark's process sees it."""

    def __init__(self, endpoint: str, line: Connection) -> None:
        self.endpoint = endpoint
        self._line = line

    def stamps(self) -> Mapping[str, Mapping[str, list[float]]]:
        """Return what arrived since the last question."""
        self._line.send("stamps")
        return cast("Stamps", self._line.recv())


class _Stamping(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, stamps: Stamps, uniform: Callable[[float, float], float]) -> None:
        self._stamps = stamps
        self._uniform = uniform
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        """Stamp and answer every request that is complete."""
        now = time.perf_counter()
        *heads, self._waiting = (self._waiting + data).split(_END_OF_HEAD)
        for head in heads:
            key = _KEY.search(head)
            assert key is not None, head
            is_list = b"Action=List" in head
            self._stamps[key[1].decode()]["list" if is_list else "create"].append(now)
            later = self._uniform(*_ANSWERS_S)
            asyncio.get_running_loop().call_later(later, self._transport.write, LISTED if is_list else CREATED)


@contextmanager
def stamping_platform() -> Iterator[StampingPlatform]:
    """Start the server, and end it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_process, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield StampingPlatform(f"http://127.0.0.1:{ours.recv()}", ours)
    finally:
        ours.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()


def _process(line: Connection) -> None:
    on_last_cpu()
    with asyncio.Runner(loop_factory=loop_factory(installed_loops()[-1])) as runner:
        runner.run(_serve(line))


async def _serve(line: Connection) -> None:
    uniform = random.Random(1).uniform
    stamps: Stamps = defaultdict(lambda: {"list": [], "create": []})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Stamping(stamps, uniform), "127.0.0.1", 0, backlog=4_096)
    line.send(server.sockets[0].getsockname()[1])
    while await loop.run_in_executor(None, _is_asked, line):
        line.send(dict(stamps))
        stamps.clear()


def _is_asked(line: Connection) -> bool:
    try:
        return bool(line.recv() == "stamps")
    except EOFError:
        return False
