"""Compare this tree with a commit before it: CPU a request and a row, size of the ledger, memory, time to start.

    python benchmarks/against.py COMMIT [--quick] [--loop asyncio|uvloop] [--repeats N] [--json FILE]

The commit is checked out into a temporary worktree. Both run in turns, each time in a new process with the same
packages, on 20,000 rows of 4,000 products without a rate, against the tiny platform on the other CPU. Counted is CPU
time, which a busy machine disturbs least; a ratio is the median of those inside a turn, and every second turn begins
with the other tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine_alone import Alone
from inputs import write_csv
from processes import python
from reporting import Verdict, middle, parser_of, read_options, report
from tiny_platform import tiny_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
ROWS_A_PRODUCT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree(Alone):
    """What one tree took in one turn; the fields are keys of the JSON."""

    help_cpu_ms: float
    import_cpu_ms: float


def measure(tree: Path, source: Path, endpoint: str, loop: str) -> Tree:
    """Let one tree run once, and start twice."""
    with _imported_from(tree):
        alone = json.loads(python(str(HERE / "engine_alone.py"), str(source), endpoint, loop).stdout)
        help_s, import_s = python("-m", "bulk", "--help").cpu_s, python("-c", "import bulk; bulk.run").cpu_s
    assert Path(alone["tree"]) == tree, alone
    return Tree(**alone, help_cpu_ms=1000 * help_s, import_cpu_ms=1000 * import_s)


@contextmanager
def _imported_from(tree: Path) -> Iterator[None]:
    """Let processes import `bulk` from a tree, whatever is installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tree)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextmanager
def _checked_out(commit: str) -> Iterator[Path]:
    """Make a worktree of a commit, and remove it."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "before"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=HERE, check=True, capture_output=True)


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    parser = parser_of(__doc__, loops=True, repeats=7)
    parser.add_argument("commit", metavar="COMMIT", help="what to compare with")
    options = read_options(parser, repeats=7)
    rows = 1_000 if options.quick else 20_000
    turns: dict[str, list[tuple[Tree, Tree]]] = {loop: [] for loop in options.loops}
    with tempfile.TemporaryDirectory() as folder, _checked_out(options.commit) as before, tiny_platform() as endpoint:
        source = write_csv(Path(folder) / "modules.csv", rows, products=rows // ROWS_A_PRODUCT)
        for number in range(options.repeats):
            for loop in options.loops:
                turns[loop].append(_take_turn(before, source, endpoint, loop, ours_first=bool(number % 2)))
                print(loop, *turns[loop][-1], sep="\n", flush=True)
    verdicts = [verdict for loop in options.loops for verdict in _judge(loop, turns[loop])]
    report(options, verdicts, {loop: [[asdict(t) for t in pair] for pair in turns[loop]] for loop in options.loops})


def _take_turn(before: Path, source: Path, endpoint: str, loop: str, *, ours_first: bool) -> tuple[Tree, Tree]:
    if ours_first:
        ours = measure(HERE.parent, source, endpoint, loop)
        return measure(before, source, endpoint, loop), ours
    return measure(before, source, endpoint, loop), measure(HERE.parent, source, endpoint, loop)


def _judge(loop: str, turns: Sequence[tuple[Tree, Tree]]) -> Iterator[Verdict]:
    for name, claim, limit in (
        ("request_cpu_us", "CPU µs a request", 1.03),
        ("loop_cpu_us", "of that, the event loop", 1.03),
        ("ingest_cpu_us_a_row", "CPU µs a row ingested", 1.03),
        ("ledger_bytes_a_row", "bytes of the ledger a row", 1.5),
        ("peak_mb", "peak MB", 1.1),
        ("help_cpu_ms", "CPU ms of bulk --help", 1.1),
        ("import_cpu_ms", "CPU ms of import bulk", 1.1),
    ):
        before, now = ([getattr(turn[side], name) for turn in turns] for side in (0, 1))
        yield Verdict(
            claim=f"{loop}: {claim}, now / before",
            figure=middle(ours / theirs for theirs, ours in zip(before, now, strict=True)),
            limit=limit,
            at_most=True,
            detail=f"{middle(now):.1f} / {middle(before):.1f}",
        )


if __name__ == "__main__":
    main()
