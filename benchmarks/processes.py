"""Run a command in a process of its own, and say how long it took and how much memory it had at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reporting import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["OnRows", "Spent", "bulk", "judge_memory", "on_rows", "python"]

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "benchmark", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "benchmark-secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process took; the fields are keys of the JSON."""

    elapsed_s: float
    cpu_s: float
    peak_mb: float
    stdout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRows:
    """What a command took on an input of so many rows; the fields are keys of the JSON."""

    command: str
    rows: int
    elapsed_s: float
    cpu_s: float
    peak_mb: float


def on_rows(rows: int, source: Path, *, command: str, options: Sequence[str]) -> OnRows:
    """Run a command of bulk on an input; it must end well."""
    spent = bulk(command, str(source), "--json", *options)
    return OnRows(command=command, rows=rows, elapsed_s=spent.elapsed_s, cpu_s=spent.cpu_s, peak_mb=spent.peak_mb)


def judge_memory(fewer: OnRows, more: OnRows) -> Iterator[Verdict]:
    """Hold the peak to what is asked for: bounded, and the same whatever the number of rows."""
    claim = f"bulk {more.command}, {more.rows:,} rows: peak MB"
    yield Verdict(claim=claim, figure=more.peak_mb, limit=150, at_most=True, detail=f"in {more.elapsed_s:.1f} s")
    yield Verdict(
        claim=f"{claim} / at {fewer.rows:,}",
        figure=more.peak_mb / fewer.peak_mb,
        limit=1.10,
        at_most=True,
        detail=f"{more.peak_mb:.0f} / {fewer.peak_mb:.0f}",
    )


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
