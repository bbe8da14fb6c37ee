"""Run a command in a process of its own, and say how long it took and how much memory it had at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Spent", "bulk", "python"]

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "benchmark", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "benchmark-secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process took; the fields are keys of the JSON."""

    elapsed_s: float
    cpu_s: float
    peak_mb: float
    stdout: str


def bulk(*arguments: str) -> Spent:
    """Run a command of bulk; it must end well."""
    return python("-m", "bulk", *arguments)


def python(*arguments: str) -> Spent:
    """Run this interpreter; it must end well."""
    return _run([sys.executable, *arguments])


def _run(command: Sequence[str]) -> Spent:
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=os.environ | KEYS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        stdout = process.stdout.read()
        # Only wait4 tells the peak of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    elapsed_s = time.perf_counter() - started
    assert process.returncode in {0, 1}, f"{command} ended with {process.returncode}: {stdout}"
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Spent(
        elapsed_s=elapsed_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / per_mb, stdout=stdout
    )
