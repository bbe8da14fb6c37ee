"""Measure `bulk export`: how near it comes to the list rate, and its memory, as a process of its own.

    python benchmarks/export.py [--quick] [--repeats N] [--json FILE]

- rate: 1,000 products with 0 to 10 modules each, of a sandbox that grants so many listings a second and counts each
  second strictly. The rate is raised, so that it takes half a minute and not two; the ideal is products by rate.
- memory: the peak at 1,000 products beside that at 100.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from processes import OnRows, bulk, judge_memory
from reporting import Verdict, middle, options_of, report

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_S = 40
"""Below the 50 that the platform grants for QueryProduct, which each product costs too."""

LIST = "ListOTAModuleByProduct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What one export took; the fields are keys of the JSON."""

    products: int
    elapsed_s: float
    listing_s: float
    """From the first listing to the last, as the platform saw them."""

    cpu_s: float
    peak_mb: float
    throttled: int


@contextmanager
def served(folder: Path, products: int) -> Iterator[Path]:
    """Serve a world of so many products; yield the settings that lead to it."""
    keys = [f"a1{at:09d}" for at in range(products)]
    world = {
        "products": [{"product_key": key, "product_name": f"产品 {key}"} for key in keys],
        "modules": [
            {"product_key": key, "module_name": f"m{number}", "alias_name": "主控", "desc": "main controller"}
            for at, key in enumerate(keys)
            for number in range(at % 11)
        ],
    }
    (folder / "world.json").write_text(json.dumps(world), encoding="utf-8")
    options = ["--list-qps", str(PER_S), "--world", "world.json", "--arrivals", "arrivals", "--dialect", "alibaba"]
    with subprocess.Popen(
        [sys.executable, "-m", "bulk", "sandbox", *options], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        told = dict(serving.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(3))
        for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET"):
            os.environ[f"BOX_{part}"] = told[f"ALIBABA_CLOUD_{part}"]
        settings = folder / "bulk.toml"
        settings.write_text(
            f'endpoint = "{told["BULK_ENDPOINT"]}"\ndialect = "alibaba"\nkey_env = "BOX"\nlist_qps = {PER_S}\n'
        )
        yield settings
        serving.terminate()


def export(products: int) -> Exported:
    """Export once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, products) as settings:
            spent = bulk("export", "-o", str(folder / "out.csv"), "--settings", str(settings), "--json")
        assert json.loads(spent.stdout)["products"] == products
        arrivals = [json.loads(line) for line in (folder / "arrivals").read_text().splitlines()]
    listed = [each for each in arrivals if each["action"] == LIST]
    return Exported(
        products=products,
        elapsed_s=spent.elapsed_s,
        listing_s=listed[-1]["at"] - listed[0]["at"],
        cpu_s=spent.cpu_s,
        peak_mb=spent.peak_mb,
        throttled=sum(str(each["code"] or "").startswith("Throttling") for each in arrivals),
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, repeats=1)
    many, few = (100, 20) if options.quick else (1_000, 100)
    measured = [export(many) for _ in range(options.repeats)]
    small = export(few)
    ideal_s = many / PER_S
    verdicts = [
        Verdict(
            claim=f"{many:,} products at {PER_S} a second: % of the list rate",
            figure=middle(100 * (many - 1) / PER_S / each.listing_s for each in measured),
            limit=97,
            detail=f"in {middle(each.elapsed_s for each in measured):.1f} s all told; the ideal is {ideal_s:.1f} s",
        ),
        Verdict(
            claim="requests over the rate",
            figure=sum(each.throttled for each in measured),
            limit=0,
            at_most=True,
        ),
    ]
    fewer, more = (
        OnRows(command="export", rows=each.products, elapsed_s=each.elapsed_s, cpu_s=each.cpu_s, peak_mb=each.peak_mb)
        for each in (small, measured[0])
    )
    report(options, [*verdicts, *judge_memory(fewer, more)], [asdict(each) for each in [*measured, small]])


if __name__ == "__main__":
    main()
