"""The official SDK drives the sandbox: if the two agree, the sandbox speaks the platform's language.

The SDK is synchronous and runs in worker threads; it signs by V3 (ACS3-HMAC-SHA256) unless told to sign by V2.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox import Sandbox, SandboxConfig

with warnings.catch_warnings():
    # The SDK's dependencies use what Python deprecates; that is not ours to mend.
    warnings.simplefilter("ignore")
    from alibabacloud_iot20180120 import models
    from alibabacloud_iot20180120.client import Client
    from alibabacloud_tea_openapi.exceptions import ClientException
    from alibabacloud_tea_openapi.models import Config

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


def connect(sandbox: Sandbox, *, signature: str = "v3", secret: str | None = None, token: str | None = None) -> Client:
    credentials = sandbox.credentials
    return Client(
        Config(
            access_key_id=credentials.access_key_id,
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
