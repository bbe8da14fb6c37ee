"""The file of a job that is synced night after night, its ledger, and the plans that a sync leaves."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from dataclasses import dataclass, field
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Cells = tuple[str, str, str, str]

FULL, OTHER, THIRD = "a1Prod00000", "a1Prod00001", "a1Prod00002"
LIST, PACKAGES = "ListOTAModuleByProduct", "ListOTAFirmware"
CREATE, UPDATE, DELETE = "CreateOTAModule", "UpdateOTAModule", "DeleteOTAModule"


@dataclass
class NightlyFile:
    """A file with all four columns, and its ledger."""

    file: Path
    box: Any
    rows: list[Cells] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.file.with_name(f"{self.file.name}.ledger.db")

    def write(self, rows: Iterable[Cells], *more: str) -> None:
        """Write the file anew: these rows, and lines as they are."""
        self.rows = list(rows)
        with self.file.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("ProductKey", "ModuleName", "AliasName", "Desc"), *self.rows])
            file.writelines(f"{line}\n" for line in more)

    def records(self, columns: str = "outcome, code") -> dict[tuple[str, str], tuple[Any, ...]]:
        """Return what the ledger says of each module."""
        with closing(connect(self.ledger)) as connection:
            found = connection.execute(f"SELECT product_key, module_name, {columns} FROM modules").fetchall()
        return {record[:2]: record[2:] for record in found}


def lines_of(plan: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in plan.read_text(encoding="utf-8").splitlines()]


def write_lines(plan: Path, lines: list[dict[str, Any]]) -> None:
    plan.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
