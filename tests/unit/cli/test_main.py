"""How the program itself starts and ends."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the codes with which the process would have ended at once."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    return codes


@pytest.fixture
def stuck_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Thread]:
    """Return a thread that hangs, as one on a silent network does; nobody waits for it in real time."""
    monkeypatch.setattr("bulk.cli._PATIENCE_S", 0.0)
    answered = threading.Event()
    thread = threading.Thread(target=answered.wait, daemon=False)
    thread.start()
    yield thread
    answered.set()
    thread.join()


def test_ctrl_c_while_the_program_still_loads_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loading:
        def __getattr__(self, name: str) -> Any:
            if name == "main":
                raise KeyboardInterrupt
            raise AttributeError(name)

    monkeypatch.setitem(sys.modules, "bulk.cli.app", Loading())

    assert main(["--version"]) == 130


@pytest.mark.usefixtures("stuck_thread")
def test_thread_that_hangs_does_not_keep_the_process(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bulk", "fly"])

    assert main() == 2

    assert exits == [2]


def test_process_without_such_a_thread_ends_as_python_does(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bulk", "--version"])

    assert main() == 0

    assert exits == []


@pytest.mark.usefixtures("stuck_thread")
def test_program_that_calls_a_command_keeps_its_threads(exits: list[int]) -> None:
    assert main(["--version"]) == 0

    assert exits == []
