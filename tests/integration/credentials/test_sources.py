"""Each way of the official default chain, against whoever gives keys on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from alibabacloud_credentials.provider import DefaultCredentialsProvider
from alibabacloud_credentials.utils import auth_util

from bulk.cloud.keys.credentials import Credentials
from bulk.cloud.keys.official_sources import default_sources
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.cloud.keys.official_chain import OfficialChain
    from tests.integration.credentials.conftest import StandIn

    Chain = Callable[..., OfficialChain]
    Give = Callable[[dict[str, str]], None]
    Keys = Callable[..., dict[str, str]]

# The library asks for the time in a way that Python 3.12 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

TEMPORARY = Credentials("STS.id1", "temporary-secret-1", "temporary-token-1")
LONG_LIVED = {"name": "nightly", "mode": "AK", "access_key_id": "id", "access_key_secret": "secret"}
OIDC = {
    "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/nightly",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/ack",
}


async def fetched(chain: OfficialChain) -> Credentials:
    return (await asyncio.to_thread(chain.fetch)).credentials


@pytest.fixture(name="oidc")
def _oidc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("pod-token")
    for name, value in {**OIDC, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token)}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("oidc")
async def test_oidc_token_is_exchanged_for_keys(
    chain: Chain, stand_in: StandIn, token_service: Give, keys: Keys
) -> None:
    token_service(keys())

    assert await fetched(chain()) == TEMPORARY
    (asked,) = stand_in.asked
    assert (asked.query["Action"], asked.query["OIDCToken"]) == ("AssumeRoleWithOIDC", "pod-token")
    assert asked.query["RoleArn"] == OIDC["ALIBABA_CLOUD_ROLE_ARN"]


async def test_role_of_an_ecs_instance_gives_keys(chain: Chain, stand_in: StandIn, metadata: Give, keys: Keys) -> None:
    metadata(keys())

    assert await fetched(chain()) == TEMPORARY
    assert stand_in.asked[-1].headers["x-aliyun-ecs-metadata-token"] == "imds-token"


async def test_uri_gives_keys(chain: Chain, stand_in: StandIn, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", f"{stand_in.url}/keys?for=bulk")
    stand_in.answers["127.0.0.1"] = lambda _: (200, json.dumps(keys()))

    assert await fetched(chain()) == TEMPORARY
    assert (stand_in.asked[0].path, stand_in.asked[0].query) == ("/keys", {"for": "bulk"})


@pytest.mark.parametrize("uri", ["http://keys.example/", "http://8.8.8.8/", "keys.example/path"])
async def test_uri_without_encryption_is_asked_only_on_this_machine(
    chain: Chain, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", uri)

    with pytest.raises(SettingsError, match="not encrypted"):
        await fetched(chain())

    assert stand_in.asked == []


async def test_uri_without_encryption_is_asked_where_that_is_allowed(
    chain: Chain, stand_in: StandIn, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://keys.example/")
    stand_in.answers["keys.example"] = lambda _: (200, json.dumps(keys()))

    assert await fetched(chain(insecure_http=True)) == TEMPORARY


@pytest.mark.parametrize(
    ("profile", "given"),
    [
        (LONG_LIVED, Credentials("id", "secret")),
        (
            {"mode": "StsToken", "access_key_id": "id", "access_key_secret": "secret", "sts_token": "token"},
            Credentials("id", "secret", "token"),
        ),
        (
            {"mode": "External", "process_command": f"{sys.executable} -c 'print(open(\"keys.json\").read())'"},
            Credentials("id", "secret", "token"),
        ),
    ],
    ids=["AK", "StsToken", "External"],
)
async def test_profile_of_the_command_line_gives_keys(
    chain: Chain,
    write_profiles: Callable[..., Path],
    profile: dict[str, Any],
    given: Credentials,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    (home / "keys.json").write_text(
        json.dumps({"mode": "StsToken", "access_key_id": "id", "access_key_secret": "secret", "sts_token": "token"})
    )
    write_profiles({**profile, "name": "nightly"})

    assert await fetched(chain()) == given


async def test_profile_that_assumes_a_role_signs_with_its_own_key(
    chain: Chain, stand_in: StandIn, token_service: Give, keys: Keys, write_profiles: Callable[..., Path]
) -> None:
    token_service(keys())
    write_profiles({**LONG_LIVED, "mode": "RamRoleArn", "ram_role_arn": "acs:ram::1:role/r", "ram_session_name": "s"})

    assert await fetched(chain()) == TEMPORARY
    assert (stand_in.asked[0].query["Action"], stand_in.asked[0].query["AccessKeyId"]) == ("AssumeRole", "id")


async def test_profile_of_an_ecs_role_gives_keys(
    chain: Chain, metadata: Give, keys: Keys, write_profiles: Callable[..., Path]
) -> None:
    metadata(keys())
    write_profiles({"name": "nightly", "mode": "EcsRamRole", "ram_role_name": "nightly"})

    assert await fetched(chain()) == TEMPORARY


async def test_profile_by_name_beats_the_environment_and_the_current_profile(
    chain: Chain, write_profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other")
    write_profiles({**LONG_LIVED, "name": "daily", "access_key_id": "other"}, LONG_LIVED)

    assert await fetched(chain(profile="nightly")) == Credentials("id", "secret")


async def test_profile_that_is_not_there_is_not_replaced_by_other_keys(
    chain: Chain, write_profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other")
    write_profiles(LONG_LIVED)

    with pytest.raises(SettingsError, match=r"'weekly'.*\n.*no such file\n.*aliyun configure --profile weekly"):
        await fetched(chain(profile="weekly"))


async def test_profile_by_variable_is_looked_for_in_both_files(
    chain: Chain, home: Path, write_profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "sdk")
    write_profiles(LONG_LIVED)
    (home / ".alibabacloud").mkdir()
    (home / ".alibabacloud" / "credentials.ini").write_text(
        "[sdk]\ntype = access_key\naccess_key_id = sdk-id # mine\naccess_key_secret = sdk-secret\n"
    )

    assert await fetched(chain()) == Credentials("sdk-id", "sdk-secret")


async def test_keys_of_the_environment_come_first(
    chain: Chain, write_profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN"):
        monkeypatch.setenv(f"ALIBABA_CLOUD_{name}", name)
    write_profiles(LONG_LIVED)

    assert await fetched(chain()) == Credentials("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")


@pytest.mark.usefixtures("oidc")
def test_order_is_that_of_the_official_default_chain(
    monkeypatch: pytest.MonkeyPatch, write_profiles: Callable[..., Path], home: Path
) -> None:
    monkeypatch.setattr(auth_util, "environment_credentials_uri", "http://127.0.0.1/")
    monkeypatch.setattr(auth_util, "enable_oidc_credential", True)
    for name in ("role_arn", "oidc_provider_arn", "oidc_token_file"):
        monkeypatch.setattr(auth_util, f"environment_{name}", "set")
    ini = home / "credentials.ini"
    ini.touch()
    write_profiles(LONG_LIVED)
    environ = {
        **os.environ,
        "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1/",
        "ALIBABA_CLOUD_CREDENTIALS_FILE": str(ini),
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "false",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
        "ALIBABA_CLOUD_SECURITY_TOKEN": "token",
    }

    ours = [type(source._current_provider()).__name__ for source in default_sources(environ)]

    theirs = DefaultCredentialsProvider()._DefaultCredentialsProvider__providers_chain
    assert ours[0] == "StaticSTSCredentialsProvider"
    assert ours[1:] == [type(provider).__name__ for provider in theirs][1:]


@pytest.mark.usefixtures("oidc")
async def test_error_names_every_place_and_shows_no_secret(
    chain: Chain,
    stand_in: StandIn,
    metadata: Give,
    keys: Keys,
    write_profiles: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBUG", "sdk")
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "https://keys.example/?token=uri-token")
    metadata({**keys(), "Code": "Failed"})
    stand_in.answers["sts.aliyuncs.com"] = lambda _: (200, json.dumps({"Credentials": {"AccessKeySecret": "half"}}))
    write_profiles({**LONG_LIVED, "mode": "Unheard"})

    with pytest.raises(SettingsError) as caught:
        await fetched(chain())

    message = str(caught.value)
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:-1]] == [
        "environment variables",
        "OIDC token",
        str(write_profiles(LONG_LIVED)),
        f"{os.environ['HOME']}/.alibabacloud/credentials.ini",
        "RAM role of an ECS instance",
        "ALIBABA_CLOUD_CREDENTIALS_URI",
    ]
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set" in message
    assert "unsupported profile mode 'Unheard'" in message
    for secret in ("half", "pod-token", "uri-token", "secret-1"):
        assert secret not in message
    assert caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("oidc")
async def test_lost_request_leaves_no_token_in_the_message(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    with pytest.raises(SettingsError) as caught:
        await fetched(chain())

    assert "OIDC token: no answer (HTTPS_PROXY is used)" in str(caught.value)
    assert "pod-token" not in str(caught.value)


async def test_variable_that_says_where_keys_are_may_have_a_windows_line_end(
    chain: Chain, write_profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profiles({**LONG_LIVED, "name": "daily", "access_key_id": "other"}, LONG_LIVED)
    monkeypatch.setenv("ALIBABA_CLOUD_PROFILE", "nightly\r")

    assert await fetched(chain()) == Credentials("id", "secret")


async def test_variable_that_says_where_keys_are_is_named_where_it_has_quotes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", '"http://127.0.0.1/"')

    with pytest.raises(SettingsError, match="ALIBABA_CLOUD_CREDENTIALS_URI has quotes"):
        await fetched(chain())


async def test_keys_of_a_profile_are_trimmed_and_checked(chain: Chain, write_profiles: Callable[..., Path]) -> None:
    write_profiles({**LONG_LIVED, "access_key_id": "id\r\n", "access_key_secret": "\ufeffsecret\u00a0"})
    trimmed = await fetched(chain())
    write_profiles({**LONG_LIVED, "access_key_id": "“id”"})

    with pytest.raises(SettingsError, match=r"config\.json: its key id has quotes"):
        await fetched(chain())
    assert trimmed == Credentials("id", "secret")
