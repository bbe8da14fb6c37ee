from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bulk.engine.accounts import accounts_of
from bulk.errors import SettingsError
from bulk.fleet.assignment import assignment_of
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import Manifest, Shard
from bulk.fleet.splitting import member_of
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

ACCOUNT = AccountSettings(endpoint="https://one", key_env="ONE", rate_group="g", qps=5)
SETTINGS = Settings(accounts={"a": ACCOUNT})
MANIFEST = Manifest(
    split="s",
    input="in.csv",
    shape="{}",
    rows=1,
    terms=Terms(),
    shards=(Shard(number=0, accounts=("a",), rows=1, sha256="", file=""),),
    members={account.name: member_of(account) for account in accounts_of(SETTINGS)},
)


def settings(**more: Any) -> Settings:
    return Settings(
        accounts={"a": replace(ACCOUNT, **more), "other": AccountSettings(endpoint="https://o", key_env="O")}
    )


def test_shard_is_worked_on_with_its_own_accounts_alone() -> None:
    task = assignment_of(MANIFEST, 0, settings())

    assert [*task.settings.accounts] == ["a"]


def test_lower_rate_than_the_fleet_was_split_with_is_fine() -> None:
    assert assignment_of(MANIFEST, 0, settings(qps=1)).settings.accounts["a"].qps == 1


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"endpoint": "https://two"}, r"is for https://two .*, and was for https://one"),
        ({"instance_id": "iot-1"}, "is for https://one"),
        ({"rate_group": "h"}, "has rate group 'h' here, and had 'g'"),
        ({"qps": 10}, "more requests a second here"),
        ({"qps": 0}, "more requests a second here"),
        ({"list_qps": 0}, "more requests a second here"),
    ],
)
def test_account_that_is_another_than_when_the_fleet_was_split_is_refused(other: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        assignment_of(MANIFEST, 0, settings(**other))
