from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.readings import Casing, DataShape, GmtForm
from bulk.sandbox.replies import render
from bulk.sandbox.results import Done, Refusal, Refused
from bulk.sandbox.worlds.stored import StoredModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.results import Result
    from tests.unit.sandbox.conftest import CallMaker

MCU = StoredModule(product_key="p", module_name="mcu", alias_name="主控", created_at="2024-11-19T09:47Z")
WIFI = StoredModule(product_key="p", module_name="wifi", created_at="2024-11-19T09:48Z")
DEFAULT = StoredModule(product_key="p", module_name="default", created_at="2024-11-19T09:46Z")
ALIBABA: Mapping[str, str | None] = {"Version": "2018-01-20", "Format": "JSON"}
TUYA: Mapping[str, str | None] = {}


def shown(
    make_call: CallMaker, result: Result, config: SandboxConfig, params: Mapping[str, str | None] = ALIBABA
) -> Any:
    reply = render(result, make_call(params), config)
    return json.loads(reply.body)


def names(data: Any) -> Any:
    return [module["ModuleName"] for module in data]


def test_alibaba_speaks_pascal_case(make_call: CallMaker) -> None:
    reply = shown(make_call, Done((MCU,)), SandboxConfig())

    assert reply.keys() == {"RequestId", "Success", "Data"}
    assert reply["Data"] == [
        {
            "ProductKey": "p",
            "ModuleName": "mcu",
            "AliasName": "主控",
            "GmtCreate": "2024-11-19T09:47Z",
            "GmtModified": "2024-11-19T09:47Z",
        }
    ]


def test_tuya_speaks_camel_case_with_an_empty_code(make_call: CallMaker) -> None:
    reply = shown(make_call, Done((MCU,)), SandboxConfig(), TUYA)

    assert reply.keys() == {"code", "requestId", "success", "data"}
    assert reply["code"] == ""
    assert reply["data"][0]["moduleName"] == "mcu"


def test_mixed_casing_keeps_data_as_alibaba_has_it(make_call: CallMaker) -> None:
    reply = shown(make_call, Done((MCU,)), SandboxConfig(casing=Casing.MIXED))

    assert reply.keys() == {"code", "requestId", "success", "Data"}
    assert names(reply["Data"]) == ["mcu"]


def test_create_has_no_data(make_call: CallMaker) -> None:
    assert shown(make_call, Done(), SandboxConfig()).keys() == {"RequestId", "Success"}


def test_data_takes_each_shape(make_call: CallMaker) -> None:
    def data(shape: DataShape, *modules: StoredModule) -> Any:
        return shown(make_call, Done(modules), SandboxConfig(data_shape=shape))["Data"]

    assert names(data(DataShape.WRAPPED, MCU, WIFI)["OtaModuleDTO"]) == ["mcu", "wifi"]
    assert data(DataShape.SINGLE, MCU)["ModuleName"] == "mcu"
    assert names(data(DataShape.SINGLE, MCU, WIFI)) == ["mcu", "wifi"]
    assert data(DataShape.NULL_WHEN_EMPTY) is None
    assert names(data(DataShape.NULL_WHEN_EMPTY, MCU)) == ["mcu"]
    assert data(DataShape.LIST) == []


@pytest.mark.parametrize(("list_default", "expected"), [(True, ["default", "mcu"]), (False, ["mcu"])])
def test_default_is_listed_on_request(make_call: CallMaker, expected: list[str], *, list_default: bool) -> None:
    reply = shown(make_call, Done((DEFAULT, MCU)), SandboxConfig(list_default=list_default))

    assert names(reply["Data"]) == expected


def test_business_error_is_http_200_unless_told(make_call: CallMaker) -> None:
    refused = Refused("iot.prod.NotExistedProduct", "No such product.")
    reply = render(refused, make_call(ALIBABA), SandboxConfig())

    assert (reply.status, reply.code) == (200, "iot.prod.NotExistedProduct")
    assert json.loads(reply.body).items() >= {
        ("Success", False),
        ("Code", "iot.prod.NotExistedProduct"),
        ("ErrorMessage", "No such product."),
    }
    assert render(refused, make_call(ALIBABA), SandboxConfig(business_status=400)).status == 400


def test_gateway_error_has_message_and_host(make_call: CallMaker) -> None:
    reply = render(Refusal(404, "InvalidAccessKeyId.NotFound", "No such key."), make_call(ALIBABA), SandboxConfig())

    assert reply.status == 404
    assert json.loads(reply.body).items() >= {
        ("HostId", "127.0.0.1"),
        ("Code", "InvalidAccessKeyId.NotFound"),
        ("Message", "No such key."),
    }


def test_without_format_alibaba_speaks_xml(make_call: CallMaker) -> None:
    reply = render(Done((MCU, WIFI)), make_call({"Version": "2018-01-20"}), SandboxConfig())

    root = ET.fromstring(reply.body)
    assert reply.content_type.startswith("text/xml")
    assert root.tag == "ListOTAModuleByProductResponse"
    assert root.findtext("Success") == "true"
    assert [module.findtext("ModuleName") for module in root.iterfind("Data/OtaModuleDTO")] == ["mcu", "wifi"]


def test_xml_error_is_escaped(make_call: CallMaker) -> None:
    reply = render(Refusal(400, "SignatureDoesNotMatch", "GET&%2F&<x>"), make_call({"Version": "1"}), SandboxConfig())

    root = ET.fromstring(reply.body)
    assert (root.tag, root.findtext("Message")) == ("Error", "GET&%2F&<x>")


@pytest.mark.parametrize(
    ("form", "created", "modified"),
    [
        (GmtForm.MINUTES, "2024-11-19T09:47Z", "2024-11-20T00:00Z"),
        (GmtForm.HTTP, "Tue, 19-Nov-2024 09:47:00 GMT", "Wed, 20-Nov-2024 00:00:00 GMT"),
        (GmtForm.ABSENT, None, None),
        (GmtForm.GARBLED, "~Z74:90T91-11-4202~", "~Z00:00T02-11-4202~"),
    ],
)
def test_times_take_each_form(make_call: CallMaker, form: GmtForm, created: str | None, modified: str | None) -> None:
    module = replace(MCU, modified_at="2024-11-20T00:00Z")
    (fields,) = shown(make_call, Done((module,)), SandboxConfig(gmt_form=form))["Data"]

    assert (fields.get("GmtCreate"), fields.get("GmtModified")) == (created, modified)


def test_fields_stand_beside_data_in_the_dialects_casing(make_call: CallMaker) -> None:
    result = Done(fields={"Total": 0, "FirmwareInfo": {"SimpleFirmwareInfo": [{"FirmwareId": "1"}]}})

    assert shown(make_call, result, SandboxConfig()).keys() == {"RequestId", "Success", "Total", "FirmwareInfo"}
    assert shown(make_call, result, SandboxConfig(), TUYA)["firmwareInfo"] == {
        "simpleFirmwareInfo": [{"firmwareId": "1"}]
    }


def test_sts_reply_says_nothing_of_success(make_call: CallMaker) -> None:
    assert shown(make_call, Done(fields={"AccountId": "1"}, is_bare=True), SandboxConfig()).keys() == {
        "RequestId",
        "AccountId",
    }


@pytest.mark.parametrize("info", [{"SimpleFirmwareInfo": [{"Id": "1"}, {"Id": "2"}]}, [{"Id": "1"}, {"Id": "2"}]])
def test_lists_in_xml_repeat_the_name_of_their_items(make_call: CallMaker, info: Any) -> None:
    reply = render(Done(fields={"FirmwareInfo": info}), make_call({"Version": "2018-01-20"}), SandboxConfig())

    items = ET.fromstring(reply.body).iterfind("FirmwareInfo/SimpleFirmwareInfo")
    assert [item.findtext("Id") for item in items] == ["1", "2"]


def test_null_data_is_an_empty_element_in_xml(make_call: CallMaker) -> None:
    config = SandboxConfig(data_shape=DataShape.NULL_WHEN_EMPTY)
    reply = render(Done(()), make_call({"Version": "2018-01-20"}), config)

    assert b"<Data></Data>" in reply.body
