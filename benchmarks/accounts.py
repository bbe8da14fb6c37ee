"""Measure one process that works for many accounts: each one's rate, and what it costs.

    python benchmarks/accounts.py [--quick] [--json FILE] [--accounts N] [--seconds S]

`bulk run` for 150 accounts at 10 creates a second each, on uvloop where it is installed, against a platform in another
process, which stamps what arrives: two to three minutes. A run for one account comes first, to tell what 149 more add.

- rate: creates a second of each account between its first and its last one, beside the 10 that are granted.
- second: most creates, and most listings, that any account sent in any one second.
- cpu: of one core, while rows were sent; memory: peak, less that of the run for one account; commits of the ledger.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reporting import Verdict, middle, parser_of, read_options, report
from stamping_platform import stamping_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stamping_platform import StampingPlatform

PER_S = 10
ROWS_A_PRODUCT = 10
_PROGRAM = """
import atexit, os, sys
from bulk.ledger.writer import LedgerWriter

commits, write = 0, LedgerWriter._write

def counted(self, group):
    global commits
    commits += 1
    write(self, group)

LedgerWriter._write = counted
atexit.register(lambda: print(commits, file=sys.stderr))
from bulk.cli import main
sys.argv[0] = "bulk"
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run; the fields are keys of the JSON."""

    accounts: int
    rates_per_s: tuple[float, ...]
    """Of each account."""

    most_in_a_second: int
    elapsed_s: float
    """From the first request to the last."""

    cpu_s: float
    peak_mb: float
    commits: int


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    parser = parser_of(__doc__, repeats=1)
    parser.add_argument("--accounts", type=int, help="accounts of the large run (default: 150; 6 if quick)")
    parser.add_argument("--seconds", type=int, help="how long each account has work for (default: 60; 3 if quick)")
    options = read_options(parser, repeats=1)
    accounts = options.accounts or (6 if options.quick else 150)
    seconds = options.seconds or (3 if options.quick else 60)
    with tempfile.TemporaryDirectory() as folder, stamping_platform() as platform:
        one, many = (_measure(number, seconds, Path(folder) / str(number), platform) for number in (1, accounts))
    report(options, list(_verdicts(one, many)), [asdict(one), asdict(many)])


def _verdicts(one: Measured, many: Measured) -> Iterator[Verdict]:
    claim = f"{many.accounts} accounts in one process"
    shares = [rate / PER_S for rate in many.rates_per_s]
    yield Verdict(claim=f"{claim}: least rate / {PER_S}", figure=min(shares), limit=0.96)
    yield Verdict(claim=f"{claim}: median rate / {PER_S}", figure=middle(shares), limit=0.975)
    yield Verdict(claim="most in any second of any account", figure=many.most_in_a_second, limit=PER_S, at_most=True)
    yield Verdict(
        claim="share of one core",
        figure=many.cpu_s / many.elapsed_s,
        limit=0.60,
        at_most=True,
        detail=f"{1e6 * many.cpu_s / _requests(many):.0f} µs a request",
    )
    yield Verdict(
        claim="MB an account",
        figure=(many.peak_mb - one.peak_mb) / (many.accounts - 1),
        limit=0.6,
        at_most=True,
        detail=f"{many.peak_mb:.0f} - {one.peak_mb:.0f}",
    )
    yield Verdict(claim="commits a second", figure=many.commits / many.elapsed_s, limit=100, at_most=True)


def _requests(measured: Measured) -> float:
    return max(1.0, sum(measured.rates_per_s) * measured.elapsed_s * (1 + 1 / ROWS_A_PRODUCT))


def _measure(accounts: int, seconds: int, folder: Path, platform: StampingPlatform) -> Measured:
    folder.mkdir()
    keys = _write_job(folder, accounts, rows=seconds * PER_S, endpoint=platform.endpoint)
    command = [sys.executable, "-c", _PROGRAM, "run", "modules.csv", "--json"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | keys, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        summary = process.stdout.read()
        said = process.stderr.read()
        # Only wait4 tells the peak of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"the run ended with {process.returncode} after {began}: {summary} {said}"
    stamps = platform.stamps()
    first, last = _ends(stamps)
    return Measured(
        accounts=accounts,
        rates_per_s=tuple(_rate(of_account["create"]) for of_account in stamps.values()),
        most_in_a_second=max(_most(times) for of_account in stamps.values() for times in of_account.values()),
        elapsed_s=last - first,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024),
        commits=int(said.split()[-1]),
    )


def _write_job(folder: Path, accounts: int, *, rows: int, endpoint: str) -> dict[str, str]:
    """Write settings and input of a job, and return the variables that have its keys."""
    names = [f"account-{number:03}" for number in range(accounts)]
    tables = [f"[accounts.{name}]\nkey_env = {json.dumps(_variable(name))}\n" for name in names]
    top = f'endpoint = "{endpoint}"\ndialect = "alibaba"\nqps = {PER_S}\nlist_qps = {PER_S}\n'
    (folder / "bulk.toml").write_text("\n".join([top, *tables]), encoding="utf-8")
    with (folder / "modules.csv").open("w", encoding="utf-8") as file:
        file.write("ProductKey,ModuleName,Account\n")
        for row in range(rows):
            file.writelines(f"{name}-p{row // ROWS_A_PRODUCT},m{row},{name}\n" for name in names)
    return {
        f"{_variable(name)}_{part}": f"{name}-{part.lower()}"
        for name in names
        for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET")
    }


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _ends(stamps: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[float, float]:
    times = [time for of_account in stamps.values() for kind in of_account.values() for time in kind]
    return min(times), max(times)


def _rate(times: Sequence[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def _most(times: Sequence[float]) -> int:
    """Return how many fall into the fullest second."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    main()
