"""Measure `bulk expand`: rows a second, and memory, as a process of its own.

    python benchmarks/expand.py [--quick] [--repeats N] [--json FILE]

- expand: 100,000 products with ten modules each, as CSV to CSV and to JSON lines.
- memory: the peak at 1,000,000 rows beside that at 100,000.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from inputs import module_of
from processes import OnRows, bulk, judge_memory
from reporting import Verdict, middle, options_of, report

MODULES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What one expansion took; the fields are keys of the JSON."""

    rows: int
    format: str
    elapsed_s: float
    cpu_s: float
    peak_mb: float


def write_products(path: Path, products: int) -> Path:
    """Write a list of products with their names."""
    lines = (f"a1{at:09d},产品 {at}\n" for at in range(products))
    with path.open("w", encoding="utf-8") as file:
        file.write("ProductKey,ProductName\n")
        file.writelines(lines)
    return path


def write_modules(path: Path) -> Path:
    """Write a set of ten modules."""
    rows = (module_of(slot, products=1)[1:] for slot in range(MODULES))
    text = "".join(f'{name},{alias},"{desc}"\n' for name, alias, desc in rows)
    path.write_text(f"ModuleName,AliasName,Desc\n{text}", encoding="utf-8")
    return path


def expand(products: Path, modules: Path, rows: int, *, form: str) -> Expanded:
    """Expand once."""
    out = products.with_name(f"out.{form}")
    spent = bulk("expand", str(products), "--modules", str(modules), "-o", str(out), "--json")
    return Expanded(rows=rows, format=form, elapsed_s=spent.elapsed_s, cpu_s=spent.cpu_s, peak_mb=spent.peak_mb)


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__)
    share = 100 if options.quick else 1
    many, few = 1_000_000 // share, 100_000 // share
    with tempfile.TemporaryDirectory() as folder:
        modules = write_modules(Path(folder) / "modules.csv")
        of_many, of_few = (write_products(Path(folder) / f"{rows}.csv", rows // MODULES) for rows in (many, few))
        measured = [
            expand(of_many, modules, many, form=form) for _ in range(options.repeats) for form in ("csv", "jsonl")
        ]
        small = expand(of_few, modules, few, form="csv")
    verdicts = [
        Verdict(
            claim=f"{many:,} rows to {form.upper()}: rows a second",
            figure=middle(each.rows / each.elapsed_s for each in measured if each.format == form),
            limit=200_000,
        )
        for form in ("csv", "jsonl")
    ]
    fewer, more = (
        OnRows(command="expand", rows=each.rows, elapsed_s=each.elapsed_s, cpu_s=each.cpu_s, peak_mb=each.peak_mb)
        for each in (small, measured[0])
    )
    report(options, [*verdicts, *judge_memory(fewer, more)], [asdict(each) for each in [*measured, small]])


if __name__ == "__main__":
    main()
