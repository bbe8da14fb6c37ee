from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from bulk.cli.execution import execute, execute_in_thread

STUCK = """
import os, signal, sys, time
import bulk.cli.execution
from bulk.cli.execution import execute

bulk.cli.execution._IMPATIENT_AFTER_S = 0.0

class Stop:
    def request(self, reason, *, exit_code):
        print(reason, exit_code, flush=True)

async def work():
    os.kill(os.getpid(), signal.{first})
    import asyncio
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.{second})
    while {stuck}:
        pass
    await asyncio.Event().wait()

execute(work, Stop())
"""

TWO_AT_ONCE = """
import asyncio, os, signal
from bulk.cli.execution import execute

ended = asyncio.Event()

class Stop:
    def request(self, reason, *, exit_code):
        if {while_answered}:
            os.kill(os.getpid(), signal.{second})
        asyncio.get_running_loop().call_soon(ended.set)

async def work():
    os.kill(os.getpid(), signal.SIGINT)
    if not {while_answered}:
        os.kill(os.getpid(), signal.{second})
    await ended.wait()
    print("ended in its own time")

execute(work, Stop())
"""


class Stop:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.event = asyncio.Event()

    def request(self, reason: str, *, exit_code: int) -> None:
        self.asked.append((reason, exit_code))
        self.event.set()


@pytest.mark.parametrize(
    ("number", "asked"),
    [
        (signal.SIGINT, ("interrupted by Ctrl-C", 130)),
        (signal.SIGTERM, ("terminated by SIGTERM", 143)),
        (signal.SIGHUP, ("terminated by SIGHUP: the terminal or the connection was closed", 143)),
    ],
)
def test_first_signal_asks_for_a_graceful_stop(number: signal.Signals, asked: tuple[str, int]) -> None:
    stop = Stop()

    async def work() -> str:
        os.kill(os.getpid(), number)
        await stop.event.wait()
        return "ended in its own time"

    assert execute(work, stop) == "ended in its own time"

    assert stop.asked == [asked]


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    stop = Stop()

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.event.wait()

    execute(work, stop)

    assert [signal.getsignal(number) for number in numbers] == before


def test_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = Stop()

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    try:
        execute(work, stop)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert stop.asked == []


def test_end_does_not_wait_for_a_thread_that_a_silent_network_holds() -> None:
    answered, asked = threading.Event(), threading.Event()

    def resolve() -> None:
        asked.set()
        answered.wait()

    async def work() -> str:
        working = asyncio.get_running_loop().run_in_executor(None, resolve)
        await asyncio.to_thread(asked.wait)
        working.cancel()
        return "ended"

    try:
        assert execute(work, Stop()) == "ended"
    finally:
        answered.set()


@pytest.mark.parametrize("stuck", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "exit_code"),
    [
        ("SIGINT", "SIGINT", 130),
        ("SIGTERM", "SIGTERM", 143),
        ("SIGINT", "SIGTERM", 143),
        ("SIGHUP", "SIGINT", 130),
        ("SIGINT", "SIGHUP", 143),
    ],
)
def test_second_signal_leaves_at_once_even_from_a_stuck_loop(
    first: str, second: str, exit_code: int, stuck: bool
) -> None:
    script = STUCK.format(first=first, second=second, stuck=stuck)

    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)

    assert child.returncode == exit_code, child.stderr
    assert len(child.stdout.splitlines()) == 1
    assert child.stderr.startswith("Exited immediately.")


@pytest.mark.parametrize("while_answered", [True, False])
@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_that_follows_within_a_second_is_the_same_once_more(second: str, while_answered: bool) -> None:
    script = TWO_AT_ONCE.format(while_answered=while_answered, second=second)

    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)

    assert (child.returncode, child.stdout) == (0, "ended in its own time\n"), child.stderr


def test_error_of_the_work_comes_through() -> None:
    async def work() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        execute(work, Stop())


def test_what_was_loaded_is_not_collected_while_the_work_goes_on() -> None:
    async def work() -> int:
        return gc.get_freeze_count()

    gc.unfreeze()
    try:
        assert execute(work, Stop()) > 10_000
    finally:
        gc.unfreeze()


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the codes with which the process would have ended at once."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    return codes


@pytest.mark.parametrize(
    ("impatient_after_s", "exit_codes"), [(0.0, [143]), (3600.0, [])], ids=["a second later", "within a second"]
)
def test_second_signal_ends_the_process_only_if_it_comes_later(
    impatient_after_s: float,
    exit_codes: list[int],
    exits: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("bulk.cli.execution._IMPATIENT_AFTER_S", impatient_after_s)
    stop = Stop()

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.event.wait()

    execute(work, stop)

    assert exits == exit_codes
    assert stop.asked == [("interrupted by Ctrl-C", 130)]
    assert capfd.readouterr().err.startswith("Exited immediately.") == bool(exit_codes)


def test_program_with_its_own_signals_keeps_them_and_its_silent_threads() -> None:
    answered, asked = threading.Event(), threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def resolve() -> None:
        asked.set()
        answered.wait()

    async def work() -> str:
        assert signal.getsignal(signal.SIGINT) is before or threading.current_thread() is threading.main_thread()
        working = asyncio.get_running_loop().run_in_executor(None, resolve)
        await asyncio.to_thread(asked.wait)
        working.cancel()
        return "ended"

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(execute_in_thread(work)))
    try:
        thread.start()
        thread.join()
    finally:
        answered.set()

    assert results == ["ended"]


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_fast_loop_is_taken_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")

    assert execute(kind_of_loop, Stop()) == "uvloop"


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_system_that_allows_few_threads_gets_the_loop_that_needs_none(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_a_few(thread: threading.Thread) -> None:
        if sum(one.is_alive() for one in started) == 3:
            raise error
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start_a_few)

    assert execute(kind_of_loop, Stop()) == "asyncio"

    assert not any(thread.is_alive() for thread in started)


def test_machine_without_the_fast_loop_gets_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.cli.execution.find_spec", lambda _name: None)

    assert execute(kind_of_loop, Stop()) == "asyncio"


@pytest.mark.parametrize(
    ("limits", "set_to"), [((10, 20), [(20, 20)]), ((20, 20), [])], ids=["below what is allowed", "at its highest"]
)
@pytest.mark.parametrize("refusal", [None, ValueError("not allowed to raise maximum limit"), OSError(1, "refused")])
def test_open_files_are_raised_as_far_as_allowed_and_a_refusal_is_no_error(
    limits: tuple[int, int],
    set_to: list[tuple[int, int]],
    refusal: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def set_limits(_which: int, wanted: tuple[int, int]) -> None:
        asked.append(wanted)
        if refusal:
            raise refusal

    monkeypatch.setattr("resource.getrlimit", lambda _which: limits)
    monkeypatch.setattr("resource.setrlimit", set_limits)

    assert execute(kind_of_loop, Stop())

    assert asked == set_to
