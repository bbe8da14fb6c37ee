"""Reading of what a test writes, through the front door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.rows import RowReader

    Row = tuple[int, str | None, str | None, str | None, str | None, str, str | None]
    """Line, the four fields, record and problem: ``None`` what is absent, or of no use in an invalid row."""


@pytest.fixture
def rows_of() -> Callable[[RowReader], list[Row]]:
    """Read all rows, in the order of their lines, valid or not."""

    def read_rows(reader: RowReader) -> list[Row]:
        rows: list[Row] = []
        for batch in reader.batches(1000):
            for line, key, name, alias, desc, record in batch.valid:
                rows.append((line, key, name, alias or None, desc or None, record, None))
            rows += [(line, None, None, None, None, record, problem) for line, record, _, problem, _ in batch.invalid]
        return sorted(rows, key=lambda row: row[0])

    return read_rows


@pytest.fixture
def read(tmp_path: Path, rows_of: Callable[[RowReader], list[Row]]) -> Callable[..., list[Row]]:
    """Write content to a file and read its rows: ``read(content, name="modules.csv", **settings)``."""

    def read_content(content: str | bytes, name: str = "modules.csv", **settings: Any) -> list[Row]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_input(str(path), ReadSettings(**settings)) as reader:
            return rows_of(reader)

    return read_content
