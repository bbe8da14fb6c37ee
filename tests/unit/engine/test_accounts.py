from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.accounts import Account, OpenedAccount, accounts_of, open_account_keys, refuse_double
from bulk.errors import SettingsError
from bulk.events import ClockCorrected, CredentialsFound, CredentialsNotRenewed, Event
from bulk.model import Dialect, Target
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from bulk.events import Listener

ROLE = "acs:ram::1234567890:role/nightly"
CN = AccountSettings(region="cn-shanghai")
EU = AccountSettings(region="eu-central-1")
TUYA = AccountSettings(endpoint="https://si.tuyacloud.com:8686/")
SECRET = "s3cr3tS3cr3tS3cr3t"
ENVIRON = {
    name: value
    for prefix, key_id in {"CN": "LTAI5tCn", "EU": "LTAI5tEu", "ALIBABA_CLOUD": "LTAI5tDefault"}.items()
    for name, value in {f"{prefix}_ACCESS_KEY_ID": key_id, f"{prefix}_ACCESS_KEY_SECRET": SECRET}.items()
}


def accounts(settings: Settings) -> dict[str, Account]:
    return {account.name: account for account in accounts_of(settings)}


async def opened(settings: Settings, environ: dict[str, str] = ENVIRON) -> list[OpenedAccount]:
    return [await open_account_keys(account, environ=environ) for account in accounts_of(settings)]


def test_without_accounts_there_is_one_without_a_name() -> None:
    (account,) = accounts_of(settings := Settings(region="cn-shanghai", key_env="CN"))

    assert (account.name, account.settings, account.is_tried) == ("", settings, True)
    assert account.keys.key_env == "CN"


def test_each_account_has_its_own_target() -> None:
    made = accounts(Settings(accounts={"cn": CN, "tuya": TUYA}, qps=5))

    assert made["cn"].target == Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com", None)
    assert made["tuya"].target == Target(Dialect.TUYA, "https://si.tuyacloud.com:8686", None)
    assert made["cn"].settings == Settings(region="cn-shanghai", qps=5)


def test_what_an_account_says_takes_the_place_of_the_default() -> None:
    settings = Settings(
        region="cn-shanghai",
        key_env="CN",
        qps=5,
        accounts={
            "a": AccountSettings(endpoint="https://h", profile="p", list_qps=2),
            "b": AccountSettings(role_arn=ROLE, rate_group="g", qps=0, sample_product="a1"),
        },
    )

    a, b = accounts_of(settings)

    assert a.settings == Settings(endpoint="https://h", profile="p", qps=5, list_qps=2)
    assert (a.keys.profile, a.keys.key_env) == ("p", None)
    assert b.settings == Settings(
        region="cn-shanghai", key_env="CN", role_arn=ROLE, rate_group="g", qps=0, sample_product="a1"
    )


def test_external_id_of_the_defaults_is_for_accounts_that_have_a_role() -> None:
    settings = Settings(external_id="ticket", accounts={"cn": replace(CN, role_arn=ROLE), "eu": EU})

    made = accounts(settings)

    assert (made["cn"].keys.external_id, made["eu"].keys.external_id) == ("ticket", None)


def test_only_the_named_accounts_are_tried_and_the_others_are_known() -> None:
    made = accounts(Settings(accounts={"cn": CN, "eu": EU}, only_accounts=("eu",)))

    assert {name: account.is_tried for name, account in made.items()} == {"cn": False, "eu": True}


@pytest.mark.parametrize(
    ("default", "account", "says"),
    [
        ({}, {}, "it names no platform: give it endpoint or region"),
        ({}, {"region": "shanghai!"}, "region 'shanghai!' is not a region's id"),
        ({}, {"region": "cn-x", "dialect": Dialect.TUYA}, "region names an Alibaba region: with dialect tuya give "),
        ({}, {"endpoint": "http://platform.example"}, "is not encrypted: use https://, or --insecure-http"),
        ({}, {"endpoint": "https://h:8686", "instance_id": "i"}, "instance_id is Alibaba's IotInstanceId: leave it"),
        (
            {"instance_id": "i"},
            {"endpoint": "https://h:8686"},
            "instance_id at the top of the settings is Alibaba's IotInstanceId, and this account is Tuya's: move it",
        ),
        (
            {},
            {"region": "cn-x", "sts_endpoint": "http://sts.example"},
            "sts_endpoint: endpoint http://sts.example is not",
        ),
        ({}, {"region": "cn-x", "external_id": "ticket"}, "external_id belongs to a role"),
        ({}, {"region": "cn-x", "sts_endpoint": "x", "external_id": "ticket"}, "external_id belongs to a role"),
    ],
)
def test_account_that_cannot_be_sent_to_is_named_with_its_place(
    default: dict[str, str], account: dict[str, str], says: str
) -> None:
    said = AccountSettings(**account, place="./bulk.toml, line 7")  # type: ignore[arg-type]  # parametrised

    with pytest.raises(SettingsError) as told:
        accounts_of(Settings(**default, accounts={"ok": CN, "cn": said}))  # type: ignore[arg-type]  # as above

    assert str(told.value).startswith("./bulk.toml, line 7, account 'cn': ")
    assert says in str(told.value)
    assert "--endpoint" not in str(told.value)


def test_two_names_for_the_same_words_are_refused_before_any_key_is_opened() -> None:
    settings = Settings(key_env="CN", accounts={"a": CN, "c": EU, "b": replace(CN, qps=5, place="./bulk.toml, line 9")})

    with pytest.raises(
        SettingsError, match=r"^\./bulk\.toml, line 9: accounts 'a' and 'b' are the same: same endpoint"
    ):
        accounts_of(settings)


def test_different_rates_in_one_named_group_are_refused_before_any_key_is_opened() -> None:
    settings = Settings(
        accounts={"a": replace(CN, rate_group="1234567890", qps=5), "b": replace(EU, key_env="CN", role_arn=ROLE)}
    )

    with pytest.raises(SettingsError, match=r"'a' and 'b' share the rate group '1234567890' .*qps = 5, .*qps = 10"):
        accounts_of(settings)


def test_accounts_are_apart_in_a_rehearsal_and_speak_their_own_dialect() -> None:
    made = accounts(Settings(sandbox=True, accounts={"cn": CN, "eu": replace(EU, instance_id="i")}))

    assert {account.target.endpoint for account in made.values()} == {"sandbox/cn", "sandbox/eu"}
    assert {account.target.dialect for account in made.values()} == {Dialect.ALIBABA}


async def test_default_rate_group_is_the_long_lived_key() -> None:
    settings = Settings(accounts={"cn": replace(CN, key_env="CN"), "eu": replace(EU, key_env="CN"), "none": CN})

    made = await opened(settings)

    assert [one.rate_group for one in made] == ["LTAI5tCn", "LTAI5tCn", "LTAI5tDefault"]
    refuse_double(made)


async def test_temporary_keys_are_grouped_by_their_source() -> None:
    environ = ENVIRON | {"CN_SECURITY_TOKEN": "t", "EU_SECURITY_TOKEN": "t"}
    settings = Settings(accounts={"cn": replace(CN, key_env="CN"), "eu": replace(EU, key_env="EU")})

    made = await opened(settings, environ)

    assert len({one.rate_group for one in made}) == 2
    refuse_double(made)


async def test_named_rate_group_goes_before_the_key() -> None:
    settings = Settings(rate_group="all", accounts={"cn": replace(CN, key_env="CN"), "eu": replace(EU, key_env="EU")})

    assert [one.rate_group for one in await opened(settings)] == ["all", "all"]


async def test_two_names_for_one_key_are_refused_however_it_is_found() -> None:
    environ = ENVIRON | {"EU_ACCESS_KEY_ID": "LTAI5tCn"}
    settings = Settings(accounts={"a": replace(CN, key_env="CN"), "b": replace(CN, key_env="EU")})

    with pytest.raises(SettingsError, match="accounts 'a' and 'b' are the same"):
        refuse_double(await opened(settings, environ))


async def test_different_rates_of_one_key_are_refused_without_its_id() -> None:
    settings = Settings(accounts={"a": replace(CN, key_env="CN", qps=5), "b": replace(EU, key_env="CN")})

    with pytest.raises(SettingsError, match="share the rate group of the key LTAI… and have different rates") as told:
        refuse_double(await opened(settings))

    assert "LTAI5" not in str(told.value)


async def test_events_of_keys_name_their_account() -> None:
    heard: list[Event] = []
    (account,) = accounts_of(Settings(accounts={"cn": replace(CN, key_env="CN")}))

    await open_account_keys(account, environ=ENVIRON, listener=heard.append)

    assert heard == [CredentialsFound("environment variables CN_…", account="cn")]


async def test_keys_that_are_not_there_are_told_with_their_variables() -> None:
    (account,) = accounts_of(Settings(accounts={"cn": replace(CN, key_env="FACTORY")}))

    with pytest.raises(SettingsError, match="FACTORY_ACCESS_KEY_ID and FACTORY_ACCESS_KEY_SECRET are not set"):
        await open_account_keys(account, environ={})


async def test_keys_of_another_account_are_not_advised() -> None:
    settings = Settings(accounts={f"cn-{number}": replace(CN, key_env=f"CN_{number}") for number in (1, 2)})
    environ = {f"{prefix}_ACCESS_KEY_ID": "LTAI5t" for prefix in ("CN_2", "CN_3")}

    with pytest.raises(SettingsError) as told:
        await open_account_keys(accounts(settings)["cn-1"], environ=environ)

    assert "CN_3_ACCESS_KEY_ID is set: is key_env 'CN_3'?" in str(told.value)
    assert "CN_2" not in str(told.value)


async def test_events_of_keys_get_the_name_of_the_account_and_others_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def open_credentials(*_: object, listener: Listener, **__: object) -> StaticCredentials:
        for event in (CredentialsFound("a vault"), CredentialsNotRenewed("busy"), ClockCorrected(3.0, "eu")):
            listener(event)
        return StaticCredentials(Credentials("LTAI5tCn", SECRET))

    monkeypatch.setattr("bulk.engine.accounts.open_credentials", open_credentials)
    (account,) = accounts_of(Settings(accounts={"cn": CN}))
    events: list[Event] = []

    await open_account_keys(account, listener=events.append, environ={})

    assert events == [
        CredentialsFound("a vault", account="cn"),
        CredentialsNotRenewed("busy", account="cn"),
        ClockCorrected(3.0, "eu"),
    ]
