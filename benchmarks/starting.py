"""Compare how long commands take to start with ``python -c "import aiohttp"``, which a client can't do without.

    python benchmarks/starting.py [--quick] [--repeats N] [--json FILE]

Processes are started in turn, so that a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from inputs import write_csv
from processes import bulk, python
from reporting import Verdict, middle, options_of, report
from tiny_platform import tiny_platform

ROWS = 100


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, repeats=15)
    taken_s: dict[str, list[float]] = {"import aiohttp": [], "bulk --help": [], "bulk results": []}
    with tempfile.TemporaryDirectory() as folder:
        ledger = str(Path(folder) / "rows.db")
        source = write_csv(Path(folder) / "rows.csv", ROWS, products=ROWS)
        with tiny_platform() as endpoint:
            unpaced = ("--qps", "0", "--list-qps", "0")
            bulk("run", str(source), "--endpoint", endpoint, "--ledger", ledger, "--json", *unpaced)
        for _ in range(options.repeats):
            taken_s["import aiohttp"].append(python("-c", "import aiohttp").elapsed_s)
            taken_s["bulk --help"].append(bulk("--help").elapsed_s)
            taken_s["bulk results"].append(bulk("results", ledger).elapsed_s)
    imported_s = taken_s["import aiohttp"]
    verdicts = [
        Verdict(
            claim=f"{name} / import aiohttp",
            figure=middle(ours / theirs for ours, theirs in zip(taken_s[name], imported_s, strict=True)),
            limit=2,
            at_most=True,
            detail=f"{1000 * middle(taken_s[name]):.0f} / {1000 * middle(imported_s):.0f} ms",
        )
        for name in ("bulk --help", "bulk results")
    ]
    report(options, verdicts, taken_s)


if __name__ == "__main__":
    main()
