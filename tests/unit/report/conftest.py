from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.events import RunStarted
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_started() -> Callable[..., RunStarted]:
    def make(**fields: Any) -> RunStarted:
        usual: dict[str, Any] = {
            "run_id": "r1",
            "ledger": "modules.csv.ledger.db",
            "input": "modules.csv",
            "target": "https://h (tuya)",
            "rows": 1000,
            "outcomes": {"pending": 900, "created": 100},
            "rates": {Action.CREATE: 10.0, Action.LIST: 10.0},
        }
        return RunStarted(**(usual | fields))

    return make
