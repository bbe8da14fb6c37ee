"""Measure a fleet on one machine: what a second worker adds, how soon a killed one is followed, what Dask's takes.

    python benchmarks/fleet.py [--quick] [--json FILE] [--accounts N] [--seconds S]

Workers of `bulk fleet work` send 10 creates a second for each account, against a platform in another process, which
stamps what arrives: three to four minutes. The store is a folder.

- two workers: requests a second of CPU, of two workers at once against one alone; times two. A machine that is too
  small for both makes them late, and changes little of that.
- restart: from the kill -9 of a worker to the first request of the next one, on the same machine.
- Dask worker: its peak of memory with one shard, nanny and scheduler not counted.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reporting import Verdict, parser_of, read_options, report
from stamping_platform import stamping_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stamping_platform import StampingPlatform

PER_S = 10
ROWS_A_PRODUCT = 10
_LOOKED_EVERY_S = 0.02
_MB = 1024 * 1024 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in, to megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What some workers did; the fields are keys of the JSON."""

    workers: int
    requests: int
    cpu_s: float
    elapsed_s: float

    @property
    def requests_a_cpu_s(self) -> float:
        """How much of the machine a request takes."""
        return self.requests / self.cpu_s


class Fleet:
    """A split input: some shards, each with so many accounts."""

    def __init__(self, folder: Path, platform: StampingPlatform, *, shards: int, accounts: int, seconds: int) -> None:
        """Write settings and input, and split it."""
        folder.mkdir()
        self.folder = folder
        self.platform = platform
        names = [f"account-{number:03}" for number in range(shards * accounts)]
        self._environ = os.environ | {
            f"{_variable(name)}_{part}": f"{name}-{part.lower()}"
            for name in names
            for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET")
        }
        self._write(names, rows=seconds * PER_S)
        self._run("split", "modules.csv", "--store", "store", "--shards", str(shards))

    def _write(self, names: Sequence[str], *, rows: int) -> None:
        top = f'endpoint = "{self.platform.endpoint}"\ndialect = "alibaba"\nqps = {PER_S}\nlist_qps = {PER_S}\n'
        tables = [f'[accounts.{name}]\nkey_env = "{_variable(name)}"\nrate_group = "{name}"\n' for name in names]
        (self.folder / "bulk.toml").write_text("\n".join([top, *tables]), encoding="utf-8")
        with (self.folder / "modules.csv").open("w", encoding="utf-8") as file:
            file.write("ProductKey,ModuleName,Account\n")
            for row in range(rows):
                file.writelines(f"{name}-p{row // ROWS_A_PRODUCT},m{row},{name}\n" for name in names)

    def _run(self, *words: str) -> None:
        with self.program("bulk", "fleet", *words) as process:
            assert process.wait() == 0, f"bulk fleet {words[0]} ended with {process.returncode}"

    @contextmanager
    def program(self, module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in the fleet's folder; it is ended with the block."""
        with subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=self.folder,
            env=self._environ | {"BULK_WORK_FOLDER": "work"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def worker(self, stack: ExitStack, shard: int) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return stack.enter_context(self.program("bulk", "fleet", "work", "store", "--shard", str(shard)))

    def arrived(self) -> list[float]:
        """Return what arrived since the last question."""
        stamps = self.platform.stamps()
        return [at for of_account in stamps.values() for times in of_account.values() for at in times]


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    parser = parser_of(__doc__, repeats=1)
    parser.add_argument("--accounts", type=int, help="accounts of a shard (default: 100; 5 if quick)")
    parser.add_argument("--seconds", type=int, help="how long each account has work for (default: 45; 4 if quick)")
    options = read_options(parser, repeats=1)
    accounts = options.accounts or (5 if options.quick else 100)
    seconds = options.seconds or (4 if options.quick else 45)
    with tempfile.TemporaryDirectory() as name, stamping_platform() as platform:
        folder = Path(name)
        works = [
            _work(Fleet(folder / f"{workers}", platform, shards=workers, accounts=accounts, seconds=seconds))
            for workers in (1, 2)
        ]
        again_s = _restart(Fleet(folder / "restart", platform, shards=1, accounts=accounts, seconds=seconds))
        dask_mb = _dask(Fleet(folder / "dask", platform, shards=1, accounts=accounts, seconds=seconds))
    figures = {"work": [asdict(work) for work in works], "restart_s": again_s, "dask_worker_mb": dask_mb}
    report(options, list(_verdicts(works, again_s, dask_mb, accounts)), figures)


def _verdicts(works: Sequence[Work], again_s: float, dask_mb: float, accounts: int) -> Iterator[Verdict]:
    one, two = works
    yield Verdict(
        claim="two workers against one, by CPU",
        figure=2 * two.requests_a_cpu_s / one.requests_a_cpu_s,
        limit=1.8,
        detail=f"{1e6 / one.requests_a_cpu_s:.0f} and {1e6 / two.requests_a_cpu_s:.0f} µs a request; by the clock"
        f" {two.requests / two.elapsed_s / (one.requests / one.elapsed_s):.2f}",
    )
    yield Verdict(claim="restart after a kill, s", figure=again_s, limit=3.0, at_most=True)
    limit = 90 + 0.6 * accounts
    yield Verdict(claim=f"MB of a Dask worker, {accounts} accounts", figure=dask_mb, limit=limit, at_most=True)


def _work(fleet: Fleet) -> Work:
    """Let a worker work on each shard, all at once."""
    workers = len(list((fleet.folder / "store" / "input").iterdir()))
    fleet.arrived()
    cpu_s = 0.0
    with ExitStack() as stack:
        for process in [fleet.worker(stack, shard) for shard in range(workers)]:
            # Only wait4 tells the CPU of this child alone.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, f"a worker ended with {process.returncode}"
            cpu_s += usage.ru_utime + usage.ru_stime
    stamps = fleet.arrived()
    return Work(workers=workers, requests=len(stamps), cpu_s=cpu_s, elapsed_s=max(stamps) - min(stamps))


def _restart(fleet: Fleet) -> float:
    """Kill a worker amid its work, start another, and return how long it takes to its first request."""
    fleet.arrived()
    with ExitStack() as stack:
        first = fleet.worker(stack, 0)
        arrived = 0
        while arrived < 20 * PER_S:
            time.sleep(_LOOKED_EVERY_S)
            arrived += len(fleet.arrived())
        first.send_signal(signal.SIGKILL)
        began_s = time.perf_counter()
        first.wait()
        fleet.arrived()
        fleet.worker(stack, 0)
        while not fleet.arrived():
            time.sleep(_LOOKED_EVERY_S)
        return time.perf_counter() - began_s


def _dask(fleet: Fleet) -> float:
    """Return the peak of a Dask worker that worked on a shard, in MB."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    port = address.rpartition(":")[2]
    cli = "distributed.cli.dask_{}"
    with (
        fleet.program(cli.format("scheduler"), "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        fleet.program(cli.format("worker"), address, "--nthreads", "1", "--no-nanny", "--no-dashboard") as worker,
        fleet.program("bulk", "fleet", "run", "store", "--engine", f"dask:{address}") as driver,
    ):
        assert driver.wait() == 0, f"the driver ended with {driver.returncode}"
        worker.send_signal(signal.SIGKILL)
        _, status, usage = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / _MB


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


if __name__ == "__main__":
    main()
