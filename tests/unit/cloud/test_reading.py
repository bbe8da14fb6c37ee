"""What reads asks for pages by the documented parameters, in both dialects, and has no way to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bulk.cloud import reading
from bulk.cloud.client import Client
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.reading import ReadingClient
from bulk.cloud.wire.transport import Reply
from bulk.model import Dialect, Failure, FailureKind, Package, Page, Product, Target

Script = Callable[..., Any]
PACKAGES: dict[str, Any] = {
    "Total": 1,
    "FirmwareInfo": {"SimpleFirmwareInfo": [{"FirmwareId": 7, "ModuleName": "mcu"}]},
}
PRODUCTS: dict[str, Any] = {"Data": {"Total": 1, "List": {"ProductInfo": [{"ProductKey": "pk", "ProductName": "灯"}]}}}


def reply(status: int = 200, **fields: Any) -> Reply:
    return Reply(status, orjson.dumps(fields))


def client(transport: Any, dialect: Dialect = Dialect.ALIBABA) -> ReadingClient:
    return ReadingClient(
        target=Target(dialect, "https://host", "iot-1" if dialect is Dialect.ALIBABA else None),
        endpoint="https://host",
        credentials=StaticCredentials(Credentials("testid", "testsecret")),
        transport=transport,
    )


@pytest.mark.parametrize("dialect", Dialect)
async def test_page_of_packages_is_asked_for_by_product(scripted: Script, dialect: Dialect) -> None:
    transport = scripted(reply(Success=True, RequestId="R1", **PACKAGES))

    page = await client(transport, dialect).list_packages("pk", page=1)

    assert page == Page((Package("7", "pk", "mcu"),), 1, 100, 1, "R1", 200)
    sent = transport.parameters(0)
    assert [sent[name] for name in ("Action", "CurrentPage", "PageSize", "ProductKey")] == [
        "ListOTAFirmware",
        "1",
        "100",
        "pk",
    ]
    assert ("IotInstanceId" in sent) == (dialect is Dialect.ALIBABA)


async def test_packages_of_all_products_are_asked_for_without_one(scripted: Script) -> None:
    entry = {"FirmwareId": "7", "ProductKey": "pk", "ModuleName": "mcu"}
    transport = scripted(reply(Success=True, Total=1, FirmwareInfo=[entry]))

    page = await client(transport).list_packages(None)

    assert isinstance(page, Page)
    assert page.items[0].product_key == "pk"
    assert "ProductKey" not in transport.parameters(0)


@pytest.mark.parametrize("dialect", Dialect)
async def test_page_of_products_is_asked_for(scripted: Script, dialect: Dialect) -> None:
    transport = scripted(reply(success=True, requestId="R1", **PRODUCTS))

    page = await client(transport, dialect).list_products()

    assert page == Page((Product("pk", "灯"),), 1, 200, 1, "R1", 200)
    sent = transport.parameters(0)
    assert [sent[name] for name in ("Action", "CurrentPage", "PageSize")] == ["QueryProductList", "1", "200"]


async def test_incomplete_page_is_a_failure(scripted: Script) -> None:
    short = reply(Success=True, RequestId="R1", Data={"Total": 3, "List": {"ProductInfo": [{"ProductKey": "pk"}]}})

    result = await client(scripted(short)).list_products()

    assert isinstance(result, Failure)
    assert (result.kind, result.code, result.request_id) == (FailureKind.DOUBTFUL, "unreadable_reply", "R1")
    assert "1 of the 3 entries" in result.message


async def test_product_itself_says_whether_it_is_the_accounts_own(scripted: Script) -> None:
    data = {"ProductKey": "pk****", "ProductName": "灯", "Owner": False, "ProductSecret": "hush"}
    transport = scripted(reply(Success=True, Data=data), reply(success=True, data={"productName": "灯", "owner": True}))

    theirs, ours = [await client(transport).show_product("pk") for _ in range(2)]

    assert (theirs, ours) == (Product("pk", "灯", is_owned=False), Product("pk", "灯", is_owned=True))
    assert transport.parameters(0)["Action"] == "QueryProduct"
    assert "hush" not in repr(theirs)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b'{"Success":true,"Data":[{"ProductSecret":"hush"}]}'),
        Reply(200, b'{"Data":{"ProductSecret":"hush"}}'),
        Reply(200, b"<R><Success>true</Success><ProductSecret>hush</ProductSecret></R>"),
        Reply(500, b'{"productSecret":"hush"}'),
        Reply(200, b'{"Data":{"ProductSecret":"hush'),
    ],
)
async def test_secret_of_a_product_is_in_no_failure(scripted: Script, answer: Reply) -> None:
    result = await client(scripted(answer)).show_product("pk")

    assert isinstance(result, Failure)
    assert "hush" not in str(result)


async def test_missing_right_to_list_packages_is_named(scripted: Script) -> None:
    result = await client(scripted(reply(403, Code="NoPermission", RequestId="R1"))).list_packages("pk")

    assert isinstance(result, Failure)
    assert (result.kind, result.permission) == (FailureKind.FATAL, "iot:ListOTAFirmware")


def test_code_that_reads_has_no_way_to_write() -> None:
    assert not hasattr(ReadingClient, "apply")
    assert hasattr(Client, "apply")
    assert "change" not in inspect.getsource(reading).lower()
