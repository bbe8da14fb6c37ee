"""Replies in every shape that the documents show, and in some that they don't."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bulk.cloud.replies import UnreadableDataError, read_answer, read_modules, retry_after_s, server_time_at
from bulk.model import OtaModule

MODULE = {"ModuleName": "barcode", "AliasName": "扫码", "Desc": "scanner", "ProductKey": "a1T****", "GmtCreate": "x"}
READ = OtaModule("a1Product", "barcode", "扫码", "scanner")


def cased(document: Any, change: Any) -> Any:
    """Spell every key another way."""
    if isinstance(document, dict):
        return {change(key): cased(value, change) for key, value in document.items()}
    return [cased(item, change) for item in document] if isinstance(document, list) else document


CASINGS = [
    pytest.param(lambda key: key, id="PascalCase"),
    pytest.param(lambda key: key[0].lower() + key[1:], id="camelCase"),
    pytest.param(str.lower, id="lower"),
    pytest.param(str.upper, id="UPPER"),
]
SHAPES = [
    pytest.param([MODULE], (READ,), id="list"),
    pytest.param(MODULE, (READ,), id="one object"),
    pytest.param({"OtaModuleDTO": [MODULE, MODULE]}, (READ, READ), id="wrapped list"),
    pytest.param({"OtaModuleDTO": MODULE}, (READ,), id="wrapped object"),
    pytest.param({"SimpleOTAModuleInfo": []}, (), id="wrapped empty list"),
    pytest.param({"OtaModuleDTO": None}, (), id="wrapped null"),
    pytest.param({}, (), id="empty object"),
    pytest.param([], (), id="empty list"),
    pytest.param(None, (), id="null"),
]


@pytest.mark.parametrize("change", CASINGS)
@pytest.mark.parametrize(("data", "modules"), SHAPES)
def test_listing_is_read_in_any_shape_and_casing(data: Any, modules: tuple[OtaModule, ...], change: Any) -> None:
    body = orjson.dumps(cased({"RequestId": "R1", "Success": True, "Code": "", "Data": data}, change))

    answer = read_answer(body)

    assert (answer.success, answer.code, answer.request_id) == (True, "", "R1")
    assert read_modules(answer.data, "a1Product") == modules


def test_listing_without_data_is_empty() -> None:
    assert read_modules(read_answer(b'{"Success":true}').data, "a1Product") == ()


def test_mixed_casing_of_the_documents_is_read() -> None:
    body = b'{"requestId":"R1","success":true,"code":"","errorMessage":null,"Data":[]}'

    answer = read_answer(body)

    assert (answer.success, answer.code, answer.message, answer.request_id) == (True, "", "", "R1")


@pytest.mark.parametrize("fields", [{}, {"AliasName": None, "Desc": None}, {"AliasName": "", "Desc": ""}])
def test_absent_alias_and_description_are_none(fields: dict[str, Any]) -> None:
    assert read_modules([{"ModuleName": "m"} | fields], "pk") == (OtaModule("pk", "m"),)


@pytest.mark.parametrize(
    "data",
    [
        "text",
        7,
        True,
        [None],
        ["m"],
        [{}],
        [{"ModuleName": None}],
        [{"ModuleName": ""}],
        {"A": [], "B": []},
        {"A": "m"},
        {"A": {"B": []}},
    ],
)
def test_data_of_another_shape_is_not_taken_for_an_empty_listing(data: Any) -> None:
    with pytest.raises(UnreadableDataError):
        read_modules(data, "pk")


@pytest.mark.parametrize(
    ("flag", "success"),
    [
        ("true", True),
        ('"true"', True),
        ('" True "', True),
        ("false", False),
        ('"FALSE"', False),
        ("null", None),
        ("1", None),
        ('"yes"', None),
        ("[]", None),
    ],
)
def test_success_is_a_flag_or_its_word(flag: str, success: bool | None) -> None:
    assert read_answer(f'{{"Success":{flag}}}'.encode()).success is success


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"null", b"[]", b'"true"', b'{"Success":tru', b"<html><body>502</body></html>", b"\xff\xfe", b"{}"],
)
def test_unreadable_body_says_nothing(body: bytes) -> None:
    answer = read_answer(body)

    assert (answer.success, answer.code, answer.message, answer.request_id) == (None, "", "", None)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param('{"Success":true,"RequestId":"扫码"}'.encode("utf-8-sig"), {}, id="byte order mark"),
        pytest.param('{"Success":true,"RequestId":"扫码"}'.encode("utf-16"), {}, id="UTF-16 by its mark"),
        pytest.param(
            '{"Success":true,"RequestId":"扫码"}'.encode("gbk"),
            {"content-type": "application/json;charset=GBK"},
            id="GBK",
        ),
        pytest.param(
            '{"Success":true,"RequestId":"扫码"}'.encode("utf-16-le"),
            {"content-type": 'application/json; Charset="UTF-16LE"'},
            id="UTF-16 by its name",
        ),
    ],
)
def test_body_is_read_in_the_encoding_that_it_says(body: bytes, headers: dict[str, str]) -> None:
    answer = read_answer(body, headers)

    assert (answer.success, answer.request_id) == (True, "扫码")


@pytest.mark.parametrize("charset", ["latin-1", "no-such-thing", "base64", "ascii", "utf-8", ""])
def test_body_in_no_encoding_that_is_known_says_nothing_and_does_not_raise(charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}

    assert read_answer(b'{"Success":tru\xe9', headers).success is None
    assert read_answer(b"\xfe\xff\xd8\x00\xff", headers).success is None


def test_business_error_is_read() -> None:
    answer = read_answer(b'{"RequestId":"R1","Success":false,"Code":"iot.prod.NotExistedProduct","ErrorMessage":"no"}')

    assert (answer.success, answer.code, answer.message) == (False, "iot.prod.NotExistedProduct", "no")


def test_gateway_error_is_read() -> None:
    answer = read_answer(b'{"RequestId":"R1","HostId":"h","Code":"Throttling.User","Message":"flow control"}')

    assert (answer.success, answer.code, answer.message) == (None, "Throttling.User", "flow control")


def test_error_in_xml_is_read() -> None:
    body = (
        b"<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>R1</RequestId><HostId>h</HostId>"
        b"<Code>InvalidAccessKeyId.NotFound</Code><Message>a &amp; b</Message></Error>"
    )

    answer = read_answer(body)

    assert (answer.code, answer.message, answer.request_id) == ("InvalidAccessKeyId.NotFound", "a & b", "R1")


def test_success_in_xml_is_not_believed() -> None:
    assert read_answer(b"<CreateOTAModuleResponse><Success>true</Success></CreateOTAModuleResponse>").success is None


def test_xml_is_searched_to_a_bound_only() -> None:
    assert read_answer(b" " * 70_000 + b"<Code>Late</Code>").code == ""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({"x-acs-retry-after": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "2"}, 2.0),
        ({"x-acs-retry-after": "0"}, None),
        ({"x-acs-retry-after": "-5"}, None),
        ({"x-acs-retry-after": "1.5"}, None),
        ({"x-acs-retry-after": "9" * 5000}, None),
        ({"x-acs-retry-after": "٣"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({"date": "Thu, 01 Jan 1970 00:01:00 GMT"}, 60.0),
        ({"date": "Thu, 01 Jan 1970 00:01:00 -0000"}, 60.0),
        ({"date": "yesterday"}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_server_time_is_read_from_the_date(headers: dict[str, str], at: float | None) -> None:
    assert server_time_at(headers) == at
