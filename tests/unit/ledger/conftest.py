from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.ledger.store import Ledger
from bulk.model import Dialect, ReadRows, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.model import InvalidRow, ValidRow

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "modules.csv.ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(path, targets={"": TARGET})
    yield opened
    opened.close()


@pytest.fixture
def read_in(ledger: Ledger) -> Callable[..., None]:
    def read(*valid: ValidRow, invalid: InvalidRow | None = None) -> None:
        with ledger.intake(name="modules.csv", shape="{}", at=1_800_000_000.0) as intake:
            intake.add(ReadRows(list(valid), [invalid] if invalid else []))

    return read


@pytest.fixture
def valid() -> Callable[..., ValidRow]:
    def make(line: int, key: str, name: str, alias: str | None = None, desc: str | None = None) -> ValidRow:
        return (line, key, name, alias or "", desc or "", f'["{key}","{name}"]')

    return make
