"""The same bytes are the same input from a file and from a pipe, however slowly they come."""

from __future__ import annotations

import gzip
import io
import os
import pty
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.rows.text.source import asks_a_person, open_bytes
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.rows import RowReader

    Row = tuple[Any, ...]

TABLE = b'"Product\nKey",ModuleName\na1Lamp00001,wifi\n'


class StoppedError(Exception):
    """What a reader that is asked to stop raises."""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "modules.csv"
    os.mkfifo(path)
    return path


@pytest.fixture
def written() -> Iterator[Callable[..., int]]:
    """Write parts into a pipe from another thread, one when the one before was taken; return the reading end."""
    threads: list[threading.Thread] = []

    def write(*parts: bytes) -> int:
        reading, writing = os.pipe()

        def work() -> None:
            with closing(os.fdopen(writing, "wb", buffering=0)) as out:
                for part in parts:
                    out.write(part)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return reading

    yield write
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("content", [TABLE, gzip.compress(TABLE), "\ufeff".encode() + TABLE])
@pytest.mark.parametrize("step", [1, 9, 1_000])
def test_descriptor_is_read_as_its_file_would_be(
    written: Callable[..., int], rows_of: Callable[[RowReader], list[Row]], content: bytes, step: int
) -> None:
    descriptor = written(*(content[start : start + step] for start in range(0, len(content), step)))

    with open_input(f"/dev/fd/{descriptor}", ReadSettings(format="csv")) as reader:
        rows = rows_of(reader)
    os.close(descriptor)

    assert [row[:3] for row in rows] == [(3, "a1Lamp00001", "wifi")]


def test_stream_gives_as_many_bytes_as_asked_for_until_its_end(written: Callable[..., int]) -> None:
    descriptor = written(b"a", b"bcd", b"e" * 200_000, b"f")

    with open_bytes(f"/dev/fd/{descriptor}") as opened:
        sizes = [len(opened.stream.read(90_000)) for _ in range(4)]
    os.close(descriptor)

    assert sizes == [90_000, 90_000, 20_005, 0]


def test_reader_of_a_fifo_that_nobody_writes_to_can_be_stopped(fifo: Path) -> None:
    def stop() -> None:
        raise StoppedError

    with pytest.raises(StoppedError), open_bytes(str(fifo), while_waiting=stop):
        pass


def test_reader_of_a_byte_now_and_then_can_be_stopped(fifo: Path) -> None:
    writing = os.open(fifo, os.O_RDWR)
    looks = iter(range(5))

    def write_or_stop() -> None:
        if next(looks, None) is None:
            raise StoppedError
        os.write(writing, b"x")

    with pytest.raises(StoppedError), open_bytes(str(fifo), while_waiting=write_or_stop):
        pass
    os.close(writing)


def test_fifo_is_read_when_its_writer_comes(fifo: Path, rows_of: Callable[[RowReader], list[Row]]) -> None:
    writers = [threading.Thread(target=fifo.write_bytes, args=(TABLE,))]

    def let_write() -> None:
        if writers[-1].ident is None:
            writers[-1].start()

    with open_input(str(fifo), ReadSettings(), while_waiting=let_write) as reader:
        rows = rows_of(reader)
    writers[-1].join()

    assert len(rows) == 1


def test_end_of_a_terminal_is_asked_for_once() -> None:
    controller, terminal = pty.openpty()
    os.write(controller, b"ProductKey,ModuleName\na1,mcu\n\x04")
    looks = iter(range(20))

    def give_up() -> None:
        assert next(looks, None) is not None, "it waits for a second end"

    with open_input(os.ttyname(terminal), ReadSettings(format="csv"), while_waiting=give_up) as reader:
        rows = [row for batch in reader.batches() for row in batch.valid]
    os.close(controller)
    os.close(terminal)

    assert len(rows) == 1


def test_socket_is_read_by_its_descriptor(rows_of: Callable[[RowReader], list[Row]]) -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(TABLE)
    ours.close()

    with open_input(f"/proc/self/fd/{theirs.fileno()}", ReadSettings(format="csv")) as reader:
        rows = rows_of(reader)
    theirs.close()

    assert len(rows) == 1


def test_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(InputError, match="there is no such file"), open_bytes("/dev/fd/987"):
        pass


def test_empty_pipe_is_named(written: Callable[..., int]) -> None:
    descriptor = written()

    with (
        pytest.raises(InputError, match="it is empty"),
        open_input(f"/dev/fd/{descriptor}", ReadSettings(format="csv")),
    ):
        pass
    os.close(descriptor)


@pytest.mark.parametrize(("content", "reason"), [(TABLE, "add --format csv, tsv or jsonl"), (b"%PDF-1.7", "PDF")])
def test_stdin_without_a_format_is_looked_into_before_one_is_asked_for(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason), open_input("-", ReadSettings(), stdin=io.BytesIO(content)):
        pass


@pytest.mark.parametrize("is_terminal", [True, False])
def test_person_at_a_terminal_is_not_made_to_type_before_a_format_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    reading, writing = pty.openpty() if is_terminal else os.pipe()
    with open(writing if is_terminal else reading, "rb", closefd=False) as raw:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))

        assert asks_a_person(None) is is_terminal
        assert not asks_a_person(io.BytesIO())
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.csv", b"", "it is empty: not even a header"),
        ("m.csv", b"\xef\xbb\xbf", "it is empty: not even a header"),
        ("m.csv", b"\xff\xfe", "it is empty: not even a header"),
        ("m.csv", b"\n \r\n,,\n", "it is empty: not even a header"),
        ("m.csv.gz", gzip.compress(b""), "it is empty: not even a header"),
        ("m.jsonl", b"", "it is empty: no row"),
        ("m.jsonl", b"\xef\xbb\xbf\n\n", "it is empty: no row"),
    ],
)
def test_input_that_says_nothing_is_called_empty(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=reason), open_input(str(tmp_path / name), ReadSettings()):
        pass


def test_header_alone_is_no_rows(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("ProductKey,ModuleName\n")

    with open_input(str(tmp_path / "m.csv"), ReadSettings()) as reader:
        assert list(reader.batches()) == []


def test_name_that_would_be_taken_for_an_escape_sequence_is_shown_quoted(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"m\\n\\033\[31m\.csv'") as caught,
        open_bytes(str(tmp_path / "m\n\x1b[31m.csv")),
    ):
        pass

    assert str(caught.value).isprintable()


def test_silent_fifo_is_looked_at_again_until_its_writer_comes(
    fifo: Path, monkeypatch: pytest.MonkeyPatch, rows_of: Callable[[RowReader], list[Row]]
) -> None:
    monkeypatch.setattr("bulk.rows.text.source._LOOK_EVERY_S", 0.0)
    looks: list[int] = []

    def write_late() -> None:
        looks.append(len(looks))
        if len(looks) == 4:
            with closing(os.fdopen(os.open(fifo, os.O_WRONLY), "wb")) as writer:
                writer.write(TABLE)

    with open_input(str(fifo), ReadSettings(), while_waiting=write_late) as reader:
        rows = rows_of(reader)

    assert len(rows) == 1
    assert len(looks) > 4


def test_bytes_that_another_reader_took_first_are_not_taken_for_the_end(
    fifo: Path, monkeypatch: pytest.MonkeyPatch, rows_of: Callable[[RowReader], list[Row]]
) -> None:
    monkeypatch.setattr("select.select", lambda readable, *_: (readable, [], []))
    writers = [os.fdopen(os.open(fifo, os.O_RDWR), "wb", buffering=0)]
    looks: list[int] = []

    def write_late() -> None:
        looks.append(len(looks))
        if len(looks) == 4:
            writers[0].write(TABLE)
        elif len(looks) == 6:
            writers[0].close()

    with open_input(str(fifo), ReadSettings(), while_waiting=write_late) as reader:
        rows = rows_of(reader)

    assert len(rows) == 1
