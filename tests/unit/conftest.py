from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import AccountSummary, Outcome, Summary

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


TROUBLES = (
    ("InvalidAccessKeyId.NotFound: the key is not known. Give the account another key.", {"pending": 60}, 3),
    ("iot.system.BillIsOverDue: the bill is overdue. Pay it, then run again.", {"created": 20, "pending": 40}, 3),
    ("the platform is out of reach: 12 requests in 44 s without an answer. Run again later.", {"pending": 60}, 3),
    (None, {"created": 50, "over_budget": 10}, 1),
    (None, {"created": 59, "invalid": 1}, 1),
)
"""Why an account stopped, its rows, its exit code: accounts in trouble of different kinds."""


@pytest.fixture
def make_accounts() -> Callable[[int], dict[str, AccountSummary]]:
    """Return so many accounts, up to five of them in trouble: of three, the middle one stopped and the last is full."""

    def make(count: int) -> dict[str, AccountSummary]:
        places = {1: 0, 2: 3} if count <= len(TROUBLES) else {7: 0, 31: 1, 60: 2, 90: 3, 120: 4}
        well: tuple[str | None, dict[str, int], int] = (None, {"created": 60}, 0)
        accounts = {}
        for number in range(count):
            stopped, outcomes, exit_code = TROUBLES[places[number]] if number in places else well
            accounts[f"factory-{number:03}"] = AccountSummary(
                outcomes=dict.fromkeys(map(str, Outcome), 0) | outcomes,
                requests={"list": 6, "create": outcomes.get("created", 0)},
                throttled=0,
                stopped=stopped,
                exit_code=exit_code,
            )
        return accounts

    return make


@pytest.fixture
def make_summary_of(
    make_summary: Callable[..., Summary], make_accounts: Callable[[int], dict[str, AccountSummary]]
) -> Callable[..., Summary]:
    """Return the summary of a run with so many accounts, up to five of them in trouble."""

    def make(count: int, **fields: Any) -> Summary:
        accounts = make_accounts(count)
        outcomes: Counter[str] = Counter()
        for account in accounts.values():
            outcomes.update(account.outcomes)
        stopped = [f"account {name}: {one.stopped}" for name, one in accounts.items() if one.stopped]
        usual = {"accounts": accounts, "exit_code": 3, "stopped": stopped[0]}
        return make_summary(outcomes=dict(outcomes), **(usual | fields))

    return make
