from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError, LedgerHeldError
from bulk.ledger.storage.files import lock_of
from bulk.ledger.storage.lock import hold, is_held
from bulk.ledger.views.status import read_status
from bulk.model import Action

if TYPE_CHECKING:
    from bulk.ledger.store import Ledger


OTHER = """
import errno, fcntl, os, signal, sys
from pathlib import Path
from bulk.ledger.storage.lock import hold

def lacking(*args):
    raise OSError(errno.ENOSYS, "lacking")

fcntl.flock = lacking
lock = hold(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
"""Takes a ledger where there is no flock, and is killed while it has it."""


def test_ledger_is_held_until_it_is_let_go(path: Path) -> None:
    lock = hold(path)
    while_held = is_held(path)
    lock.release()

    assert (while_held, is_held(path)) == (True, False)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="the folder in which nobody can make a file is Linux's")
def test_folder_in_which_no_lock_can_be_made_is_not_called_held() -> None:
    with pytest.raises(LedgerError, match=r"/proc/x\.db: the ledger's lock file can't be written") as caught:
        hold(Path("/proc/x.db"))

    assert not isinstance(caught.value, LedgerHeldError)


def test_looking_makes_no_lock_file(path: Path) -> None:
    assert is_held(path) is False
    assert not lock_of(path).exists()


def test_who_looks_is_taken_for_no_run_by_another(path: Path, ledger: Ledger) -> None:
    ledger.begin_run(
        "died", at=0.0, version="1", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
    )
    ledger.close()
    descriptor = os.open(lock_of(path), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)

    try:
        assert read_status(path).holder is None
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("refusing", ["os.open", "fcntl.flock"])
def test_run_without_an_end_counts_as_at_work_where_its_lock_can_not_be_looked_at(
    refusing: str, path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.begin_run(
        "cafe0005", at=0.0, version="1", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
    )

    def refuse(*_args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(refusing, refuse)
        at_work = read_status(path).holder
        ledger.end_run("cafe0005", at=1.0, exit_code=0, stopped=None, summary=None)
        at_rest = read_status(path).holder

    assert at_work is not None
    assert at_work.run_id == "cafe0005"
    assert at_rest is None


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_file_system_without_flock_has_locks_that_die_with_their_holder(
    number: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", lacking)
        lock = hold(path)
        refused = subprocess.run([sys.executable, "-c", OTHER, path], capture_output=True, text=True, check=False)
        lock.release()
        taken = subprocess.run([sys.executable, "-c", OTHER, path], capture_output=True, text=True, check=False)
        again = hold(path)
        again.release()

    assert "LedgerHeldError" in refused.stderr
    assert taken.returncode == -signal.SIGKILL


def test_file_system_without_any_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", lacking)
    monkeypatch.setattr("fcntl.lockf", lacking)

    with pytest.raises(LedgerError, match="the file system gives no locks: use a local disk"):
        hold(path)


@pytest.fixture
def _without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_args: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", lacking)
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.mark.usefixtures("_without_flock")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_record_lock_of_another_run_is_waited_for_a_moment_and_then_named(
    number: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = iter([0.0, 0.0, 0.1, 0.15, 0.21, 0.3])
    tries = []

    def taken(*_args: object) -> None:
        tries.append(1)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.lockf", taken)
        patched.setattr("bulk.ledger.storage.lock.time.monotonic", lambda: next(now_s))
        with pytest.raises(LedgerHeldError, match="held by another run"):
            hold(path)

    assert len(tries) == 4
    hold(path).release()


@pytest.mark.usefixtures("_without_flock")
def test_record_lock_that_is_released_in_time_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lockf, tries = fcntl.lockf, []

    def taken_twice(*args: Any) -> None:
        tries.append(1)
        if len(tries) <= 2:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        lockf(*args)

    monkeypatch.setattr("fcntl.lockf", taken_twice)
    lock = hold(path)
    lock.release()
    lock.release()  # twice is once

    assert len(tries) == 3
