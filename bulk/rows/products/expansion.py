"""Combine every product of one file with every module of another into rows that a run reads exactly so.

Products are streamed, and the keys seen so far are kept on disk. So a million rows need only as much memory as a
thousand. Nothing is left out: one cell that can't be sent, or one duplicate product, and everything is refused.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from bulk.errors import InputError
from bulk.model import MAX_CUSTOM_MODULES
from bulk.rows.columns import listed
from bulk.rows.fields import MODULES, PRODUCTS, normal
from bulk.rows.findings import carried_notice
from bulk.rows.products.product_rows import ACCOUNT, ENCODERS, KEPT, Kept, Module
from bulk.rows.reading import open_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bulk.model import InputFound, InvalidRow, ValidRow
    from bulk.rows.text.source import ByteStream
    from bulk.settings import ReadSettings

__all__ = ["FORMATS", "Expansion", "ModuleSet", "expand", "read_modules"]

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""Ending of the output's name → its format."""

MOST_NAMED = 20
"""Most faulty lines that are named; the others are only counted."""

BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Expansion:
    """Result of an expansion."""

    products: int
    modules: int
    notices: tuple[str, ...]
    """What the user should know about the inputs, one sentence each."""

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return self.products * self.modules


@dataclass(frozen=True, slots=True)
class ModuleSet:
    """The modules that every product gets."""

    modules: tuple[Module, ...]
    notices: tuple[str, ...]


@dataclass(slots=True)
class _Faults:
    """What is wrong with an input, by line."""

    file: str
    named: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, problem: str) -> None:
        self.count += 1
        if len(self.named) < MOST_NAMED:
            self.named.append((line, problem))

    def refuse(self) -> None:
        """Refuse the input if anything is wrong.

        Raises:
            InputError: Something is wrong; the message has a line for each fault.
        """
        if not self.count:
            return
        lines = [f"line {line}: {problem}" for line, problem in sorted(self.named)]
        more = [f"and {self.count - len(lines):,} more"] if self.count > len(lines) else []
        said = "one row can't be used" if self.count == 1 else f"{self.count:,} rows can't be used"
        raise InputError("\n  ".join([f"{said}, so nothing was written:", *lines, *more]), file=self.file)


def read_modules(path: str, settings: ReadSettings, *, while_waiting: Callable[[], None]) -> ModuleSet:
    """Read the set of modules.

    Args:
        path: Path of a file with a column ModuleName, and optionally AliasName and Desc.
        settings: How to read it.
        while_waiting: Called while reading waits; an exception from it ends the reading.

    Raises:
        InputError: It can't be read, names a module twice, names none or more than a product may have.
    """
    modules: list[Module] = []
    lines: dict[str, int] = {}
    faults = _Faults(path)
    with open_input(path, settings, while_waiting=while_waiting, sought=MODULES) as reader:
        for batch in reader.batches(BATCH_ROWS):
            while_waiting()
            _note_invalid(faults, batch.invalid)
            for line, _, name, alias, desc, _ in batch.valid:
                first = lines.setdefault(name.casefold(), line)
                if first != line:
                    faults.add(line, f"module {name!r} is in line {first} already; letter case makes no difference")
                elif len(modules) <= MAX_CUSTOM_MODULES:
                    modules.append(Module(name, alias, desc))
    faults.refuse()
    if not modules:
        raise InputError("no module is in it", file=path)
    if len(lines) > MAX_CUSTOM_MODULES:
        raise InputError(
            f"{len(lines):,} modules are in it, and a product may have {MAX_CUSTOM_MODULES}: every product would be"
            f" past it. Nothing was written; take out all but {MAX_CUSTOM_MODULES}",
            file=path,
        )
    return ModuleSet(tuple(modules), _notices(path, reader.found))


def expand(
    path: str,
    modules: ModuleSet,
    out: BinaryIO,
    *,
    settings: ReadSettings,
    format: str,  # noqa: A002 - its name
    while_waiting: Callable[[], None],
    stdin: ByteStream | None = None,
) -> Expansion:
    """Write every product with every module.

    Args:
        path: Path of the products, with a column ProductKey, and optionally Account and ProductName; ``-``: stdin.
        modules: Modules that each product gets.
        out: Output; discard it if this raises.
        settings: How to read the products.
        format: ``csv`` or ``jsonl``.
        while_waiting: Called while reading waits; an exception from it ends the work.
        stdin: Used instead of the process's own stdin, if given.

    Raises:
        InputError: The products can't be read, one is a duplicate or can't be used, or there is none.
        OSError: The output can't be written.
    """
    faults = _Faults(path)
    with (
        open_input(path, settings, stdin=stdin, while_waiting=while_waiting, sought=PRODUCTS) as reader,
        closing(_Seen()) as seen,
    ):
        kept = Kept(reader)
        encode = ENCODERS[format](modules.modules, kept.columns)
        for at, batch in enumerate(reader.batches(BATCH_ROWS)):
            while_waiting()
            if at == 0:
                out.write(encode.header())
            _note_invalid(faults, batch.invalid)
            products = list(_products(batch.valid, kept, faults))
            for line, first, key in seen.add(
                (f"{cells.get(ACCOUNT, '')}\0{key}", line) for line, key, cells in products
            ):
                faults.add(line, f"ProductKey {key.partition(chr(0))[2]!r} is in line {first} already")
            if not faults.count:
                out.writelines(encode.rows(key, cells) for _, key, cells in products)
        faults.refuse()
        if not seen.count:
            raise InputError("no product is in it", file=path)
    return Expansion(seen.count, len(modules.modules), (*modules.notices, *_notices(path, reader.found)))


def _products(rows: Iterable[ValidRow], kept: Kept, faults: _Faults) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Yield the line, the key and the kept cells of each product."""
    for row in rows:
        cells = kept.of(row)
        if isinstance(cells, str):
            faults.add(row[0], cells)
        else:
            yield row[0], row[1], cells


class _Seen:
    """The products seen so far, on disk if they are many."""

    def __init__(self) -> None:
        # An empty name gives a temporary file: SQLite deletes it on closing, and keeps a small one in memory.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self.count = 0

    def add(self, products: Iterable[tuple[str, int]]) -> Iterator[tuple[int, int, str]]:
        """Add keys with their lines; yield line, first line and key of each duplicate."""
        added = list(products)
        before = self._database.total_changes
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", added)
        new = self._database.total_changes - before
        self.count += new
        if new == len(added):
            return
        for key, line in added:
            (first,) = self._database.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
            if first != line:
                yield line, first, key

    def close(self) -> None:
        self._database.close()


def _note_invalid(faults: _Faults, invalid: Iterable[InvalidRow]) -> None:
    for line, _, _, problem, _ in invalid:
        faults.add(line, problem)


def _notices(path: str, found: InputFound) -> tuple[str, ...]:
    left_out = [column for column in found.carried if normal(column) not in KEPT]
    usual = [notice for notice in found.notices if notice != carried_notice(found.carried)]
    own = [f"Columns left out: {listed(left_out)}"] if left_out else []
    return tuple(f"{path}: {notice}" for notice in [*usual, *own])
