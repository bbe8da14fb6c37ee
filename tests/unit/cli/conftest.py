from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.options import ENVIRONMENT_HELP
from bulk.model import Outcome, Summary

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"(?:BULK|ALIBABA_CLOUD)_\w+", ENVIRONMENT_HELP):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_summary() -> Callable[..., Summary]:
    def make(*, outcomes: dict[str, int] | None = None, **fields: Any) -> Summary:
        counts = dict.fromkeys(map(str, Outcome), 0) | (outcomes or {"created": 3})
        usual: dict[str, Any] = {
            "run_id": "r1",
            "ledger": "in.csv.ledger.db",
            "input": "in.csv",
            "target": "https://h (tuya)",
            "rows": sum(counts.values()),
            "absent": 0,
            "requests": {"list": 1, "create": 3},
            "retries": 0,
            "throttled": 0,
            "recovered": 0,
            "elapsed_s": 1.0,
            "exit_code": 0,
        }
        return Summary(outcomes=counts, **(usual | fields))

    return make
