from __future__ import annotations

import json

import pytest

from bulk.sandbox.faults import Fault, FaultPlan
from bulk.sandbox.replies import Reply
from bulk.sandbox.results import Refusal, Refused
from bulk.sandbox.spoiling import pretended_result, spoil

REPLY = Reply(body=b'{"Success":true}')


def fault(name: str) -> Fault:
    return FaultPlan.parse(f"{name}=1x").faults[0]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("throttle", 400, "Throttling.User"),
        ("http500", 500, "InternalError"),
        ("http503-after", 503, "ServiceUnavailable"),
        ("nonce-used", 400, "SignatureNonceUsed"),
        ("code:Forbidden.RAM", 403, "Forbidden.RAM"),
        ("code:InvalidAccessKeyId.NotFound", 404, "InvalidAccessKeyId.NotFound"),
        ("code:InsufficientBalance", 400, "InsufficientBalance"),
    ],
)
def test_gateway_error_is_pretended(name: str, status: int, code: str) -> None:
    result = pretended_result(fault(name))

    assert isinstance(result, Refusal)
    assert (result.status, result.code) == (status, code)


@pytest.mark.parametrize("code", ["iot.system.SystemException", "Iot.system.BillIsOverDue"])
def test_iot_code_is_a_business_error(code: str) -> None:
    result = pretended_result(fault(f"code:{code}"))

    assert isinstance(result, Refused)
    assert result.code == code


@pytest.mark.parametrize("name", ["reset", "hang", "truncate", "slow-body", "html", "http502"])
def test_other_faults_pretend_nothing(name: str) -> None:
    assert pretended_result(fault(name)) is None


@pytest.mark.parametrize(("name", "status"), [("http502", 502), ("http504", 504), ("html", 200)])
def test_proxy_answers_with_a_page(name: str, status: int) -> None:
    reply = spoil(REPLY, fault(name), endpoint="http://127.0.0.1:1/")

    assert (reply.status, reply.content_type) == (status, "text/html")
    assert reply.body.startswith(b"<html>")


def test_broken_json_cannot_be_read() -> None:
    reply = spoil(REPLY, fault("badjson"), endpoint="http://127.0.0.1:1/")

    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


def test_redirect_leads_back_to_where_it_is_counted() -> None:
    reply = spoil(REPLY, fault("redirect"), endpoint="http://127.0.0.1:1/")

    assert (reply.status, reply.headers) == (307, {"Location": "http://127.0.0.1:1/elsewhere"})


def test_empty_reply_keeps_its_status() -> None:
    reply = spoil(REPLY, fault("empty"), endpoint="http://127.0.0.1:1/")

    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("name", ["reset", "hang", "truncate", "slow-body", "throttle"])
def test_reply_is_left_alone_where_the_connection_suffers(name: str) -> None:
    assert spoil(REPLY, fault(name), endpoint="http://127.0.0.1:1/") == REPLY
