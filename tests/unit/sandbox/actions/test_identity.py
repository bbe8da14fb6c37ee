from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox.accounts.account import Account, Role
from bulk.sandbox.accounts.directory import TemporaryKeys

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Platform, PlatformMaker

OPS = Account(name="ops", access_key_id="ops-key", access_key_secret="ops-secret", uid="1001")
ROLES = {
    "nightly": Role(name="nightly", denied=frozenset({"DeleteOTAModule"})),
    "closed": Role(name="closed", trusts=frozenset({"nobody"})),
    "partner": Role(name="partner", external_id="x-1"),
}
CN = Account(name="cn", access_key_id="cn-key", access_key_secret="cn-secret", uid="2002", roles=ROLES)


@pytest.fixture
def platform(make_platform: PlatformMaker) -> Platform:
    return make_platform(accounts=(OPS, CN))


def asked(role: str = "nightly", **changes: str) -> dict[str, str]:
    return {"RoleArn": f"acs:ram::2002:role/{role}", "RoleSessionName": "bulk"} | changes


def assume(platform: Platform, **changes: str) -> dict[str, Any]:
    return dict(platform.done("AssumeRole", **asked(**changes)).fields or {})


def keys_of(answer: dict[str, Any]) -> TemporaryKeys:
    given = answer["Credentials"]
    return TemporaryKeys(given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"])


def test_temporary_keys_act_for_the_account_of_the_role(platform: Platform) -> None:
    answer = assume(platform)
    platform.keys = keys_of(answer)
    platform.done("CreateOTAModule", ModuleName="mcu", SecurityToken=keys_of(answer).security_token)

    assert answer["AssumedRoleUser"]["Arn"] == "acs:ram::2002:assumed-role/nightly/bulk"
    assert len(platform.cloud.world_of(CN).modules("p")) == 1
    assert platform.cloud.world_of(OPS).modules("p") == ()


def test_caller_is_told_who_it_is(platform: Platform) -> None:
    own = platform.done("GetCallerIdentity")
    platform.keys = keys_of(assume(platform))
    assert isinstance(platform.keys, TemporaryKeys)
    assumed = platform.done("GetCallerIdentity", SecurityToken=platform.keys.security_token)

    assert own.is_bare
    assert own.fields is not None
    assert assumed.fields is not None
    assert (own.fields["AccountId"], own.fields["IdentityType"]) == ("1001", "RAMUser")
    assert (assumed.fields["AccountId"], assumed.fields["IdentityType"]) == ("2002", "AssumedRoleUser")
    assert assumed.fields["Arn"] == "acs:ram::2002:assumed-role/nightly/bulk"


def test_keys_end_when_they_said_they_would(platform: Platform) -> None:
    answer = assume(platform, DurationSeconds="900")
    platform.keys = keys_of(answer)
    token = {"SecurityToken": keys_of(answer).security_token}
    ends_at = datetime.fromisoformat(answer["Credentials"]["Expiration"]).timestamp()

    assert ends_at == int(platform.now) + 900
    platform.now = ends_at - 1
    platform.done("ListOTAModuleByProduct", **token)
    platform.now = ends_at
    assert platform.code("ListOTAModuleByProduct", **token) == "InvalidSecurityToken.Expired"


def test_keys_can_be_made_to_end_sooner(make_platform: PlatformMaker) -> None:
    platform = make_platform(accounts=(OPS, CN), token_life_s=3)
    ends = assume(platform)["Credentials"]["Expiration"]

    assert datetime.fromisoformat(ends).timestamp() == int(platform.now) + 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"RoleArn": ""}, "MissingRoleArn"),
        ({"RoleSessionName": ""}, "MissingRoleSessionName"),
        ({"RoleArn": "nightly"}, "InvalidParameter.RoleArn"),
        ({"RoleSessionName": "忍者"}, "InvalidParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "3601"}, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "soon"}, "InvalidParameter.DurationSeconds"),
        ({"RoleArn": "acs:ram::2002:role/unknown"}, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::9999:role/nightly"}, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::2002:role/closed"}, "NoPermission"),
        ({"RoleArn": "acs:ram::2002:role/partner"}, "NoPermission"),
        ({"RoleArn": "acs:ram::2002:role/partner", "ExternalId": "x-2"}, "NoPermission"),
    ],
)
def test_role_that_cannot_be_assumed_is_refused(changes: dict[str, str], code: str, platform: Platform) -> None:
    assert platform.code("AssumeRole", **asked(**changes)) == code


def test_external_id_opens_the_role_that_asks_for_it(platform: Platform) -> None:
    assert assume(platform, role="partner", ExternalId="x-1")["Credentials"]["AccessKeyId"].startswith("STS.")


def test_keys_are_known_after_a_restart(make_platform: PlatformMaker) -> None:
    keys = keys_of(assume(make_platform(accounts=(OPS, CN))))
    later = make_platform(accounts=(OPS, CN))
    later.keys = keys

    assert later.done("GetCallerIdentity", SecurityToken=keys.security_token).fields


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "MissingSecurityToken"),
        ("nonsense", "InvalidSecurityToken.Malformed"),
        ("令牌", "InvalidSecurityToken.Malformed"),
        ("{token}令", "InvalidSecurityToken.Malformed"),
        ("e30.00", "InvalidSecurityToken.Malformed"),
        ("{token}0", "InvalidSecurityToken.Malformed"),
        ("{other}", "InvalidSecurityToken.MismatchWithAccessKey"),
    ],
)
def test_token_that_does_not_belong_to_the_key_is_refused(token: str, code: str, platform: Platform) -> None:
    keys, other = keys_of(assume(platform)), keys_of(assume(platform))
    platform.keys = keys
    told = token.format(token=keys.security_token, other=other.security_token)

    assert platform.code("ListOTAModuleByProduct", SecurityToken=told) == code


def test_secrets_of_keys_are_not_in_their_repr(platform: Platform) -> None:
    keys = keys_of(assume(platform))

    assert keys.access_key_secret not in repr(keys)
    assert keys.security_token not in repr(keys)
    assert "cn-secret" not in repr(CN)
