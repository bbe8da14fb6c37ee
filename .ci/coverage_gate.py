"""Measure the branches that unit and property tests take: `python .ci/coverage_gate.py [--data FILE]`.

It prints a line for each room of `bulk/`, and exits with 1 where less is covered than must be. With ``--data`` it
judges what an earlier `pytest --cov` wrote; without, it runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["judge"]

ROOT = Path(__file__).parents[1]

OVERALL_PERCENT = 95.0
"""Least share of the branches of all of `bulk/`."""

WHOLE = ("bulk/control/", "bulk/cloud/signing.py", "bulk/ledger/writer.py")
"""Where a branch that no test takes could break a promise unseen: all of it is covered."""

_SIMULATED = "tests/property/engine/test_accounts_simulated.py"
TESTS = (
    "tests/unit",
    "tests/property",
    f"--deselect={_SIMULATED}::test_a_thousand_accounts_take_hardly_longer_than_their_rates_ask_for",
    f"--deselect={_SIMULATED}::test_whatever_befalls_a_thousand_accounts_no_promise_is_broken",
)
"""What is left out plays a thousand accounts, for minutes, and takes no branch that fewer accounts don't."""


@dataclass
class Share:
    """How much of some files the tests took."""

    branches: int = 0
    taken: int = 0
    missing_lines: int = 0

    def add(self, summary: dict[str, Any]) -> None:
        self.branches += summary["num_branches"]
        self.taken += summary["covered_branches"]
        self.missing_lines += summary["missing_lines"]

    @property
    def percent(self) -> float:
        return 100.0 * self.taken / self.branches if self.branches else 100.0

    def __str__(self) -> str:
        return f"{self.percent:5.1f}%  {self.taken} of {self.branches} branches, {self.missing_lines} lines missing"


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a file that coverage wrote")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder) / "coverage"
            run_tests(data)
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "-q", f"--data-file={data}", "-o", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        complaints = judge(json.loads(report.read_text(encoding="utf-8"))["files"])
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return int(bool(complaints))


def run_tests(data: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", *TESTS, "--cov", "--cov-report="]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(data)}, check=True)


def judge(files: dict[str, dict[str, Any]]) -> list[str]:
    """Print the share of each room, and return what has to be said about those with too little.

    Args:
        files: Path below the project → what coverage's JSON says of the file.
    """
    rooms: dict[str, Share] = defaultdict(Share)
    overall = Share()
    for name, file in files.items():
        rooms[room_of(name)].add(file["summary"])
        overall.add(file["summary"])
    for room, share in sorted(rooms.items(), key=lambda item: item[1].percent):
        print(f"{share}  {room}")
    print(f"{overall}  in all")
    complaints = [
        f"{name}: {file['summary']['missing_branches']} branches and {file['summary']['missing_lines']} lines are not "
        f"covered, and all must be: lines {file['missing_lines']}, branches {file.get('missing_branches', [])}"
        for name, file in files.items()
        if name.startswith(WHOLE) and (file["summary"]["missing_branches"] or file["summary"]["missing_lines"])
    ]
    if overall.percent < OVERALL_PERCENT:
        complaints.append(f"{overall.percent:.1f}% of all branches are covered, and {OVERALL_PERCENT:g}% must be")
    return complaints


def room_of(name: str) -> str:
    """Return the folder of a file, two levels deep: `bulk/engine/lanes`."""
    return "/".join(name.split("/")[:-1][:3])


if __name__ == "__main__":
    sys.exit(main())
