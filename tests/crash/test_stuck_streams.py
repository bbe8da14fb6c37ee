"""Streams and logs that nobody reads hold up neither a run nor its end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Job

    MakeJob = Callable[..., Job]

pytestmark = pytest.mark.xdist_group("in_time")  # they hold a clock to what a machine does: not two at once

PATIENCE_S = 60.0
FOUR_SECONDS = 4.0
SLOW = ("--qps", "1", "--list-qps", "1")
FAST = ("--qps", "0", "--list-qps", "0")


@contextmanager
def bulk(
    *arguments: str, stderr: int, stdout: int = subprocess.PIPE, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bulk", *arguments], stdout=stdout, stderr=stderr, text=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def stuck() -> Iterator[int]:
    """Return the writing end of a full pipe, whose reader is there and reads nothing."""
    reading, writing = os.pipe()
    fill(writing)
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def stopped_terminal() -> Iterator[int]:
    """Return a terminal on which somebody pressed Ctrl-S."""
    ours, theirs = pty.openpty()
    termios.tcflow(theirs, termios.TCOOFF)
    yield theirs
    os.close(ours)
    os.close(theirs)


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.set_blocking(descriptor, True)


def has_begun(job: Job) -> None:
    """Return once the run sends: its ledger is there, and the sandbox has met a request."""
    state = job.path.with_name(f"{job.path.name}.sandbox.db.cloud.jsonl")
    wait_until(lambda: state.exists() and state.stat().st_size, "the run does not begin")


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> float:
    asked_at = time.monotonic()
    process.send_signal(number)
    process.wait(PATIENCE_S)
    return time.monotonic() - asked_at


@pytest.mark.parametrize("sink", ["stuck", "stopped_terminal"])
def test_finished_run_exits_though_nobody_reads_its_stderr(
    sink: str, make_job: MakeJob, request: pytest.FixtureRequest
) -> None:
    job = make_job(products=3, rows=2)

    with bulk(
        "run", str(job.path), "--sandbox", "--json", "-vv", *FAST, stderr=request.getfixturevalue(sink)
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert json.loads(out)["outcomes"]["created"] == 6


@pytest.mark.parametrize("sink", ["stuck", "stopped_terminal"])
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_signal_ends_a_run_whose_stderr_nobody_reads(
    number: signal.Signals, exit_code: int, sink: str, make_job: MakeJob, request: pytest.FixtureRequest
) -> None:
    job = make_job(products=40)

    with bulk(
        "run", str(job.path), "--sandbox", "--json", "-vv", *SLOW, stderr=request.getfixturevalue(sink)
    ) as process:
        has_begun(job)
        took_s = ended_by(process, number)
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())

    assert (process.returncode, summary["exit_code"]) == (exit_code, exit_code)
    assert took_s < FOUR_SECONDS


@pytest.mark.parametrize("flags", [("--json",), ()])
def test_signal_ends_a_run_though_stdout_is_stuck_too(flags: tuple[str, ...], make_job: MakeJob, stuck: int) -> None:
    job = make_job(products=40)

    with bulk("run", str(job.path), "--sandbox", *flags, *SLOW, stderr=stuck, stdout=stuck) as process:
        has_begun(job)
        took_s = ended_by(process, signal.SIGTERM)

    assert process.returncode == 143
    assert took_s < FOUR_SECONDS


@pytest.mark.parametrize("command", [("run", "nosuch.csv", "--sandbox"), ("run", "--qps", "x"), ("status", "nosuch")])
def test_message_that_nobody_reads_keeps_its_exit_code(command: tuple[str, ...], stuck: int, tmp_path: Path) -> None:
    with bulk(*command, stderr=stuck, cwd=tmp_path) as process:
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode in {2, 3}


def test_terminal_that_is_closed_ends_the_run_as_a_signal_does(make_job: MakeJob) -> None:
    job = make_job(products=40)
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "bulk", "run", str(job.path), "--sandbox", *SLOW]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        has_begun(job)
        os.close(ours)
        process.wait(PATIENCE_S)

    assert process.returncode == 143


def test_reader_that_reads_again_learns_how_many_lines_it_missed(make_job: MakeJob) -> None:
    job = make_job(products=10)
    reading, writing = os.pipe()
    fill(writing)
    small = "import sys, bulk.cli.streams as m; from functools import partial; from bulk.cli import main\n"
    small += "m.Backlog = partial(m.Backlog, most_bytes=2000); sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", small, "run", str(job.path), "--sandbox", "-vv", *FAST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing) as process, open_end(reading) as stream:
        os.close(writing)
        has_begun(job)
        said = stream.read()

    assert process.returncode in {0, 1}
    assert re.search(rb"\d+ lines? (was|were) dropped: stderr could not be written in time", said)


@contextmanager
def open_end(descriptor: int) -> Iterator[IO[bytes]]:
    with closing(os.fdopen(descriptor, "rb")) as stream:
        yield stream


def test_log_that_is_a_pipe_without_a_reader_holds_up_nothing(make_job: MakeJob) -> None:
    job = make_job(products=3, rows=2)
    pipe = job.path.with_name("run.log")
    os.mkfifo(pipe)

    with bulk(
        "run", str(job.path), "--sandbox", "--json", "--log-file", str(pipe), *FAST, stderr=subprocess.PIPE
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert json.loads(out)["outcomes"]["created"] == 6


def test_log_that_is_a_pipe_with_a_reader_gets_every_line(make_job: MakeJob) -> None:
    job = make_job(products=3, rows=2)
    pipe = job.path.with_name("run.log")
    os.mkfifo(pipe)

    with bulk(
        "run",
        str(job.path),
        "--sandbox",
        "--log-file",
        str(pipe),
        "--log-format",
        "json",
        *FAST,
        stderr=subprocess.PIPE,
    ):
        events = [json.loads(line)["event"] for line in pipe.read_text(encoding="utf-8").splitlines()]

    assert (events[0], events[-1]) == ("input.read", "run.ended")


def test_folder_of_log_and_metrics_that_vanishes_is_said_once_each(make_job: MakeJob, tmp_path: Path) -> None:
    job, folder = make_job(products=30, rows=2), tmp_path / "logs"
    folder.mkdir()
    flags = ("--log-file", str(folder / "run.log"), "--metrics-file", str(folder / "run.prom"), "-vv")

    with bulk(
        "run", str(job.path), "--sandbox", "--qps", "50", "--list-qps", "50", *flags, stderr=subprocess.PIPE
    ) as process:
        has_begun(job)
        for file in folder.iterdir():
            file.unlink()
        with suppress(OSError):  # unless a line came between
            folder.rmdir()
        gone = not folder.exists()
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert not gone or said.count("can't be written") == 1


def test_rotated_log_goes_on_in_the_new_file(make_job: MakeJob) -> None:
    job = make_job(products=20, rows=2)
    log = job.path.with_name("run.log")

    with bulk(
        "run",
        str(job.path),
        "--sandbox",
        "--qps",
        "50",
        "--list-qps",
        "50",
        "--log-file",
        str(log),
        stderr=subprocess.PIPE,
    ) as process:
        has_begun(job)
        wait_until(lambda: log.stat().st_size, "nothing is logged")
        log.rename(log.with_name("run.log.1"))
        process.communicate(timeout=PATIENCE_S)

    assert "run.ended" in log.read_text(encoding="utf-8")


def test_slow_reader_of_stdout_gets_everything(make_job: MakeJob) -> None:
    job = make_job(products=200, rows=10)
    with bulk("run", str(job.path), "--sandbox", *FAST, stderr=subprocess.DEVNULL) as process:
        process.communicate(timeout=PATIENCE_S)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    with bulk("results", f"{job.path}.sandbox.db", stderr=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        with open_end(reading) as stream:
            lines = stream.read().splitlines()

    assert len(lines) == 1 + 200 * 10


def test_reader_of_stdout_that_leaves_early_is_no_error(make_job: MakeJob) -> None:
    job = make_job(products=200, rows=10)
    with bulk("run", str(job.path), "--sandbox", *FAST, stderr=subprocess.DEVNULL) as process:
        process.communicate(timeout=PATIENCE_S)

    with bulk("results", f"{job.path}.sandbox.db", stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait(PATIENCE_S)

    assert (process.returncode, said) == (0, "")
