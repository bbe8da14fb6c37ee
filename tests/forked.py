"""Children that are forks of a Python which has loaded `bulk`: see tests/fork_host.py."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

BULK = 'import sys; from bulk.cli import main; sys.argv[0] = "bulk"; sys.exit(main())'
"""What the command `bulk` runs."""

_HOST = Path(__file__).with_name("fork_host.py")


class ForkHost:
    """Starts children; the Python that forks them is itself started with the first.

    Args:
        environ: What that Python makes of its own streams, warnings and locale, which its children share.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._control, self._other = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None

    def fork(
        self, program: str, words: Iterable[str | Path], *, environ: Mapping[str, str], folder: Path
    ) -> tuple[socket.socket, BinaryIO, BinaryIO]:
        """Start a program with arguments, and nothing to read.

        Returns:
            What tells two lines of a child: its process id, and its exit code once it has ended. Then what it writes.
        """
        if self._process is None:
            self._process = self._started()
        ours, its = socket.socketpair()
        (output, its_output), (errors, its_errors) = os.pipe(), os.pipe()
        handed = [os.open(os.devnull, os.O_RDONLY), its_output, its_errors]
        with its:
            socket.send_fds(self._control, [b"+"], [its.fileno(), *handed])
        for number in handed:
            os.close(number)
        wanted = {"program": program, "words": [*map(str, words)], "environ": dict(environ), "folder": str(folder)}
        ours.sendall(json.dumps(wanted).encode() + b"\n")
        return ours, os.fdopen(output, "rb", buffering=0), os.fdopen(errors, "rb", buffering=0)

    def run(
        self, program: str, *words: str | Path, folder: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end, as `subprocess.run` does with `capture_output` and no `check`."""
        environ = os.environ if environ is None else environ
        told, output, errors = self.fork(program, words, environ=environ, folder=folder or Path.cwd())
        with told, output, errors, told.makefile("r") as lines, ThreadPoolExecutor(1) as beside:
            pid = int(lines.readline())
            try:
                complaints = beside.submit(errors.read)
                said = output.read()
                return subprocess.CompletedProcess(program, int(lines.readline()), said, complaints.result())
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise

    def close(self) -> None:
        self._control.close()
        self._other.close()
        if self._process is not None:
            self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        number = self._other.fileno()
        return subprocess.Popen(
            [sys.executable, "-c", _HOST.read_text(encoding="utf-8"), str(number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
            env=self._environ,
        )


def texts(ended: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Forked:
    """A child as `asyncio.subprocess.Process` has one, as far as tests use it."""

    def __init__(
        self,
        pid: int,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
        end: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._end = end

    @classmethod
    async def start(
        cls, host: ForkHost, program: str, words: Iterable[str | Path], *, environ: Mapping[str, str], folder: Path
    ) -> Forked:
        told, output, errors = host.fork(program, words, environ=environ, folder=folder)
        lines, writer = await asyncio.open_unix_connection(sock=told)
        pid = int(await lines.readline())
        return cls(pid, await _stream(output), await _stream(errors), (lines, writer))

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        if self.returncode is None:
            lines, writer = self._end
            self.returncode = int(await lines.readline())
            writer.close()
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        output, errors, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return output, errors


async def _stream(file: BinaryIO) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader
