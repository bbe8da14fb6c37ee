"""Keys of accounts against a token service on loopback, which checks each signature as the official library does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from alibabacloud_credentials.utils import parameter_helper

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.keys.sources import KeysSource, default_rate_group, open_credentials
from bulk.cloud.keys.token_service import TokenService
from bulk.cloud.wire.transport import HttpTransport
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.events import CredentialsFound, Event
from bulk.model import Identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.credentials.conftest import Asked, StandIn

ARN = "acs:ram::1234567890123456:role/nightly"
FACTORY = {"FACTORY_ACCESS_KEY_ID": "LTAIfactory", "FACTORY_ACCESS_KEY_SECRET": "factory+secret"}

# The library asks for the time in a way that Python 3.12 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@dataclass
class Sts:
    """A token service: knows keys and roles, believes nothing that is not signed, and counts what it gave out."""

    secrets: dict[str, str] = field(
        default_factory=lambda: {"LTAIfactory": "factory+secret", "LTAIprofile": "p/secret"}
    )
    external_id: str | None = None
    lasts_s: float = 3600.0
    given: list[tuple[str, str]] = field(default_factory=list)
    """Whose key asked for which role."""

    def answer(self, asked: Asked) -> tuple[int, str]:
        query = dict(asked.query)
        secret = self.secrets.get(query["AccessKeyId"])
        if secret is None:
            return self._refused("InvalidAccessKeyId.NotFound", 404)
        signed = query.pop("Signature")
        text = parameter_helper.compose_string_to_sign(asked.method, query)
        if parameter_helper.sign_string(text, f"{secret}&") != signed:
            return self._refused("SignatureDoesNotMatch", 400)
        if query["Action"] == "GetCallerIdentity":
            return 200, json.dumps({"AccountId": "1234567890123456", "Arn": "acs:ram::1:user/u", "RequestId": "R"})
        if query.get("ExternalId") != self.external_id:
            return self._refused("NoPermission", 403)
        self.given.append((query["AccessKeyId"], query["RoleArn"]))
        return 200, json.dumps({"RequestId": "R", "Credentials": self._keys(len(self.given))})

    def _keys(self, number: int) -> dict[str, str]:
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lasts_s))
        names = {"AccessKeyId": "STS", "AccessKeySecret": "role/secret", "SecurityToken": "role/token"}
        return {name: f"{word}{number}" for name, word in names.items()} | {"Expiration": ends}

    @staticmethod
    def _refused(code: str, status: int) -> tuple[int, str]:
        return status, json.dumps({"Code": code, "Message": "No.", "RequestId": "R"})


@pytest.fixture
def sts(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Sts:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name)
    service = Sts()
    stand_in.answers["127.0.0.1"] = service.answer
    return service


@pytest.fixture
def source(stand_in: StandIn) -> Callable[..., KeysSource]:
    """Return a maker of sources whose role is asked for on loopback."""
    return lambda **fields: KeysSource(**({"role_arn": ARN, "sts_endpoint": stand_in.url} | fields))


async def test_role_on_top_of_variables_of_ones_own(sts: Sts, source: Callable[..., KeysSource]) -> None:
    told: list[Event] = []

    keys = await open_credentials(source(key_env="FACTORY"), environ=FACTORY, listener=told.append)

    assert await keys.current() == Credentials("STS1", "role/secret1", "role/token1")
    assert sts.given == [("LTAIfactory", ARN)]
    assert told == [
        CredentialsFound("environment variables FACTORY_…"),
        CredentialsFound(f"role {ARN}, assumed with the keys from environment variables FACTORY_…"),
    ]
    assert keys.long_lived_key_id == "LTAIfactory"
    assert default_rate_group(source(key_env="FACTORY"), keys) == "1234567890123456"


@pytest.mark.usefixtures("sts")
async def test_role_on_top_of_variables_loads_no_library(stand_in: StandIn) -> None:
    code = (
        "import asyncio, os, sys; from bulk.cloud.keys.sources import KeysSource, open_credentials;"
        f"source = KeysSource(key_env='FACTORY', role_arn={ARN!r}, sts_endpoint={stand_in.url!r});"
        "print(asyncio.run(asyncio.run(open_credentials(source, environ=os.environ)).current()).access_key_id,"
        "{'alibabacloud_credentials', 'requests', 'apscheduler'} & set(sys.modules))"
    )

    printed = await asyncio.to_thread(
        subprocess.check_output, [sys.executable, "-c", code], text=True, env={**os.environ, **FACTORY}
    )

    assert printed.strip() == "STS1 set()"


async def test_role_on_top_of_a_profile(
    sts: Sts, source: Callable[..., KeysSource], write_profiles: Callable[..., Path]
) -> None:
    write_profiles({"name": "n", "mode": "AK", "access_key_id": "LTAIprofile", "access_key_secret": "p/secret"})

    keys = await open_credentials(source(profile="n"), environ=os.environ)

    assert (await keys.current()).access_key_id == "STS1"
    assert (sts.given, keys.long_lived_key_id) == ([("LTAIprofile", ARN)], "LTAIprofile")


async def test_role_on_top_of_the_default_chain(
    sts: Sts, source: Callable[..., KeysSource], write_profiles: Callable[..., Path]
) -> None:
    write_profiles({"name": "any", "mode": "AK", "access_key_id": "LTAIprofile", "access_key_secret": "p/secret"})
    environ = {**os.environ, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "false"}

    await open_credentials(source(), environ=environ)

    assert sts.given == [("LTAIprofile", ARN)]


async def test_every_secret_on_the_way_is_learned(sts: Sts, source: Callable[..., KeysSource]) -> None:
    told: list[Event] = []
    sts.external_id = "ticket-7"

    with pytest.raises(SettingsError) as caught:
        await open_credentials(source(key_env="FACTORY"), environ=FACTORY, listener=told.append)
    after_refusal = masked(told, "factory+secret")
    await open_credentials(source(key_env="FACTORY", external_id="ticket-7"), environ=FACTORY, listener=told.append)

    assert after_refusal == "***"
    assert masked(told, "factory+secret factory%2Bsecret role/secret1 role%2Ftoken1") == "*** *** *** ***"
    assert "NoPermission" in str(caught.value)
    assert "external_id" in str(caught.value)
    assert "factory+secret" not in str(caught.value)
    assert not any("secret" in repr(event) for event in told)


def masked(told: list[Event], text: str) -> str:
    for event in told:
        if isinstance(event, CredentialsFound) and event.mask is not None:
            text = event.mask(text)
    return text


async def test_refused_session_is_replaced_with_the_keys_that_a_profile_has_by_now(
    sts: Sts, source: Callable[..., KeysSource], write_profiles: Callable[..., Path]
) -> None:
    profile = {"name": "n", "mode": "AK", "access_key_id": "LTAIold", "access_key_secret": "old/secret"}
    sts.secrets["LTAIold"] = "old/secret"
    write_profiles(profile)
    keys = await open_credentials(source(profile="n"), environ=os.environ)
    del sts.secrets["LTAIold"]
    write_profiles({**profile, "access_key_id": "LTAIprofile", "access_key_secret": "p/secret"})

    assert await keys.replace(await keys.current()) is None
    assert [key for key, _ in sts.given] == ["LTAIold", "LTAIprofile"]
    assert (await keys.current()).access_key_id == "STS2"


async def test_accounts_have_sessions_of_their_own(sts: Sts, source: Callable[..., KeysSource]) -> None:
    other = "acs:ram::9999:role/weekly"
    sources = [source(key_env="FACTORY"), source(key_env="FACTORY", role_arn=other)]

    accounts = [await open_credentials(each, environ=FACTORY) for each in sources]
    await accounts[0].replace(await accounts[0].current())

    assert sts.given == [("LTAIfactory", ARN), ("LTAIfactory", other), ("LTAIfactory", ARN)]
    assert [(await keys.current()).access_key_id for keys in accounts] == ["STS3", "STS2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"FACTORY_ACCESS_KEY_ID": "LTAIunknown"}, "InvalidAccessKeyId.NotFound"),
        ({"FACTORY_ACCESS_KEY_SECRET": "wrong+secret"}, "SignatureDoesNotMatch"),
    ],
)
@pytest.mark.usefixtures("sts")
async def test_keys_that_the_service_refuses_are_named_by_their_source(
    source: Callable[..., KeysSource], change: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        await open_credentials(source(key_env="FACTORY"), environ=FACTORY | change)

    assert not isinstance(caught.value, KeysUnavailableError)
    assert words in str(caught.value)
    assert "environment variables FACTORY_…" in str(caught.value)
    assert "wrong+secret" not in str(caught.value)


async def test_service_that_is_down_is_no_wrong_setting(
    sts: Sts, source: Callable[..., KeysSource], stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.answers["127.0.0.1"] = lambda _: (503, "<html>down</html>")
    monkeypatch.setattr("bulk.cloud.keys.token_service._PAUSES_S", (0.0, 0.0))

    with pytest.raises(KeysUnavailableError, match="http_503"):
        await open_credentials(source(key_env="FACTORY"), environ=FACTORY)

    assert (sts.given, len(stand_in.asked)) == ([], 3)


async def test_keys_are_told_whose_they_are(sts: Sts, stand_in: StandIn) -> None:
    async with HttpTransport() as transport:
        keys: Any = StaticCredentials(Credentials("LTAIfactory", sts.secrets["LTAIfactory"]))
        identity = await TokenService(endpoint=stand_in.url, credentials=keys, transport=transport).caller_identity()

    assert identity == Identity("1234567890123456", "acs:ram::1:user/u", "R", 200)
