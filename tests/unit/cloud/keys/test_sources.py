"""Where an account's keys are is said by settings alone; what is missing is named exactly."""

from __future__ import annotations

from typing import Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.keys.sources import KeysSource, default_rate_group, open_credentials, token_endpoint
from bulk.errors import SettingsError
from bulk.events import CredentialsFound, Event

ARN = "acs:ram::1234567890123456:role/nightly"
FACTORY = {"FACTORY_ACCESS_KEY_ID": "LTAIfactory", "FACTORY_ACCESS_KEY_SECRET": "factory-secret"}
OFFICIAL = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIofficial", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "official-secret"}


async def opened(environ: dict[str, str], **source: Any) -> Credentials:
    return await (await open_credentials(KeysSource(**source), environ=environ)).current()


async def test_prefix_names_three_variables_and_no_others() -> None:
    token = {"FACTORY_SECURITY_TOKEN": "factory-token"}

    assert await opened(FACTORY | OFFICIAL, key_env="FACTORY") == Credentials("LTAIfactory", "factory-secret")
    assert (await opened(FACTORY | token, key_env="FACTORY")).security_token == "factory-token"


async def test_without_prefix_and_profile_the_official_variables_are_meant() -> None:
    assert await opened(FACTORY | OFFICIAL) == Credentials("LTAIofficial", "official-secret")


@pytest.mark.parametrize(
    ("prefix", "environ", "words"),
    [
        ("PLANT", OFFICIAL, "PLANT_ACCESS_KEY_ID and PLANT_ACCESS_KEY_SECRET are not set"),
        ("PLANT", {"PLANT_ACCESS_KEY_ID": "id"}, "PLANT_ACCESS_KEY_SECRET is not set"),
        ("FACTROY", FACTORY, "FACTORY_ACCESS_KEY_ID is set: is key_env 'FACTORY'?"),
        ("FACTORY_", FACTORY, "FACTORY__ACCESS_KEY_ID and .*; FACTORY_ACCESS_KEY_ID is set: is key_env 'FACTORY'?"),
        ("factory", FACTORY, "factory_ACCESS_KEY_ID and .*; FACTORY_ACCESS_KEY_ID is set: is key_env 'FACTORY'?"),
    ],
)
async def test_wrong_prefix_is_told_by_the_variables_that_were_looked_for(
    prefix: str, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        await opened(environ, key_env=prefix)

    assert "secret" not in str(caught.value).replace("SECRET", "")


async def test_quotes_in_a_variable_of_a_prefix_are_told_by_its_name() -> None:
    with pytest.raises(SettingsError, match="FACTORY_ACCESS_KEY_SECRET has quotes"):
        await opened({**FACTORY, "FACTORY_ACCESS_KEY_SECRET": '"factory-secret"'}, key_env="FACTORY")


async def test_secret_of_a_prefix_is_learned_by_whoever_listens() -> None:
    told: list[Event] = []

    keys = await open_credentials(KeysSource(key_env="FACTORY"), environ=FACTORY, listener=told.append)

    assert told == [CredentialsFound("environment variables FACTORY_…")]
    assert isinstance(told[0], CredentialsFound)
    assert told[0].mask is not None
    assert told[0].mask("it is factory-secret") == "it is ***"
    assert await keys.replace(await keys.current()) == (
        "a run reads these once: correct FACTORY_ACCESS_KEY_ID, FACTORY_ACCESS_KEY_SECRET and FACTORY_SECURITY_TOKEN, "
        "then run again"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"profile": "nightly", "key_env": "FACTORY"}, "credentials_profile and key_env"),
        ({"key_env": ""}, "key_env ''"),
        ({"key_env": "1A"}, "key_env '1A'"),
        ({"key_env": "$FACTORY"}, "such as FACTORY for FACTORY_ACCESS_KEY_ID"),
        ({"role_arn": "nightly"}, "role_arn 'nightly' is not the name of a role"),
        ({"role_arn": ""}, "role_arn ''"),
        ({"role_arn": "acs:ram::UID:role/nightly"}, "role_arn"),
        ({"role_arn": f"{ARN}\n"}, "role_arn"),
        ({"external_id": "ticket-7"}, "external_id belongs to a role"),
        ({"session_name": "a b"}, "session name"),
    ],
)
def test_source_that_contradicts_itself_is_refused(source: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        KeysSource(**source)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("named", "environ", "url"),
    [
        (None, {}, "https://sts.aliyuncs.com"),
        (None, {"ALIBABA_CLOUD_STS_REGION": "cn-shanghai"}, "https://sts.cn-shanghai.aliyuncs.com"),
        (
            None,
            {"ALIBABA_CLOUD_STS_REGION": "cn-shanghai", "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": "true"},
            "https://sts-vpc.cn-shanghai.aliyuncs.com",
        ),
        ("sts.ap-southeast-1.aliyuncs.com", {}, "https://sts.ap-southeast-1.aliyuncs.com"),
        ("https://STS.example:8443/", {}, "https://sts.example:8443"),
        ("http://127.0.0.1:8080", {}, "http://127.0.0.1:8080"),
    ],
)
def test_token_service_is_the_official_one_or_the_named_one(
    named: str | None, environ: dict[str, str], url: str
) -> None:
    assert token_endpoint(KeysSource(sts_endpoint=named), environ) == url


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("http://sts.example", "sts_endpoint: .*not encrypted"),
        ("https://user:secret@sts.example", "sts_endpoint: .*user name or password"),
        ("sts.example/path", "sts_endpoint: .*path"),
    ],
)
async def test_token_service_that_can_not_be_asked_is_refused_before_any_key_is_read(named: str, words: str) -> None:
    source = KeysSource(key_env="FACTORY", role_arn=ARN, sts_endpoint=named)

    with pytest.raises(SettingsError, match=words) as caught:
        await open_credentials(source, environ={})

    assert "secret" not in str(caught.value)


def test_token_service_of_another_machine_may_be_plain_where_the_network_is_known() -> None:
    source = KeysSource(sts_endpoint="http://sts.example")

    assert token_endpoint(source, {}, insecure_http=True) == "http://sts.example"


@pytest.mark.parametrize(
    ("source", "keys", "group"),
    [
        (KeysSource(role_arn=ARN), Credentials("LTAI1", "s"), "1234567890123456"),
        (KeysSource(), Credentials("LTAI1", "s"), "LTAI1"),
        (KeysSource(), Credentials("STS.1", "s", "t"), None),
    ],
)
def test_rate_group_is_the_uid_of_the_role_or_the_key_that_stays(
    source: KeysSource, keys: Credentials, group: str | None
) -> None:
    assert default_rate_group(source, StaticCredentials(keys)) == group
