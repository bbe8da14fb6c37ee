"""Measure `bulk fleet merge`: rows a second, with the proof, out of a store as a fleet leaves it.

    python benchmarks/merge.py [--quick] [--repeats N] [--json FILE]

The store is a folder: shards of 150 accounts, ten rows a product, a segment a second with claims, outcomes and the
times of all requests. What is measured is a process of its own, from its start to the ledger in its place.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from reporting import Verdict, middle, options_of, report

from bulk.fleet.lease import Terms
from bulk.fleet.manifest import MANIFEST, Manifest, Member, Shard, sha256_of
from bulk.fleet.progress import Progress, ShardState, progress_name
from bulk.fleet.records import Sends, encoded
from bulk.fleet.slices import slice_line
from bulk.model import Action, Attempt, Dialect, OtaModule, Outcome, Settlement, Target
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACCOUNTS = 150
"""Of a shard."""

PER_S = 10
ROWS_OF_A_PRODUCT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """What one merge cost; the fields are keys of the JSON."""

    rows: int
    merged_s: float
    cpu_s: float


def shard_of(folder: Path, number: int, first_line: int, rows: int) -> Shard:
    """Write a shard's slice and what it shipped, as a fleet would have."""
    accounts = [f"account-{number}-{each:03d}" for each in range(ACCOUNTS)]
    settlements = [_row(accounts[index % ACCOUNTS], index // ACCOUNTS, first_line + index) for index in range(rows)]
    path = folder / "input" / str(number)
    with path.open("wb") as file:
        for one in settlements:
            module = one.module
            fields = (module.product_key, module.module_name, module.alias_name or "", module.desc or "")
            record = orjson.dumps([*fields, one.account]).decode()
            file.write(slice_line(one.account, (one.line or 0, *fields, record)))
    _ship(folder / "segments" / str(number), settlements)
    ended = Progress(
        shard=number, fence=1, state=ShardState.ENDED, holder="", started_at=0, at=0, outcomes={"created": rows}
    )
    (folder / progress_name(number, 1)).write_bytes(ended.encoded())
    return Shard(number=number, accounts=tuple(accounts), rows=rows, sha256=sha256_of(path), file=f"input/{number}")


def _row(account: str, number: int, line: int) -> Settlement:
    product, name = divmod(number, ROWS_OF_A_PRODUCT)
    return Settlement(
        line=line,
        account=account,
        module=OtaModule(
            f"a1{account[8:]}{product:05d}",
            f"module-{name}",
            alias_name=f"模块 {name}",
            desc=f"Firmware {name} of {product}",
        ),
        outcome=Outcome.CREATED,
        at=1764243333.25 + number / PER_S,
        request_id=f"57B144CF-09B2-4916-A272-{line:012X}",
        attempts=1,
    )


def _ship(folder: Path, settlements: Sequence[Settlement]) -> None:
    folder.mkdir(parents=True)
    a_second = ACCOUNTS * PER_S
    for number, first in enumerate(range(0, len(settlements), a_second)):
        rows, sends = settlements[first : first + a_second], Sends()
        claims = [one._replace(outcome=Outcome.SENDING, request_id=None) for one in rows]
        for index, one in enumerate(rows):
            left_s = number + index // ACCOUNTS / PER_S
            sends.note(Attempt(0, Action.CREATE, "", "", 200, None, "", 0.01, account=one.account, left_s=left_s))
        for account in {one.account for one in rows}:
            sends.note(Attempt(0, Action.LIST, "", None, 200, None, "", 0.01, account=account, left_s=number))
        (folder / f"1.{number}").write_bytes(encoded([*claims, *rows], sends))


def store_of(folder: Path, rows: int, shards: int) -> None:
    """Write the store of a fleet that has finished."""
    for name in ("input", "segments", "progress"):
        (folder / name).mkdir(parents=True)
    header = folder / "header.csv"
    header.write_text("ProductKey,ModuleName,AliasName,Desc,Account\n")
    with open_input(str(header), ReadSettings()) as reader:
        shape = reader.shape.to_json()
    share = rows // shards
    made = [shard_of(folder, number, 2 + number * share, share) for number in range(shards)]
    manifest = Manifest(
        split="0" * 16,
        input="in.csv",
        shape=shape,
        rows=share * shards,
        terms=Terms(),
        shards=tuple(made),
        members={
            name: Member(group=name, target=Target(Dialect.TUYA, "https://platform"), create_per_s=10, list_per_s=10)
            for shard in made
            for name in shard.accounts
        },
    )
    (folder / MANIFEST).write_bytes(manifest.encoded())


def merged(folder: Path, rows: int) -> Merging:
    """Merge once, as a command does."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "bulk", "fleet", "merge", str(folder), "-o", f"{name}/merged.db", "--json"]
        before, started = _cpu_of_children_s(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took_s = time.perf_counter() - started
    said = json.loads(done.stdout)
    if said.get("outcomes", {}).get("created") != rows:
        raise SystemExit(f"the merge is not as it should be: {done.stdout}{done.stderr}")
    return Merging(rows=rows, merged_s=took_s, cpu_s=_cpu_of_children_s() - before)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _judge(measured: Sequence[Merging]) -> Iterator[Verdict]:
    rows = measured[0].rows
    yield Verdict(
        claim=f"{rows:,} rows: merged with proof a second",
        figure=middle(each.rows / each.merged_s for each in measured),
        limit=300_000,
        detail=f"{middle(each.rows / each.cpu_s for each in measured):,.0f} a second of CPU",
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__)
    shards, rows = (2, 10_000) if options.quick else (7, 999_999)
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        store_of(store, rows, shards)
        measured = [merged(store, rows // shards * shards) for _ in range(options.repeats)]
    report(options, [*_judge(measured)], [asdict(each) for each in measured])


if __name__ == "__main__":
    main()
