from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bulk.engine import ingest as ingest_module
from bulk.engine.ingest import IngestStoppedError, ingest
from bulk.engine.stop import StopSignal
from bulk.errors import InputError
from bulk.events import Event, IngestProgressed, ignore
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = "ProductKey,ModuleName\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(
        tmp_path / "m.ledger.db", targets={"": Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")}
    )
    yield opened
    opened.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "m.csv"
    note = "x" * 100
    rows = (f"p{n},{'m' if n % 5 else ''},{note}\n" for n in range(5_000))
    path.write_text("ProductKey,ModuleName,note\n" + "".join(rows))
    return path


async def read_one_row(folder: Path, ledger: Ledger) -> None:
    source = folder / "before.csv"
    source.write_text(HEADER + "p1,a\n")
    await ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=ignore)


def lines(ledger: Ledger) -> list[int]:
    return [line for (line,) in ledger.connection.execute("SELECT line FROM rows ORDER BY line")]


async def test_every_row_is_in_the_ledger_valid_or_not(ledger: Ledger, source: Path) -> None:
    await ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=ignore)

    assert lines(ledger) == list(range(2, 5_002))
    assert ledger.outcomes()["invalid"] == 1_000
    assert ledger.outcomes()["pending"] == 4_000


async def test_progress_is_announced_each_time_so_many_more_are_read(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, source: Path
) -> None:
    monkeypatch.setattr(ingest_module, "_ANNOUNCED_EVERY_ROWS", 1_500)
    announced: list[Event] = []

    await ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=announced.append)

    rows = [event.rows for event in announced if isinstance(event, IngestProgressed)]
    assert [count // 1_500 for count in rows] == [1, 2, 3]
    assert rows == sorted(rows)


async def test_a_stop_leaves_the_rows_as_they_were(ledger: Ledger, source: Path, tmp_path: Path) -> None:
    await read_one_row(tmp_path, ledger)
    stop = StopSignal()
    stop.request("it was asked to", exit_code=130)

    with pytest.raises(IngestStoppedError):
        await ingest(str(source), ReadSettings(), ledger, stop=stop, listener=ignore)

    assert lines(ledger) == [2]


async def test_a_cancelled_task_leaves_the_rows_as_they_were_and_reads_no_further(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, tmp_path: Path
) -> None:
    await read_one_row(tmp_path, ledger)
    monkeypatch.setattr(ingest_module, "_ANNOUNCED_EVERY_ROWS", 1_000)
    endless = tmp_path / "endless.csv"
    os.mkfifo(endless)
    written = 0

    def write_until_nobody_reads() -> None:
        nonlocal written
        with suppress(BrokenPipeError), endless.open("w") as pipe:
            pipe.write(HEADER)
            while True:
                written += pipe.write(f"p{written},a\n")

    writing = asyncio.ensure_future(asyncio.to_thread(write_until_nobody_reads))

    def cancel(_: Event) -> None:
        reading.cancel()

    reading = asyncio.ensure_future(ingest(str(endless), ReadSettings(), ledger, stop=StopSignal(), listener=cancel))
    with pytest.raises(asyncio.CancelledError):
        await reading

    await writing
    assert written > 1_000
    assert lines(ledger) == [2]


@pytest.fixture
def silent_stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A pipe whose writer has said one line and then nothing more."""
    read_end, write_end = os.pipe()
    os.write(write_end, HEADER.encode())
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield
    os.close(write_end)


@pytest.mark.usefixtures("silent_stdin")
async def test_a_stop_does_not_wait_for_a_silent_pipe(ledger: Ledger, tmp_path: Path) -> None:
    await read_one_row(tmp_path, ledger)
    stop = StopSignal()
    asyncio.get_running_loop().call_soon(lambda: stop.request("SIGTERM", exit_code=143))

    with pytest.raises(IngestStoppedError):
        await ingest("-", ReadSettings(format="csv"), ledger, stop=stop, listener=ignore)

    assert lines(ledger) == [2]


@pytest.mark.usefixtures("silent_stdin")
async def test_a_cancelled_task_does_not_wait_for_a_silent_pipe(ledger: Ledger, tmp_path: Path) -> None:
    await read_one_row(tmp_path, ledger)
    reading = asyncio.ensure_future(ingest("-", ReadSettings(format="csv"), ledger, stop=StopSignal(), listener=ignore))
    asyncio.get_running_loop().call_soon(reading.cancel)

    with pytest.raises(asyncio.CancelledError):
        await reading

    assert lines(ledger) == [2]


async def test_an_input_that_breaks_off_leaves_the_rows_as_they_were(
    ledger: Ledger, source: Path, tmp_path: Path
) -> None:
    await ingest(str(source), ReadSettings(), ledger, stop=StopSignal(), listener=ignore)
    broken = tmp_path / "broken.csv"
    broken.write_bytes(HEADER.encode() + b"p1,a\n" * 50_000 + b"p2,\xff\n" * 600)

    with pytest.raises(InputError, match="line 50002"):
        await ingest(str(broken), ReadSettings(), ledger, stop=StopSignal(), listener=ignore)

    assert len(lines(ledger)) == 5_000
