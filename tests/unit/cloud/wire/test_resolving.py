"""Names are resolved each on its own: sockets' lookups are stood in for, so nothing leaves this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.wire.resolving import resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
SILENT = 40


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let lookups of names that begin with "silent" wait for the end of the test."""
    over = threading.Event()

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        if host.startswith("silent"):
            over.wait(20)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return FOUND

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield over
    over.set()


async def test_silent_names_hold_no_other_up(silence: threading.Event) -> None:
    names = resolver()
    waiting = [asyncio.ensure_future(names.resolve(f"silent{number}.example")) for number in range(SILENT)]

    async with asyncio.timeout(10):
        found = await names.resolve("platform.example", 80)

    assert [result["host"] for result in found] == ["127.0.0.1"]
    assert not any(task.done() for task in waiting)
    silence.set()
    await asyncio.gather(*waiting)


@pytest.mark.usefixtures("silence")
async def test_unknown_name_is_the_system_s_error() -> None:
    with pytest.raises(socket.gaierror):
        await resolver().resolve("unknown.example")


@pytest.mark.usefixtures("silence")
async def test_system_without_threads_is_an_error_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(OSError, match="can't start new thread"):
        await resolver().resolve("platform.example")
