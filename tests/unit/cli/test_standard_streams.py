"""The standard streams of this process, redirected as a shell would: pipes, terminals and disks that are full."""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.cli.output import closed_pipe_is_fine, print_lines, tell
from bulk.cli.streams import STDERR, STDOUT, drain_stderr, standard_streams
from bulk.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], None]]:
    """Return what lets one of the process's own streams lead to another descriptor, until the test ends.

    Called in the test, not before: pytest sets the streams anew when a test begins.
    """
    with ExitStack() as stack:

        def to(number: int, descriptor: int) -> None:
            saved = os.dup(number)
            os.dup2(descriptor, number)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, number)
            stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding="utf-8")
            monkeypatch.setattr(sys, {STDOUT: "stdout", STDERR: "stderr"}[number], stream)

        yield to


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the ends of a pipe; those that a test leaves open are closed afterwards."""
    ends = os.pipe()
    numbers = [os.fstat(end).st_ino for end in ends]
    yield ends
    for end, number in zip(ends, numbers, strict=True):
        try:
            if os.fstat(end).st_ino == number:
                os.close(end)
        except OSError:
            continue  # the test closed it


def leads_nowhere(number: int) -> bool:
    return os.fstat(number).st_rdev == Path(os.devnull).stat().st_rdev


def test_slow_reader_gets_all_of_a_stdout_that_another_program_made_non_blocking(
    redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    redirect(STDOUT, writing)
    read: list[bytes] = []

    def reader_catches_up(descriptor: int, *, timeout_s: float | None) -> bool:
        assert (descriptor, timeout_s) == (STDOUT, None)
        read.append(os.read(reading, 1_000_000))
        return True

    monkeypatch.setattr("bulk.cli.streams.ready", reader_catches_up)

    with standard_streams():
        sys.stdout.write("line\n" * 60_000)

    read.append(os.read(reading, 1_000_000))
    assert b"".join(read) == b"line\n" * 60_000
    assert len(read) > 2


def test_reader_that_left_is_no_error_however_much_follows(
    redirect: Callable[[int, int], None], pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    redirect(STDOUT, writing)
    os.close(reading)

    with standard_streams():
        for _ in range(3):
            print_lines(["x" * 100_000])

    assert leads_nowhere(STDOUT)


def test_terminal_that_was_hung_up_is_a_reader_that_left(redirect: Callable[[int, int], None]) -> None:
    outer, inner = os.openpty()
    redirect(STDOUT, inner)
    os.close(outer)

    with standard_streams():
        print_lines(["nobody reads this"])

    assert leads_nowhere(STDOUT)
    os.close(inner)


@needs_full
def test_full_disk_is_told_and_not_once_more_at_the_end(redirect: Callable[[int, int], None]) -> None:
    disk = os.open(FULL, os.O_WRONLY)
    redirect(STDOUT, disk)
    os.close(disk)

    with standard_streams(), pytest.raises(OutputError, match="stdout can't be written: No space left on device"):
        print_lines(["a result"])

    assert leads_nowhere(STDOUT)


@needs_full
def test_last_words_that_find_the_disk_full_do_not_hide_the_exit_code(redirect: Callable[[int, int], None]) -> None:
    disk = os.open(FULL, os.O_WRONLY)
    redirect(STDOUT, disk)
    os.close(disk)

    with standard_streams():
        sys.stdout.write("not flushed yet")

    assert leads_nowhere(STDOUT)


def test_stdout_shows_another_way_what_its_encoding_lacks(
    redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    redirect(STDOUT, writing)
    raw = io.BufferedWriter(io.FileIO(STDOUT, "w", closefd=False))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))

    with standard_streams():
        print_lines(["a → b … 主"])

    assert os.read(reading, 100) == b"a -> b ... \\u4e3b\n"


def test_bytes_that_are_no_text_stay_an_error() -> None:
    with standard_streams(), pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "ascii", "bulk.stand_in")


def test_stderr_arrives_and_its_streams_are_those_of_before(
    redirect: Callable[[int, int], None], pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    redirect(STDERR, writing)
    before = sys.stdout, sys.stderr

    with standard_streams():
        tell("a message")

        assert drain_stderr()
    assert os.read(reading, 100) == b"a message\n"
    assert (sys.stdout, sys.stderr) == before


class StuckReader:
    """A reader of stderr that reads nothing until it is let go: the twin of a descriptor that blocks."""

    def __init__(self) -> None:
        self.is_asked, self.goes_on = threading.Event(), threading.Event()
        self.read = b""

    def write(self, data: bytes) -> None:
        self.is_asked.set()
        self.goes_on.wait()
        self.read += data

    def offer(self, data: bytes) -> None:
        self.read += data


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckReader]:
    reader = StuckReader()
    monkeypatch.setattr("bulk.cli.streams.StandardError", lambda _number: reader)
    yield reader
    reader.goes_on.set()


def test_stderr_that_nobody_reads_holds_up_no_exit(
    stuck: StuckReader, redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect(STDERR, pipe[1])
    monkeypatch.setattr("bulk.cli.streams._PATIENCE_S", 0.0)

    with standard_streams():
        sys.stderr.write("a message")

    # Python flushes stderr once more when it exits: that must not wait either.
    assert leads_nowhere(STDERR)
    assert stuck.read == b""


@pytest.mark.parametrize(("lines", "said"), [(1, "1 line was"), (3_000, "3,000 lines were")])
def test_lines_that_stderr_could_not_take_are_counted_once_it_is_read(
    stuck: StuckReader, redirect: Callable[[int, int], None], pipe: tuple[int, int], lines: int, said: str
) -> None:
    redirect(STDERR, pipe[1])
    with standard_streams():
        sys.stderr.write("first\n")
        assert stuck.is_asked.wait(5)
        sys.stderr.write("x" * 10_000_000 + "\n" * lines)
        stuck.goes_on.set()
        tell("last")

    assert stuck.read.decode().splitlines() == [
        "first",
        "last",
        f"{said} dropped: stderr could not be written in time",
    ]


@pytest.mark.parametrize("names", [("stdin",), ("stdout",), ("stderr",), ("stdin", "stdout", "stderr")])
def test_stream_that_was_closed_at_the_start_is_the_null_device(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setattr(sys, name, None)

    with standard_streams():
        opened = [getattr(sys, name) for name in names]
        for name, stream in zip(names, opened, strict=True):
            if name == "stdin":
                assert stream.read() == ""
            else:
                stream.write("nobody reads this")
                stream.flush()

    assert all(stat.S_ISCHR(os.fstat(stream.fileno()).st_mode) for stream in opened)
    for stream in opened:
        stream.close()


class Failing(io.StringIO):
    """A stream whose every flush fails."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


def test_ctrl_c_while_stdout_waits_for_its_reader_drops_the_rest(
    redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect(STDOUT, pipe[1])
    monkeypatch.setattr(sys, "stdout", Failing(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt), closed_pipe_is_fine():
        sys.stdout.write("a result")

    assert leads_nowhere(STDOUT)


def test_stdout_of_a_caller_may_break_too(
    redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect(STDOUT, pipe[1])
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))

    print_lines(["a result"])

    assert leads_nowhere(STDOUT)


def test_message_that_nobody_can_read_is_no_error(
    redirect: Callable[[int, int], None], pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect(STDERR, pipe[1])
    monkeypatch.setattr(sys, "stderr", Failing(OSError(5, "Input/output error")))

    tell("a message")

    assert leads_nowhere(STDERR)
