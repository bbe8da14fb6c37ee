"""docs/performance.md names a script of benchmarks/ for each figure."""

from __future__ import annotations

import re

from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("\n## Figures\n")[2].partition("\n## ")[0]
SCRIPT_COLUMN = 5


def test_every_figure_names_the_script_that_measures_it() -> None:
    rows = [row.split(" | ") for row in TABLE.splitlines() if row.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[SCRIPT_COLUMN - 1])}
    commands = set(re.findall(r"^python benchmarks/(\w+)\.py", PAGE, re.MULTILINE))

    assert rows
    assert named <= commands
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in commands)
