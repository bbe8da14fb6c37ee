from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bulk.errors import SettingsError
from bulk.sandbox.accounts.account import Account, Role
from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.faults import FaultPlan

CN = Account(name="cn", access_key_id="cn-key", access_key_secret="hidden", uid="1")
EU = replace(CN, name="eu", access_key_id="eu-key", uid="2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "cn"}, "two accounts of the sandbox are named 'cn'"),
        ({"access_key_id": "cn-key"}, "accounts cn and eu of the sandbox have one AccessKeyId"),
        ({"uid": "1", "qps": 5.0}, "accounts cn and eu have the UID 1 and share its limits"),
        ({"uid": "1", "rates": {"packages": 5.0}}, "share its limits"),
    ],
)
def test_accounts_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SandboxConfig(accounts=(CN, replace(EU, **changes)))


@pytest.mark.parametrize("changes", [{"qps": -1.0}, {"list_qps": float("inf")}, {"rates": {"update": -1.0}}])
def test_rates_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="take 0"):
        replace(CN, **changes)


def test_fault_before_the_key_is_known_is_refused() -> None:
    with pytest.raises(SettingsError, match="account cn: refuse happens before it is known"):
        replace(CN, faults=FaultPlan.parse("refuse=1x"))


def test_any_role_can_be_assumed_unless_roles_are_named() -> None:
    named = replace(CN, roles={"nightly": Role(name="nightly")})

    assert CN.role("other") == Role(name="other")
    assert (named.role("nightly"), named.role("other")) == (Role(name="nightly"), None)


def test_only_account_of_a_configuration_is_as_its_fields_say() -> None:
    (account,) = SandboxConfig(qps=3, instance_id="iot-1", uid="7").served

    assert (account.name, account.qps, account.instance_id, account.uid) == ("", 3, "iot-1", "7")
    assert SandboxConfig(accounts=(CN, EU)).served == (CN, EU)


def test_secret_is_not_in_its_repr() -> None:
    assert "hidden" not in repr(CN)
