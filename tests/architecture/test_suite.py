"""The suite itself: it runs under any parent, and every process that shares it names the tests alike."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import pytest_make_parametrize_id, pytest_xdist_auto_num_workers

ROOT = Path(__file__).parents[2]
OF_CTRL_C = "tests/unit/cli/test_execution.py::test_first_signal_asks_for_a_graceful_stop"


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_tests_of_ctrl_c_pass_where_the_parent_ignores_it() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=20", OF_CTRL_C]

    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_ignore_ctrl_c,
    )

    assert done.returncode == 0, done.stdout


def test_packed_bytes_have_one_name_whenever_they_were_packed() -> None:
    names = {pytest_make_parametrize_id(gzip.compress(b"text", mtime=second)) for second in (1, 2)}

    assert names == {"gzip"}
    assert pytest_make_parametrize_id(b"plain") is None


class _Config:
    def __init__(self, *args: str) -> None:
        self.args = list(args)


@pytest.mark.parametrize(
    ("cores", "arguments", "workers"),
    [(1, ["tests"], 1), (2, ["tests"], 3), (4, [], 6), (64, ["tests/unit"], 8), (4, ["tests/a.py::test_b"], 0)],
)
def test_workers_are_a_few_more_than_cores_and_never_many(
    cores: int, arguments: list[str], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)

    assert pytest_xdist_auto_num_workers(_Config(*arguments)) == workers  # type: ignore[arg-type]  # all that it reads
