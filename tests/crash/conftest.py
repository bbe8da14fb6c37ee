"""`bulk` as a child process, against a sandbox in this one, which therefore knows what was really carried out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import MAX_CUSTOM_MODULES, OtaModule
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from tests.crash.judge import FULL, OTHER
from tests.forked import Forked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.conftest import Job
    from tests.forked import ForkHost

PATIENCE_S = 40.0
"""How long a child may take that has nothing to wait for; only reached where a test fails."""

_PROGRAM = """
import os, signal, sys
from functools import partial

import bulk.engine.sessions.opening
from bulk.cli import main
from bulk.control.retry import RetryPolicy

# How long waits are is the policy's own test; here they would only take time.
bulk.engine.sessions.opening.RetryPolicy = partial(RetryPolicy, first_s=0.004, cap_s=0.02)
{patch}
sys.argv[0] = "bulk"
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Ended:
    """A child that is no more."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.stdout)
        return summary


class Child:
    """A run of `bulk`."""

    def __init__(self, process: asyncio.subprocess.Process | Forked) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def line_with(self, word: str) -> str:
        """Return the next line on stderr that has the word."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.process.stderr.readline()).decode():
                if word in line:
                    return line
        raise AssertionError(f"the child ended without {word!r} on stderr")

    async def ended(self, *, patience_s: float = PATIENCE_S) -> Ended:
        async with asyncio.timeout(patience_s):
            stdout, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, stdout.decode(), stderr.decode())


@pytest.fixture
def child(child_in: Callable[..., AbstractAsyncContextManager[Child]]) -> Callable[..., Any]:
    """Return what starts `bulk run`, or another command, for a job; a patch is Python that is run before."""

    def start(
        job: Job,
        box: Sandbox,
        *flags: str,
        command: str = "run",
        environ: dict[str, str] | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[Child]:
        told = ["--json", "--endpoint", box.endpoint, "--dialect", "alibaba", "--qps", "0", "--list-qps", "0"]
        keys = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": box.credentials.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": box.credentials.access_key_secret,
        }
        return child_in(Path.cwd(), command, str(job.path), *told, *flags, environ=keys | (environ or {}), **options)

    return start


@pytest.fixture
def child_in(fork_host: ForkHost) -> Callable[..., AbstractAsyncContextManager[Child]]:
    """Return what starts a command of `bulk` in a folder, as its settings there say."""

    @asynccontextmanager
    async def start(
        folder: Path,
        *words: str,
        environ: dict[str, str],
        patch: str = "",
        preexec: Callable[[], None] | None = None,
    ) -> AsyncIterator[Child]:
        program, environ = _PROGRAM.format(patch=patch), os.environ | environ
        process: asyncio.subprocess.Process | Forked
        if preexec is None:
            process = await Forked.start(fork_host, program, words, environ=environ, folder=folder)
        else:  # is for a process that is executed
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program, *words),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environ,
                cwd=folder,
                preexec_fn=preexec,
            )
        try:
            yield Child(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return start


@pytest.fixture
def run_child(child: Callable[..., AbstractAsyncContextManager[Child]]) -> Callable[..., Any]:
    """Return what runs `bulk run` for a job to its end."""

    async def run_one(job: Job, box: Sandbox, *flags: str, **options: Any) -> Ended:
        patience_s = options.pop("patience_s", PATIENCE_S)
        async with child(job, box, *flags, **options) as started:
            return await started.ended(patience_s=patience_s)

    return run_one


@pytest.fixture
def full_job(make_job: Callable[..., Job]) -> Job:
    """Return a file with a full product and another one."""
    job = make_job(products=0)
    job.wanted[:] = [
        *(OtaModule(FULL, f"m{index}", f"alias{index}", "text") for index in range(MAX_CUSTOM_MODULES)),
        *(OtaModule(OTHER, f"m{index}", f"alias{index}", "text") for index in range(3)),
    ]
    job.write()
    return job


@pytest.fixture
def box_with() -> Callable[..., Sandbox]:
    def make(faults: str = "", *, seed: int = 0) -> Sandbox:
        plan = FaultPlan.parse(faults)
        return Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, faults=plan, seed=seed))

    return make
