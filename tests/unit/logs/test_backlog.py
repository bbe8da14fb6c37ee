"""Who writes to a backlog never waits; whoever reads too slowly learns how much was dropped."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bulk.logs.backlog import Backlog, BacklogStream, Descriptor, StandardError, write_if_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20.0


class Gate:
    """A sink that writes only once it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.written: list[bytes] = []
        self.failures: list[OSError] = []

    def write(self, data: bytes) -> None:
        self.entered.set()
        assert self.opened.wait(PATIENCE_S)
        if self.failures:
            raise self.failures.pop()
        self.written.append(data)

    def offer(self, data: bytes) -> None:
        self.written.append(data)


def note(dropped: int) -> str:
    return f"{dropped} dropped"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def backlog(gate: Gate) -> Backlog:
    return Backlog(gate, name="test", note=note, most_bytes=10)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.set_blocking(descriptor, True)


def test_all_is_written_in_its_order(gate: Gate, backlog: Backlog) -> None:
    gate.opened.set()
    for number in range(5):
        backlog.append(b"%d" % number)

    assert backlog.drain(PATIENCE_S)
    assert b"".join(gate.written) == b"01234"


def test_what_a_stuck_reader_has_no_room_for_is_dropped_and_counted(gate: Gate, backlog: Backlog) -> None:
    backlog.append(b"first\n")
    assert gate.entered.wait(PATIENCE_S)
    for line in (b"kept\n", b"too long a line\n", b"two\nlines\n", b"kept"):
        backlog.append(line)
    gate.opened.set()

    assert backlog.drain(PATIENCE_S)
    assert gate.written == [b"first\n", b"kept\nkept3 dropped\n"]


def test_stuck_reader_is_waited_for_once(gate: Gate, backlog: Backlog) -> None:
    backlog.append(b"x")

    assert not backlog.drain(0.0)
    assert not backlog.drain(PATIENCE_S * 100)
    gate.opened.set()


def test_failed_write_is_told_and_its_lines_are_counted(gate: Gate) -> None:
    told: list[OSError] = []
    backlog = Backlog(gate, name="test", note=note, on_failure=told.append)
    gate.failures.append(OSError(errno.ENOSPC, "full"))
    gate.opened.set()
    backlog.append(b"lost\n")
    assert backlog.drain(PATIENCE_S)
    backlog.append(b"kept\n")

    assert backlog.drain(PATIENCE_S)
    assert [exc.errno for exc in told] == [errno.ENOSPC]
    assert gate.written == [b"kept\n1 dropped\n"]


def test_without_a_thread_what_can_be_written_is_written(
    gate: Gate, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    backlog.append(b"said\n")

    assert gate.written == [b"said\n"]
    assert backlog.drain(0.0)


def test_pipe_that_another_program_made_non_blocking_gets_everything(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    backlog = Backlog(Descriptor(writing), name="test", note=note)
    backlog.append(bytes(300_000))

    read = 0
    while read < 300_000:
        read += len(os.read(reading, 300_000))

    assert backlog.drain(PATIENCE_S)


def test_reader_that_left_is_told_nothing_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stderr = StandardError(writing)
    with pytest.raises(BrokenPipeError):
        stderr.write(b"x")
    os.close(writing)

    stderr.write(b"x")


def test_signal_handler_drops_what_a_full_pipe_does_not_take(pipe: tuple[int, int]) -> None:
    fill(pipe[1])

    write_if_ready(pipe[1], b"left")


def test_signal_handler_drops_what_a_stopped_terminal_does_not_take() -> None:
    ours, theirs = pty.openpty()
    try:
        termios.tcflow(theirs, termios.TCOOFF)
        write_if_ready(theirs, b"left")
        termios.tcflow(theirs, termios.TCOON)
        write_if_ready(theirs, b"right")
        fcntl.fcntl(ours, fcntl.F_SETFL, os.O_NONBLOCK)
        assert os.read(ours, 100) == b"right"
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_thread_stderr_gets_what_it_can_take_at_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    reading, writing = pipe
    stream = BacklogStream(Backlog(StandardError(writing), name="test", note=note), writing)
    text = bytes(range(256)) * 40

    stream.write(text)

    assert os.read(reading, 100_000) == text
    assert stream.drain(0.0)


def test_stream_is_that_of_its_descriptor(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    stream = BacklogStream(Backlog(StandardError(writing), name="test", note=note), writing)

    assert (stream.name, stream.fileno(), stream.writable(), stream.isatty()) == (writing, writing, True, False)


def test_reader_that_left_is_no_error_to_a_signal_handler() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    write_if_ready(writing, b"nobody reads this")
    os.close(writing)
    write_if_ready(writing, b"it is closed")
