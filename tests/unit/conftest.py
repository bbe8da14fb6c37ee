from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import Outcome, Summary

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make_summary() -> Callable[..., Summary]:
    def make(*, outcomes: dict[str, int] | None = None, **fields: Any) -> Summary:
        counts = dict.fromkeys(map(str, Outcome), 0) | (outcomes or {})
        usual: dict[str, Any] = {
            "run_id": "r1",
            "ledger": "modules.csv.ledger.db",
            "input": "modules.csv",
            "target": "https://h (tuya)",
            "rows": sum(counts.values()),
            "absent": 0,
            "requests": {"list": 2, "create": 10},
            "retries": 0,
            "throttled": 0,
            "recovered": 0,
            "elapsed_s": 5.0,
            "exit_code": 0,
        }
        return Summary(outcomes=counts, **(usual | fields))

    return make
