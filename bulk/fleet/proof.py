"""Prove what a shard shipped while it goes into a merged ledger. Blocks: used in a thread, a chunk at a time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from bulk.errors import UnprovenError
from bulk.fleet.manifest import sha256_of
from bulk.fleet.records import lines_of, records_in, sends_in
from bulk.fleet.segments import place_of
from bulk.fleet.windows import Windows
from bulk.ledger.times import iso_utc
from bulk.model import OPEN_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from bulk.fleet.manifest import Member, Shard
    from bulk.fleet.records import Record
    from bulk.ledger.intake import Intake
    from bulk.ledger.merging import MergedLedger

__all__ = ["ShardProof", "add_slice"]

_BLOCK_BYTES = 1 << 18
_VALID_FIELDS = 7
_LINE, _ACCOUNT, _PRODUCT_KEY, _NAME, _OUTCOME, _AT, _REQUEST_ID, _RECOVERED, _ALIAS_NAME = 0, 1, 2, 3, 4, 5, 8, 10, 13
"""Places in a `Record`."""


def add_slice(intake: Intake, path: Path, shard: Shard) -> None:
    """Write a shard's rows, once they are known to be those of the manifest.

    Raises:
        UnprovenError: They are not, or they are another shard's.
    """
    if sha256_of(path) != shard.sha256:
        raise UnprovenError([f"shard {shard.number}: {shard.file} is not what the manifest says (its SHA-256 differs)"])
    before = intake.rows
    with path.open("rb") as file:
        for block in _blocks(file):
            said = lines_of(block)
            valid = [row for row in said if len(row) == _VALID_FIELDS]
            _refuse_strangers({row[0] for row in valid}, shard, f"{shard.file} has rows")
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
    """Yield a file in whole lines."""
    while block := file.read(_BLOCK_BYTES):
        yield block + file.readline()


def _refuse_strangers(accounts: set[str], shard: Shard, what: str) -> None:
    if strange := sorted(accounts.difference(shard.accounts)):
        raise UnprovenError([f"shard {shard.number}: {what} of account {strange[0]!r}, which is no account of it"])


class ShardProof:
    """All segments of a shard, in their order."""

    def __init__(self, shard: Shard, members: Mapping[str, Member], ledger: MergedLedger) -> None:
        """Begin with none.

        Args:
            shard: Whose they are.
            members: Account → its rate group, and what it is granted.
            ledger: Takes the last word on each row.
        """
        self._shard = shard
        self._members = members
        self._ledger = ledger
        self._fence, self._number = 0, 0
        self._windows = Windows(members)
        self._claimed: set[int] = set()
        self._created: dict[int, tuple[str, str]] = {}
        self.settled: set[int] = set()
        """Lines with an outcome."""

        self.requests = 0
        self.fences = 0
        self.flaws: list[str] = []

    def add(self, segments: Iterable[tuple[str, bytes]]) -> None:
        """Take the next segments: name and content."""
        records: list[Record] = []
        for name, data in segments:
            self._follow(name)
            try:
                said = lines_of(data)
                found = records_in(said)
                for record in found:
                    record[_AT] = iso_utc(record[_AT])
                records += found
                for account, action, times in sends_in(said):
                    self._windows.note(account, action, times)
            except (ValueError, KeyError, TypeError, IndexError):
                self.flaws.append(f"shard {self._shard.number}: {name} can't be read")
        self._take(records)

    def _follow(self, name: str) -> None:
        """See that no segment is missing: each holder numbers its own from 0 on, and stores one after the other."""
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
        _refuse_strangers({record[_ACCOUNT] for record in records}, self._shard, "it shipped outcomes")
        self._claimed.update(record[_LINE] for record in records if record[_OUTCOME] == Outcome.SENDING)
        self.settled.update(record[_LINE] for record in records if record[_OUTCOME] not in OPEN_OUTCOMES)
        for record in records:
            if record[_OUTCOME] == Outcome.CREATED and not record[_RECOVERED]:
                self._note_created(record)
        # A claim whose outcome came soon after is not worth a record.
        last = {record[_LINE]: record for record in records}
        self._ledger.add_last_words([record[:_ALIAS_NAME] for record in last.values()])

    def _note_created(self, record: Record) -> None:
        made = record[_AT], record[_REQUEST_ID]
        # A machine that goes on with its own ledger may ship an outcome once more.
        if self._created.setdefault(record[_LINE], made) != made:
            before = self._created[record[_LINE]][1]
            requests = f"requests {before} and {made[1]}"
            self.flaws.append(f"shard {self._shard.number}: {_named(record)} was created twice: {requests}")

    def conclude(self) -> None:
        """Prove what only all segments together can show."""
        self._end_fence()
        if unclaimed := self._created.keys() - self._claimed:
            lines = f"line {min(unclaimed):,}" + (f" and {len(unclaimed) - 1:,} more" if len(unclaimed) > 1 else "")
            self.flaws.append(f"shard {self._shard.number}: {lines} was created, and no segment has its claim")


def _named(record: Sequence[Any]) -> str:
    return f"line {record[_LINE]:,} (product {record[_PRODUCT_KEY]}, module {record[_NAME]})"
