"""Reading of what a test writes, through the front door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import ReadRow


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[ReadRow]]:
    """Write content to a file and read its rows: ``read(content, name="modules.csv", **settings)``."""

    def read_content(content: str | bytes, name: str = "modules.csv", **settings: Any) -> list[ReadRow]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_input(str(path), ReadSettings(**settings)) as reader:
            return [row for batch in reader.batches() for row in batch]

    return read_content
