"""The official SDK drives the sandbox: if the two agree, the sandbox speaks the platform's language.

The SDK is synchronous and runs in worker threads; it signs by V3 (ACS3-HMAC-SHA256) unless told to sign by V2.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox import Sandbox, SandboxConfig
from bulk.sandbox.accounts.account import SANDBOX_UID

with warnings.catch_warnings():
    # The SDK's dependencies use what Python deprecates; that is not ours to mend.
    warnings.simplefilter("ignore")
    from alibabacloud_iot20180120 import models
    from alibabacloud_iot20180120.client import Client
    from alibabacloud_tea_openapi.exceptions import ClientException
    from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
    from alibabacloud_tea_util.models import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# The SDK stamps its requests by a function that Python 3.12 deprecates; that is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

PRODUCT = "a1Oracle001"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxConfig(qps=0, list_qps=0)) as sandbox:
        yield sandbox


@pytest.fixture(params=["v3", "v2"])
def sdk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Client:
    return connect(sandbox, signature=request.param)


def connect(
    sandbox: Sandbox,
    *,
    signature: str = "v3",
    key_id: str | None = None,
    secret: str | None = None,
    token: str | None = None,
) -> Client:
    credentials = sandbox.credentials
    return Client(
        Config(
            access_key_id=key_id or credentials.access_key_id,
            access_key_secret=secret or credentials.access_key_secret,
            security_token=token,
            endpoint=sandbox.endpoint.removeprefix("http://").rstrip("/"),
            protocol="http",
            signature_algorithm="v2" if signature == "v2" else None,
        )
    )


async def create(sdk: Client, name: str, **texts: str) -> Any:
    request = models.CreateOTAModuleRequest(product_key=PRODUCT, module_name=name, **texts)
    return (await call(sdk.create_otamodule, request)).body


async def listing(sdk: Client, product_key: str = PRODUCT) -> Any:
    request = models.ListOTAModuleByProductRequest(product_key=product_key)
    return (await call(sdk.list_otamodule_by_product, request)).body


async def call(method: Callable[[Any], Any], request: Any) -> Any:
    return await asyncio.to_thread(method, request)


async def test_created_module_is_listed_with_every_character(sdk: Client) -> None:
    created = await create(sdk, "mcu", alias_name="主控", desc="a b~*'()!+&%=/ 说明")
    listed = await listing(sdk)

    assert created.success is True
    assert created.request_id
    assert [(module.module_name, module.alias_name, module.desc) for module in listed.data] == [
        ("mcu", "主控", "a b~*'()!+&%=/ 说明")
    ]
    assert listed.data[0].gmt_create


async def test_name_in_another_case_is_refused_without_an_exception(sdk: Client) -> None:
    await create(sdk, "mcu")
    again = await create(sdk, "MCU")

    assert (again.success, again.code) == (False, "iot.ota.CreateOTAModuleNameExist")
    assert again.error_message


async def test_eleventh_module_is_refused(sdk: Client, sandbox: Sandbox) -> None:
    answers = [await create(sdk, f"m{number}") for number in range(11)]

    assert [answer.success for answer in answers] == [True] * 10 + [False]
    assert answers[10].code == "iot.ota.CreateOTAModuleExceedLimit"
    assert len(sandbox.modules(PRODUCT)) == 10


@pytest.mark.parametrize("signature", ["v3", "v2"])
async def test_wrong_secret_does_not_match(signature: str, sandbox: Sandbox) -> None:
    stranger = connect(sandbox, signature=signature, secret="not-the-secret")

    with pytest.raises(Exception, match="SignatureDoesNotMatch") as raised:
        await create(stranger, "mcu")

    assert isinstance(raised.value, ClientException)
    assert sandbox.modules(PRODUCT) == ()


@pytest.mark.parametrize("signature", ["v3", "v2"])
async def test_security_token_is_taken(signature: str, sandbox: Sandbox) -> None:
    temporary = connect(sandbox, signature=signature, token="sts-token")

    assert (await create(temporary, "mcu")).success is True


async def test_starting_world_is_read_by_the_sdk(sdk: Client) -> None:
    listed = await listing(sdk, "a1Demo00001")

    assert [module.module_name for module in listed.data] == ["default", "mcu"]


async def test_update_and_delete_are_taken(sdk: Client, sandbox: Sandbox) -> None:
    await create(sdk, "mcu", alias_name="old")
    update = models.UpdateOTAModuleRequest(product_key=PRODUCT, module_name="mcu", alias_name="new")
    assert (await call(sdk.update_otamodule, update)).body.success is True
    assert sandbox.modules(PRODUCT)[0].alias_name == "new"

    delete = models.DeleteOTAModuleRequest(product_key=PRODUCT, module_name="mcu")
    assert (await call(sdk.delete_otamodule, delete)).body.success is True
    assert sandbox.modules(PRODUCT) == ()


async def test_products_are_listed_by_page(sdk: Client) -> None:
    request = models.QueryProductListRequest(current_page=1, page_size=2)
    body = (await call(sdk.query_product_list, request)).body

    assert body.data.total == 3
    assert [info.product_key for info in body.data.list.product_info] == ["a1Demo00001", "a1Demo00002"]


async def test_packages_are_listed_by_page_and_hold_their_module(sdk: Client, sandbox: Sandbox) -> None:
    for name in ("mcu", "wifi"):
        await create(sdk, name)
    for number in range(3):
        sandbox.console().add_package(PRODUCT, "mcu", version=f"{number}.0")

    request = models.ListOTAFirmwareRequest(current_page=1, page_size=2, product_key=PRODUCT)
    body = (await call(sdk.list_otafirmware, request)).body
    delete = models.DeleteOTAModuleRequest(product_key=PRODUCT, module_name="mcu")
    held = (await call(sdk.delete_otamodule, delete)).body

    assert (body.success, body.total, body.page_count, body.page_size, body.current_page) == (True, 3, 2, 2, 1)
    assert [(info.module_name, info.dest_version) for info in body.firmware_info.simple_firmware_info] == [
        ("mcu", "2.0"),
        ("mcu", "1.0"),
    ]
    assert (held.success, held.code) == (False, "iot.ota.DeleteOTAModulePackageExist")


async def test_products_are_told_apart_by_their_owner(sdk: Client, sandbox: Sandbox) -> None:
    sandbox.console().add_product("a1Shared001", product_name="Lamp", is_owned=False)

    products = models.QueryProductListRequest(current_page=1, page_size=1)
    (newest,) = (await call(sdk.query_product_list, products)).body.data.list.product_info
    one = (await call(sdk.query_product, models.QueryProductRequest(product_key=newest.product_key))).body.data

    assert (newest.product_key, newest.product_name) == ("a1Shared001", "Lamp")
    assert newest.gmt_create > 0
    assert (one.owner, one.product_name) == (False, "Lamp")


@pytest.mark.parametrize("signature", ["v3", "v2"])
async def test_role_is_assumed_and_its_keys_sign_in_either_scheme(signature: str, sandbox: Sandbox) -> None:
    told = {"RoleArn": f"acs:ram::{SANDBOX_UID}:role/bulk", "RoleSessionName": "night"}
    assumed = await sts(connect(sandbox, signature=signature), "AssumeRole", **told)
    given = assumed["Credentials"]
    temporary = connect(
        sandbox,
        signature=signature,
        key_id=given["AccessKeyId"],
        secret=given["AccessKeySecret"],
        token=given["SecurityToken"],
    )
    who = await sts(temporary, "GetCallerIdentity")

    assert (await create(temporary, "mcu")).success is True
    assert (who["IdentityType"], who["AccountId"]) == ("AssumedRoleUser", SANDBOX_UID)


async def test_role_that_is_not_there_is_an_exception_of_the_sdk(sandbox: Sandbox) -> None:
    with pytest.raises(ClientException, match=r"EntityNotExist\.Role"):
        await sts(connect(sandbox), "AssumeRole", RoleArn="acs:ram::404:role/bulk", RoleSessionName="night")


async def sts(client: Client, action: str, **query: str) -> Any:
    # The SDK of STS is another package; the client below both SDKs is one.
    params = Params(
        action=action,
        version="2015-04-01",
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    answer = await asyncio.to_thread(client.call_api, params, OpenApiRequest(query=query), RuntimeOptions())
    return answer["body"]
