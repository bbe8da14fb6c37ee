"""What all benchmarks share: their flags, the line that says where figures come from, the table, the JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from loops import installed_loops

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Verdict", "machine", "middle", "options_of", "parser_of", "read_options", "report"]

_LIBRARIES = ("aiohttp", "yarl", "uvloop", "orjson", "aiolimiter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One figure beside what it must reach; the fields are keys of the JSON."""

    claim: str
    figure: float
    limit: float
    at_most: bool = False
    """The limit is the greatest good figure, not the least."""

    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is good enough."""
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit


def options_of(doc: str | None, *, loops: bool = False, repeats: int = 3) -> argparse.Namespace:
    """Read the command line of a benchmark; see `parser_of`."""
    return read_options(parser_of(doc, loops=loops, repeats=repeats), repeats=repeats)


def parser_of(doc: str | None, *, loops: bool = False, repeats: int = 3) -> argparse.ArgumentParser:
    """Return what reads the command line of a benchmark, for one that takes more than the others.

    Args:
        doc: The script's docstring, for ``--help``.
        loops: Let the event loop be chosen; the answer has ``loops``, the names of those to measure.
        repeats: How often each figure is taken, where not said.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and once: shows only that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument(
        "--repeats", type=int, default=None, help=f"how often each figure is taken (default: {repeats})"
    )
    if loops:
        parser.add_argument("--loop", choices=["asyncio", "uvloop"], help="only this event loop (default: both)")
    return parser


def read_options(parser: argparse.ArgumentParser, *, repeats: int = 3) -> argparse.Namespace:
    """Read the command line with `parser_of`'s answer."""
    options = parser.parse_args()
    if "loop" in options:
        options.loops = [options.loop] if options.loop else installed_loops()
    options.repeats = options.repeats or (1 if options.quick else repeats)
    return options


def machine() -> str:
    """Return the line that says where the figures come from."""
    libraries = ", ".join(f"{name} {found}" for name in _LIBRARIES if (found := _version(name)))
    python = f"Python {platform.python_version()}, {libraries}, SQLite {sqlite3.sqlite_version}"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {python}"


def middle(figures: Iterable[float]) -> float:
    """Return the median, rounded for people."""
    return round(median(figures), 4)


def report(options: argparse.Namespace, verdicts: Sequence[Verdict], figures: object) -> None:
    """Print the verdicts as a table, and write them and the figures as JSON if asked to."""
    print(f"\n{machine()}")
    width = max(len(verdict.claim) for verdict in verdicts)
    for verdict in verdicts:
        bound = f"{'≤' if verdict.at_most else '≥'} {verdict.limit:g}"
        word = "yes" if verdict.holds else "NO"
        print(f"{verdict.claim:{width}}  {verdict.figure:>10.3f}  {bound:>10}  {word:3}  {verdict.detail}")
    if options.quick:
        print("quick mode: the figures say only that it runs")
    if options.json:
        judged = [asdict(verdict) | {"holds": verdict.holds} for verdict in verdicts]
        document = {"machine": machine(), "quick": options.quick, "verdicts": judged, "figures": figures}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
