"""Prove what a shard shipped while you write it to a merged ledger. Blocks: use it in a thread, a chunk at a time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any

from bulk.errors import UnprovenError
from bulk.fleet.manifest import sha256_of
from bulk.fleet.records import lines_of, opened, records_of
from bulk.fleet.segments import place_of
from bulk.fleet.windows import Windows
from bulk.model import OPEN_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from bulk.fleet.manifest import Member, Shard
    from bulk.fleet.records import Record
    from bulk.ledger.intake import Intake
    from bulk.ledger.merging import MergedLedger

__all__ = ["ShardProof", "add_slice"]

_BLOCK_BYTES = 1 << 18
_VALID_FIELDS = 7
_LINE, _ACCOUNT, _PRODUCT_KEY, _NAME, _REQUEST_ID, _RECOVERED, _AT, _OUTCOME = 0, 1, 2, 3, 6, 8, 10, 11
"""Places in a `Record`."""


def add_slice(intake: Intake, path: Path, shard: Shard, members: Collection[str]) -> None:
    """Write a shard's rows, after checking that they are those of the manifest.

    Args:
        intake: Takes the rows.
        path: The shard's slice.
        shard: The shard, as the manifest has it.
        members: All accounts of the fleet. Rows of other accounts, which the split left out, are in the first slice.

    Raises:
        UnprovenError: They are not, or they belong to another shard.
    """
    if sha256_of(path) != shard.sha256:
        raise UnprovenError([f"shard {shard.number}: {shard.file} is not what the manifest says (its SHA-256 differs)"])
    before = intake.rows
    with path.open("rb") as file:
        for block in _blocks(file):
            said = lines_of(block)
            valid = [row for row in said if len(row) == _VALID_FIELDS]
            _refuse_strangers({row[0] for row in valid}.intersection(members), shard, f"{shard.file} has rows")
            try:
                intake.add_slice(valid, [row for row in said if len(row) != _VALID_FIELDS])
            except sqlite3.IntegrityError:
                lines = [row[1] if len(row) == _VALID_FIELDS else row[0] for row in said]
                where = f"lines {min(lines):,} to {max(lines):,}"
                raise UnprovenError([f"shard {shard.number}: of {where} one is in another shard too"]) from None
    if intake.rows - before != shard.rows:
        counts = f"{intake.rows - before:,} rows, and the manifest says {shard.rows:,}"
        raise UnprovenError([f"shard {shard.number}: {shard.file} has {counts}"])


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of whole lines of a file."""
    while block := file.read(_BLOCK_BYTES):
        yield block + file.readline()


def _refuse_strangers(accounts: set[str], shard: Shard, what: str) -> None:
    if strange := sorted(accounts.difference(shard.accounts)):
        raise UnprovenError([f"shard {shard.number}: {what} of account {strange[0]!r}, which is no account of it"])


class ShardProof:
    """The proof of all segments of a shard, in their order."""

    def __init__(self, shard: Shard, members: Mapping[str, Member], ledger: MergedLedger) -> None:
        """Begin without segments.

        Args:
            shard: The shard of the segments.
            members: Account → its rate group and its rate.
            ledger: Receives the latest state of each row.
        """
        self._shard = shard
        self._members = members
        self._ledger = ledger
        self._fence, self._number = 0, 0
        self._windows = Windows(members)
        self._claimed: set[int] = set()
        self._created: dict[int, tuple[str, str]] = {}
        self.settled: set[int] = set()
        """Lines that have an outcome."""

        self.requests: Counter[str] = Counter()
        """Requests by action."""
        self.fences = 0
        self.flaws: list[str] = []

    def add(self, segments: Sequence[tuple[str, bytes]]) -> None:
        """Take the next segments: name and content."""
        last: dict[int, Record] = {}
        claimed: dict[int, bytes] = {}
        for name, data in segments:
            self._follow(name)
            try:
                segment = opened(data)
                for account, actions in segment.sent.items():
                    for action, times in actions.items():
                        self._windows.note(account, action, times)
            except (ValueError, KeyError, TypeError, AttributeError):
                self.flaws.append(f"shard {self._shard.number}: {name} can't be read")
                continue
            self._claimed.update(segment.claimed)
            claimed |= dict.fromkeys(segment.claimed, segment.claims)
            for record in segment.records:
                last[record[_LINE]] = record
                claimed.pop(record[_LINE], None)
            self._take(segment.records)
        # Nearly every claim has its outcome by now, so it need not be read.
        for claims in {id(claims): claims for claims in claimed.values()}.values():
            last |= {record[_LINE]: record for record in records_of(claims) if claimed.get(record[_LINE]) is claims}
        _refuse_strangers({record[_ACCOUNT] for record in last.values()}, self._shard, "it shipped outcomes")
        self._ledger.add_last_words([*last.values()])

    def _follow(self, name: str) -> None:
        """Check that no segment is missing: each holder numbers its segments from 0, and stores them in order."""
        fence, number = place_of(name)
        if fence != self._fence:
            self._end_fence()
            self._fence, self._number = fence, 0
            self.fences += 1
        if number != self._number:
            self.flaws.append(f"shard {self._shard.number}: the segment before {name} is missing")
        self._number = number + 1

    def _end_fence(self) -> None:
        for found in self._windows.crowded():
            self.flaws.append(
                f"shard {self._shard.number}, fence {self._fence}: rate group {found.group!r} sent {found.requests}"
                f" {found.action.noun}s within a second, and {found.granted} are granted; it began at"
                f" {found.at_s:.4f} s of that machine's clock"
            )
        self.requests += self._windows.requests
        self._windows = Windows(self._members)

    def _take(self, records: Sequence[Record]) -> None:
        self._claimed.update([record[_LINE] for record in records if record[_OUTCOME] == Outcome.SENDING])
        self.settled.update([record[_LINE] for record in records if record[_OUTCOME] not in OPEN_OUTCOMES])
        made = [record for record in records if record[_OUTCOME] == Outcome.CREATED and not record[_RECOVERED]]
        by_line = {record[_LINE]: (record[_AT], record[_REQUEST_ID]) for record in made}
        if len(by_line) != len(made) or not self._created.keys().isdisjoint(by_line):
            for record in made:
                self._note_created(record)
        else:
            self._created |= by_line

    def _note_created(self, record: Record) -> None:
        made = record[_AT], record[_REQUEST_ID]
        # A machine that continues with its own ledger may ship an outcome again.
        before = self._created.setdefault(record[_LINE], made)
        if before != made:
            requests = f"requests {before[1]} and {made[1]}"
            self.flaws.append(f"shard {self._shard.number}: {_named(record)} was created twice: {requests}")

    def conclude(self) -> None:
        """Prove what you can only see from all segments together."""
        self._end_fence()
        if unclaimed := self._created.keys() - self._claimed:
            lines = f"line {min(unclaimed):,}" + (f" and {len(unclaimed) - 1:,} more" if len(unclaimed) > 1 else "")
            self.flaws.append(f"shard {self._shard.number}: {lines} was created, and no segment has its claim")


def _named(record: Sequence[Any]) -> str:
    return f"line {record[_LINE]:,} (product {record[_PRODUCT_KEY]}, module {record[_NAME]})"
