from __future__ import annotations

import pytest

from bulk.model import Dialect
from bulk.sandbox.call import Call, read_call

V3_HEADERS = {
    "authorization": "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host,Signature=0a1b",
    "x-acs-action": "CreateOTAModule",
    "x-acs-date": "2024-11-19T09:47:43Z",
}


def read(target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_call(method, target, headers=named, body=body, dialect=None)


def test_query_and_form_are_read_together() -> None:
    call = read(
        "/?Action=A&Desc=",
        "POST",
        b"ModuleName=m+n&AliasName=%E4%B8%BB",
        content_type="application/x-www-form-urlencoded",
    )

    assert call.params == {"Action": "A", "Desc": "", "ModuleName": "m n", "AliasName": "主"}


def test_body_of_another_type_is_no_form() -> None:
    call = read("/?Action=A", "POST", b"ModuleName=m", content_type="application/json")

    assert call.params == {"Action": "A"}


@pytest.mark.parametrize(
    ("target", "method", "dialect"),
    [
        ("/?Action=A", "GET", Dialect.TUYA),
        ("/?Action=A", "POST", Dialect.ALIBABA),
        ("/?Action=A&Version=2018-01-20", "GET", Dialect.ALIBABA),
        ("/?Action=A&Format=JSON", "GET", Dialect.ALIBABA),
    ],
)
def test_dialect_is_told_by_method_and_common_parameters(target: str, method: str, dialect: Dialect) -> None:
    assert read(target, method).dialect is dialect


def test_v3_takes_its_common_parameters_from_headers() -> None:
    call = read_call("GET", "/?ProductKey=p", headers=V3_HEADERS, body=b"", dialect=None)

    assert (call.action, call.access_key_id, call.timestamp, call.subject) == (
        "CreateOTAModule",
        "testid",
        "2024-11-19T09:47:43Z",
        "p/",
    )
    assert call.dialect is Dialect.ALIBABA


@pytest.mark.parametrize(
    ("target", "wants_xml"),
    [
        ("/?Version=1", True),
        ("/?Version=1&Format=json", False),
        ("/?Version=1&Format=XML", True),
        ("/?Action=A", False),
    ],
)
def test_xml_is_the_default_of_the_alibaba_dialect_alone(target: str, *, wants_xml: bool) -> None:
    assert read(target).wants_xml is wants_xml
