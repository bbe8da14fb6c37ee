"""Where requests go, and what each dialect writes into them."""

from __future__ import annotations

from typing import Any

import pytest

from bulk.cloud.dialects import (
    change_parameters,
    common_parameters,
    http_method,
    list_parameters,
    resolve_target,
)
from bulk.cloud.keys.credentials import Credentials
from bulk.errors import SettingsError
from bulk.model import Change, ChangeKind, Dialect, OtaModule, Target
from bulk.settings import Settings

TUYA_URL = "https://si-d6e8d812acb848958054.tuyacloud.com:8686"


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({"endpoint": TUYA_URL + "/"}, Target(Dialect.TUYA, TUYA_URL)),
        (
            {"endpoint": "HTTPS://IOT.CN-Shanghai.AliyunCS.com"},
            Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com"),
        ),
        ({"region": "ap-southeast-1"}, Target(Dialect.ALIBABA, "https://iot.ap-southeast-1.aliyuncs.com")),
        (
            {"region": "cn-shanghai", "instance_id": "iot-060a"},
            Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com", "iot-060a"),
        ),
        ({"endpoint": "http://127.0.0.1:8686"}, Target(Dialect.TUYA, "http://127.0.0.1:8686")),
        ({"endpoint": "http://127.0.0.1:5000/"}, Target(Dialect.ALIBABA, "http://127.0.0.1:5000")),
        ({"endpoint": "http://localhost:80"}, Target(Dialect.ALIBABA, "http://localhost")),
        ({"endpoint": "https://10.1.2.3"}, Target(Dialect.ALIBABA, "https://10.1.2.3")),
        ({"endpoint": "https://iot.aliyuncs.com.:8686"}, Target(Dialect.ALIBABA, "https://iot.aliyuncs.com.:8686")),
        ({"endpoint": "https://[::1]:8443"}, Target(Dialect.ALIBABA, "https://[::1]:8443")),
        ({"endpoint": "https://stand-in.example:443"}, Target(Dialect.ALIBABA, "https://stand-in.example")),
        (
            {"endpoint": "http://stand-in.example", "insecure_http": True, "dialect": Dialect.TUYA},
            Target(Dialect.TUYA, "http://stand-in.example"),
        ),
        ({"sandbox": True}, Target(Dialect.TUYA, "sandbox")),
        ({"sandbox": True, "dialect": Dialect.ALIBABA}, Target(Dialect.ALIBABA, "sandbox")),
        ({"sandbox": True, "instance_id": "iot-060a"}, Target(Dialect.ALIBABA, "sandbox", "iot-060a")),
    ],
)
def test_target_follows_from_the_settings(settings: dict[str, Any], target: Target) -> None:
    assert resolve_target(Settings(**settings)) == target


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no platform is named"),
        ({"endpoint": "http://iot.cn-shanghai.aliyuncs.com"}, "not encrypted: use https://, or --insecure-http"),
        ({"endpoint": "http://127.0.0.1.example.com"}, "not encrypted"),
        ({"endpoint": "iot.cn-shanghai.aliyuncs.com"}, "write it as https://HOST"),
        ({"endpoint": "localhost:8080"}, "write it as https://HOST"),
        ({"endpoint": "ftp://host"}, "write it as https://HOST"),
        ({"endpoint": "https://"}, "write it as https://HOST"),
        ({"endpoint": "https://host:99999"}, "can't be read"),
        ({"endpoint": "https://[::1"}, "can't be read"),
        ({"endpoint": "https://ho st"}, "host name that can't be right"),
        ({"endpoint": "https://例子.cn"}, "in DNS it is xn--fsqu00a.cn"),
        ({"endpoint": "https://iot..example"}, "nothing between two dots"),
        ({"endpoint": "https://.example"}, "nothing between two dots, or before the first"),
        ({"endpoint": "https://10.1.2"}, "four numbers"),
        ({"endpoint": "https://2130706433"}, "four numbers"),
        ({"endpoint": "https://host:0"}, "port 0"),
        ({"endpoint": "https://host/path"}, "path, query or fragment"),
        ({"endpoint": "https://host/?Action=x"}, "path, query or fragment"),
        ({"endpoint": "https://host/#x"}, "path, query or fragment"),
        ({"region": "shanghai"}, "not a region's id"),
        ({"region": "cn-shanghai.evil.example/"}, "not a region's id"),
        ({"region": "cn-shanghai", "dialect": Dialect.TUYA}, "--dialect tuya"),
        ({"endpoint": TUYA_URL, "instance_id": "iot-060a"}, "--instance-id"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        resolve_target(Settings(**settings))


@pytest.mark.parametrize("instance", [None, "iot-060a"])
@pytest.mark.parametrize("dialect", Dialect)
def test_a_sandbox_is_found_again_by_the_options_that_it_names(dialect: Dialect, instance: str | None) -> None:
    target = Target(dialect, "sandbox", instance if dialect is Dialect.ALIBABA else None)

    first, *rest = target.sandbox_options

    given = dict(zip(rest[::2], rest[1::2], strict=True))
    named = Dialect(given["--dialect"]) if "--dialect" in given else None
    settings = Settings(sandbox=first == "--sandbox", dialect=named, instance_id=given.get("--instance-id"))
    assert resolve_target(settings) == target


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://user:hunter2@host",
        "user:hunter2@host:8686",
        "si-1.tuyacloud.com:8686/?Action=x&Signature=hunter2",
        "https://ho st/?Signature=hunter2",
    ],
)
def test_endpoint_with_a_secret_is_refused_without_showing_it(endpoint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve_target(Settings(endpoint=endpoint))

    assert "hunter2" not in str(caught.value)


def common(dialect: Dialect, *, instance_id: str | None = None, token: str | None = None) -> dict[str, str]:
    """Return what all requests of a dialect have in common."""
    target = Target(dialect, "https://host", instance_id)
    return common_parameters(target, Credentials("testid", "testsecret", token))


TUYA_COMMON = {"AccessKeyId": "testid", "SignatureMethod": "HMAC-SHA1"}
ALIBABA_COMMON = TUYA_COMMON | {"Format": "JSON", "SignatureVersion": "1.0", "Version": "2018-01-20"}


def test_tuya_sends_the_parameters_of_its_samples_and_no_others() -> None:
    assert common(Dialect.TUYA) == TUYA_COMMON


def test_alibaba_adds_version_and_format() -> None:
    assert common(Dialect.ALIBABA) == ALIBABA_COMMON


def test_instance_and_token_are_sent_where_they_are_set() -> None:
    sent = common(Dialect.ALIBABA, instance_id="iot-060a", token="testtoken")

    assert sent == ALIBABA_COMMON | {"IotInstanceId": "iot-060a", "SecurityToken": "testtoken"}


def test_tuya_gets_and_alibaba_posts() -> None:
    assert http_method(Dialect.TUYA) == "GET"
    assert http_method(Dialect.ALIBABA) == "POST"


def test_listing_names_the_product() -> None:
    assert list_parameters("pk") == {"Action": "ListOTAModuleByProduct", "ProductKey": "pk"}


def test_create_sends_only_the_fields_that_the_row_gives() -> None:
    bare = {"Action": "CreateOTAModule", "ProductKey": "pk", "ModuleName": "m"}

    assert change_parameters(Change(ChangeKind.CREATE, OtaModule("pk", "m"))) == bare
    assert change_parameters(Change(ChangeKind.CREATE, OtaModule("pk", "m", "别名", ""))) == bare | {
        "AliasName": "别名",
        "Desc": "",
    }


FOUND = OtaModule("pk", "m", "前", "before")


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (OtaModule("pk", "m", "后", "after"), {"AliasName": "后", "Desc": "after"}),
        (OtaModule("pk", "m", "后"), {"AliasName": "后", "Desc": "before"}),
        (OtaModule("pk", "m", None, "after"), {"AliasName": "前", "Desc": "after"}),
        (OtaModule("pk", "m", "", ""), {"AliasName": "", "Desc": ""}),
    ],
)
def test_update_sends_both_fields_the_one_left_out_as_it_was_found(wanted: OtaModule, sent: dict[str, str]) -> None:
    bare = {"Action": "UpdateOTAModule", "ProductKey": "pk", "ModuleName": "m"}

    assert change_parameters(Change(ChangeKind.UPDATE, wanted, FOUND)) == bare | sent


def test_delete_names_the_module_alone() -> None:
    bare = {"Action": "DeleteOTAModule", "ProductKey": "pk", "ModuleName": "m"}

    assert change_parameters(Change(ChangeKind.DELETE, FOUND, FOUND)) == bare
