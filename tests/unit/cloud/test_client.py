"""One call is one request; whatever comes back is classified, and shows no secret."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bulk.cloud.client import Client
from bulk.cloud.codes import classify, look_up
from bulk.cloud.keys.credentials import ENVIRONMENT, Credentials, StaticCredentials
from bulk.cloud.wire.transport import Reply, SignedRequest
from bulk.errors import NotSentError, OutcomeUnknownError
from bulk.model import Accepted, Action, Change, ChangeKind, Dialect, Failure, FailureKind, Listing, OtaModule, Target
from bulk.redaction import MAX_ID_CHARACTERS

NOW_AT = 1_700_000_000.0
SECRET, TOKEN = "Kp9+testsecret", "CAIS+testtoken"
MODULE = OtaModule("pk", "barcode", "扫码", None)
CREATE = Change(ChangeKind.CREATE, MODULE)
Script = Callable[..., Any]


def reply(status: int = 200, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
    """Build a JSON reply."""
    return Reply(status, orjson.dumps(fields), headers or {})


def client(transport: Any, dialect: Dialect = Dialect.ALIBABA, **options: Any) -> Client:
    """Build a client whose clock stands still and whose nonces are counted."""
    numbers = itertools.count(1)
    options = {"wall_clock": lambda: NOW_AT, "nonce": lambda: f"n{next(numbers)}"} | options
    return Client(
        target=Target(dialect, "https://host"),
        endpoint="https://host/",
        credentials=StaticCredentials(Credentials("testid", SECRET, TOKEN), source=ENVIRONMENT),
        transport=transport,
        **options,
    )


async def test_accepted_create_keeps_the_request_id(scripted: Script) -> None:
    transport = scripted(reply(RequestId="R1", Success=True))

    result = await client(transport).apply(CREATE)

    assert result == Accepted("R1", 200)
    assert transport.parameters(0)["AliasName"] == "扫码"
    assert "Desc" not in transport.parameters(0)


async def test_listing_returns_the_products_modules(scripted: Script) -> None:
    transport = scripted(reply(requestId="R1", success=True, data={"moduleName": "barcode"}))

    result = await client(transport).list_modules("pk")

    assert result == Listing((OtaModule("pk", "barcode"),), "R1", 200)
    assert transport.parameters(0)["Action"] == "ListOTAModuleByProduct"


@pytest.mark.parametrize(("dialect", "method"), [(Dialect.TUYA, "GET"), (Dialect.ALIBABA, "POST")])
async def test_dialect_chooses_the_method(scripted: Script, dialect: Dialect, method: str) -> None:
    transport = scripted(reply(Success=True))

    await client(transport, dialect).apply(CREATE)

    assert (transport.sent[0].method, transport.sent[0].endpoint) == (method, "https://host")


async def test_every_request_has_a_nonce_of_its_own_and_the_time_of_its_sending(scripted: Script) -> None:
    transport = scripted(reply(Success=True), reply(Success=True))
    times = iter([NOW_AT, NOW_AT + 61])
    platform = client(transport, wall_clock=lambda: next(times))

    await platform.apply(CREATE)
    await platform.apply(CREATE)

    assert [transport.parameters(i)["SignatureNonce"] for i in (0, 1)] == ["n1", "n2"]
    assert [transport.parameters(i)["Timestamp"] for i in (0, 1)] == ["2023-11-14T22:13:20Z", "2023-11-14T22:14:21Z"]


async def test_nonces_differ_without_being_told_to(scripted: Script) -> None:
    transport = scripted(*[reply(Success=True)] * 50)
    platform = Client(
        target=Target(Dialect.TUYA, "https://host"),
        endpoint="https://host",
        credentials=StaticCredentials(Credentials("testid", SECRET)),
        transport=transport,
    )

    for _ in range(50):
        await platform.apply(CREATE)

    assert len({transport.parameters(index)["SignatureNonce"] for index in range(50)}) == 50


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (reply(Success=False, Code="iot.ota.CreateOTAModuleNameExist"), FailureKind.EXISTS, None),
        (reply(success="false", code="iot.ota.createotamoduleexceedlimit"), FailureKind.QUOTA, None),
        (reply(Success=False, Code="iot.prod.NotExistedProduct"), FailureKind.PRODUCT, None),
        (reply(Success=False, Code="iot.new.Code"), FailureKind.UNRECOGNISED, None),
        (reply(Success=False, Code="", RequestId="R1"), FailureKind.REFUSED, "no_code"),
        (reply(Success=False, Code=""), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(success=False, code=503, msg="maintenance"), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(400, success=False, code="BUSY", msg="maintenance"), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(400, Code="New.Code", RequestId="R1"), FailureKind.UNRECOGNISED, None),
        (Reply(200, b"\xef\xbb\xbf" + b'{"Success":false,"Code":"iot.new.Code"}'), FailureKind.UNRECOGNISED, None),
        (Reply(200, gzip.compress(b'{"Success":true}')), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(Code="Throttling.User", Message="flow control"), FailureKind.THROTTLED, None),
        (reply(400, Code="Throttling.User", Message="flow control"), FailureKind.THROTTLED, None),
        (reply(400, Code="SignatureNonceUsed"), FailureKind.DOUBTFUL, None),
        (reply(404, Code="InvalidAccessKeyId.NotFound"), FailureKind.FATAL, None),
        (reply(503, Code="ServiceUnavailable"), FailureKind.DOUBTFUL, None),
        (reply(500, Success=True), FailureKind.DOUBTFUL, "http_500"),
        (Reply(502, b"<html>Bad Gateway</html>"), FailureKind.DOUBTFUL, "http_502"),
        (Reply(429, b""), FailureKind.THROTTLED, "http_429"),
        (Reply(403, b"<html>WAF</html>"), FailureKind.FATAL, "http_403"),
        (Reply(404, b"<html>nginx</html>"), FailureKind.FATAL, "http_404"),
        (Reply(414, b"<html>nginx</html>"), FailureKind.REFUSED, "http_414"),
        (Reply(200, b""), FailureKind.DOUBTFUL, "unreadable_reply"),
        (Reply(200, b"<html>Log in</html>"), FailureKind.DOUBTFUL, "unreadable_reply"),
        (Reply(200, b'{"RequestId":"R1","Succ'), FailureKind.DOUBTFUL, "unreadable_reply"),
        (Reply(204, b""), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(RequestId="R1"), FailureKind.DOUBTFUL, "unreadable_reply"),
        (reply(RequestId="R1", Code="200"), FailureKind.DOUBTFUL, "unreadable_reply"),
        (Reply(302, b"", {"location": "https://login.example/?a=b"}), FailureKind.FATAL, "redirect"),
        (Reply(302, b'{"Success":true}', {"location": "/"}), FailureKind.FATAL, "redirect"),
        (NotSentError("refused", code="connection_refused"), FailureKind.NOT_SENT, "connection_refused"),
        (NotSentError("certificate", code="tls"), FailureKind.FATAL, "tls"),
        (OutcomeUnknownError("no answer", code="timeout"), FailureKind.DOUBTFUL, "timeout"),
        (OutcomeUnknownError("lost"), FailureKind.DOUBTFUL, "connection_lost"),
    ],
)
async def test_failure_is_classified(scripted: Script, answer: Any, kind: FailureKind, code: str | None) -> None:
    transport = scripted(answer)

    result = await client(transport).apply(CREATE)

    assert isinstance(result, Failure)
    assert result.kind is kind
    assert code is None or result.code == code
    assert result.message
    assert len(transport.sent) == 1
    assert kind is not FailureKind.FATAL or result.remedy


async def test_failure_keeps_the_platforms_words(scripted: Script) -> None:
    answer = reply(400, {"x-acs-retry-after": "250"}, RequestId="R1", Code="Throttling.User", Message="flow control")

    result = await client(scripted(answer)).apply(CREATE)

    assert result == Failure(
        kind=FailureKind.THROTTLED,
        code="Throttling.User",
        message="flow control",
        request_id="R1",
        http_status=400,
        retry_after_s=0.25,
    )


async def test_failure_holds_nothing_that_a_terminal_obeys_and_no_endless_names(scripted: Script) -> None:
    words = "no\x1b[2J\nRow 7: created\x85"
    answer = reply(400, RequestId=f"R{words}{SECRET}" + "r" * 100_000, Code=words + "c" * 1_000, Message=words)

    result = await client(scripted(answer)).apply(CREATE)

    assert isinstance(result, Failure)
    assert result.message == "no [2J Row 7: created"
    assert f"{result.code}{result.message}{result.request_id}".isprintable()
    assert SECRET not in str(result.request_id)
    assert len(result.code) == len(str(result.request_id)) == MAX_ID_CHARACTERS


async def test_accepted_create_keeps_no_endless_request_id(scripted: Script) -> None:
    answer = reply(RequestId="\x1bR&Signature=LEAKED&" + "r" * 100_000, Success=True)

    result = await client(scripted(answer)).apply(CREATE)

    assert isinstance(result, Accepted)
    assert str(result.request_id).startswith(" R&Signature=***&r")
    assert len(str(result.request_id)) == MAX_ID_CHARACTERS


@pytest.mark.parametrize("status", [413, 414, 431])
async def test_too_long_a_request_is_refused_for_itself_alone_and_says_so(scripted: Script, status: int) -> None:
    result = await client(scripted(Reply(status, b"<html>nginx</html>"))).apply(CREATE)

    assert isinstance(result, Failure)
    assert "the request is longer than the endpoint" in result.message
    assert "Shorten" in str(result.remedy)
    assert look_up(result.code) == classify(Action.CREATE, "", status)


async def test_listing_of_unreadable_data_is_no_empty_listing(scripted: Script) -> None:
    result = await client(scripted(reply(RequestId="R1", Success=True, Data="?"))).list_modules("pk")

    assert isinstance(result, Failure)
    assert (result.kind, result.code, result.request_id) == (FailureKind.DOUBTFUL, "unreadable_reply", "R1")


PAGES = [
    Reply(401, b"<html>log in</html>"),
    Reply(403, b"<html>blocked</html>"),
    Reply(404, b"default backend - 404"),
]


@pytest.mark.parametrize("page", PAGES)
async def test_what_answers_in_the_place_of_a_platform_that_has_accepted_requests_is_an_outage(
    scripted: Script, page: Reply
) -> None:
    platform = client(scripted(page, reply(Success=True), page))

    first, _, later = [await platform.apply(CREATE) for _ in range(3)]

    assert isinstance(first, Failure)
    assert isinstance(later, Failure)
    assert (first.kind, later.kind) == (FailureKind.FATAL, FailureKind.DOUBTFUL)
    assert (later.code, later.remedy) == (first.code, first.remedy)


@pytest.mark.parametrize("answer", [Reply(407, b"<html>log in</html>"), Reply(302, b"", {"location": "/login"})])
async def test_a_proxy_that_wants_a_password_and_a_redirect_stop_the_run_at_any_time(
    scripted: Script, answer: Reply
) -> None:
    platform = client(scripted(reply(Success=True), answer))

    _, refused = [await platform.apply(CREATE) for _ in range(2)]

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.FATAL


async def test_redirect_names_the_host_but_not_the_query(scripted: Script) -> None:
    answer = Reply(307, b"", {"location": "https://elsewhere.example/?Signature=LEAKED"})

    result = await client(scripted(answer)).apply(CREATE)

    assert isinstance(result, Failure)
    assert "https://elsewhere.example" in result.message
    assert "LEAKED" not in repr(result)


@pytest.mark.parametrize(
    ("location", "words"), [("/elsewhere", "another path"), ("", "another path"), ("https://[", "no URL")]
)
async def test_redirect_to_no_host_is_described(scripted: Script, location: str, words: str) -> None:
    result = await client(scripted(Reply(302, b"", {"location": location}))).apply(CREATE)

    assert isinstance(result, Failure)
    assert words in result.message


async def test_signature_that_a_reply_echoes_by_itself_is_hidden() -> None:
    class Echo:
        """Refuses each request with its signature, as the platform calls it and as the URL has it."""

        async def send(self, request: SignedRequest, *, timeout_s: float, **_: object) -> Reply:
            assert timeout_s
            self.signature = request.signature
            encoded = request.query.rpartition("=")[2]
            return reply(400, Code=f"Bad.{encoded}", Message=f"{self.signature} is wrong", RequestId=self.signature)

    transport = Echo()

    result = await client(transport).apply(CREATE)

    assert isinstance(result, Failure)
    assert (result.code, result.message) == ("Bad.***", "*** is wrong")
    assert result.request_id == "***"
    assert transport.signature.endswith("=")


async def test_expired_timestamp_corrects_the_clock_once_and_says_so(scripted: Script) -> None:
    expired = reply(400, {"date": "Tue, 14 Nov 2023 23:13:20 GMT"}, Code="InvalidTimeStamp.Expired")
    transport = scripted(expired, reply(Success=True), expired)
    corrections: list[float] = []
    platform = client(transport, on_clock_corrected=corrections.append)

    results = [await platform.apply(CREATE) for _ in range(3)]

    first, second, third = results
    assert isinstance(first, Failure)
    assert isinstance(third, Failure)
    assert (first.kind, third.kind) == (FailureKind.CLOCK, FailureKind.FATAL)
    assert second == Accepted(None, 200)
    assert third.remedy
    assert corrections == [3600.0]
    assert [transport.parameters(i)["Timestamp"][11:] for i in (0, 1)] == ["22:13:20Z", "23:13:20Z"]


async def test_clock_that_is_set_right_later_is_followed_again(scripted: Script) -> None:
    expired = reply(400, {"date": "Tue, 14 Nov 2023 23:13:20 GMT"}, Code="InvalidTimeStamp.Expired")
    transport = scripted(expired, reply(Success=True), expired, reply(Success=True))
    corrections: list[float] = []
    behind_s = 3600.0
    platform = client(transport, wall_clock=lambda: 1_700_003_600.0 - behind_s, on_clock_corrected=corrections.append)
    await platform.apply(CREATE)
    await platform.apply(CREATE)

    behind_s = 0.0
    refused = await platform.apply(CREATE)
    repeated = await platform.apply(CREATE)

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.CLOCK
    assert repeated == Accepted(None, 200)
    assert corrections == [3600.0, 0.0]


async def test_endpoint_whose_time_leaps_about_is_not_followed_for_ever(scripted: Script) -> None:
    hours = ("23", "21", "20", "23", "21", "20")
    transport = scripted(
        *(reply(400, {"date": f"Tue, 14 Nov 2023 {hour}:13:20 GMT"}, Code="InvalidTimeStamp.Expired") for hour in hours)
    )
    platform = client(transport)

    results = [await platform.apply(CREATE) for _ in hours]

    kinds = [result.kind for result in results if isinstance(result, Failure)]
    assert kinds == [FailureKind.CLOCK] * 5 + [FailureKind.FATAL]


async def test_request_stamped_before_the_correction_is_worth_repeating(scripted: Script) -> None:
    expired = reply(400, {"date": "Tue, 14 Nov 2023 23:13:20 GMT"}, Code="InvalidTimeStamp.Expired")
    transport, both_signed = scripted(expired, expired), asyncio.Barrier(2)
    corrections: list[float] = []

    class SideBySide:
        """Answers neither of two requests before both were signed."""

        async def send(self, request: SignedRequest, *, timeout_s: float, **_: object) -> Reply:
            await both_signed.wait()
            answer: Reply = await transport.send(request, timeout_s=timeout_s)
            return answer

    platform = client(SideBySide(), on_clock_corrected=corrections.append)

    results = await asyncio.gather(platform.apply(CREATE), platform.apply(CREATE))

    assert [isinstance(result, Failure) and result.kind for result in results] == [FailureKind.CLOCK] * 2
    assert corrections == [3600.0]


async def test_clock_is_corrected_though_nobody_wants_to_know(scripted: Script) -> None:
    expired = reply(400, {"date": "Tue, 14 Nov 2023 23:13:20 GMT"}, Code="InvalidTimeStamp.Expired")
    transport = scripted(expired, reply(Success=True))
    platform = client(transport)

    await platform.apply(CREATE)
    await platform.apply(CREATE)

    assert transport.parameters(1)["Timestamp"] == "2023-11-14T23:13:20Z"


@pytest.mark.parametrize("headers", [{}, {"date": "today"}])
async def test_expired_timestamp_without_a_date_is_fatal(scripted: Script, headers: dict[str, str]) -> None:
    result = await client(scripted(reply(400, headers, Code="InvalidTimeStamp.Expired"))).apply(CREATE)

    assert isinstance(result, Failure)
    assert result.kind is FailureKind.FATAL
    assert result.remedy


def refusing_signature(echo: Callable[[SignedRequest], str]) -> Callable[[SignedRequest], Reply]:
    """Build a step that refuses the signature and echoes a string to sign."""
    words = "Specified signature is not matched with our calculation. server string to sign is:"
    return lambda request: reply(400, Code="SignatureDoesNotMatch", Message=words + echo(request))


async def test_refused_signature_without_echo_points_at_the_secret(scripted: Script) -> None:
    result = await client(scripted(reply(403, Code="SignatureDoesNotMatch", Message="no"))).apply(CREATE)

    assert isinstance(result, Failure)
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in str(result.remedy)


async def test_echo_of_our_own_string_to_sign_means_a_wrong_secret(scripted: Script) -> None:
    transport = scripted(refusing_signature(lambda request: request.signed_text))

    result = await client(transport).apply(CREATE)

    assert isinstance(result, Failure)
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in str(result.remedy)
    assert "AccessKeyId" not in result.message


async def test_echo_of_another_string_to_sign_means_that_the_request_was_changed(scripted: Script) -> None:
    transport = scripted(refusing_signature(lambda _: "GET&%2F&AccessKeyId%3Dother"))

    result = await client(transport).apply(CREATE)

    assert isinstance(result, Failure)
    assert "another text" in str(result.remedy)
    assert "other" not in result.message


@pytest.mark.parametrize(
    "answer",
    [
        refusing_signature(lambda request: request.signed_text),
        lambda request: reply(400, Code="InvalidParameter", Message=f"https://host/?{request.query}"),
        lambda request: reply(400, Code="InvalidParameter", Message=request.query),
        lambda request: Reply(502, f"<a href='https://host/?{request.query}'>".encode()),
        lambda request: Reply(200, f"echo {request.query}".encode()),
        lambda request: reply(Success=True, Data=request.query),
        lambda _: reply(400, Code=f"Bad.{SECRET}", Message=f"secret {SECRET}, token {TOKEN}"),
    ],
)
async def test_no_failure_shows_a_secret(scripted: Script, answer: Any) -> None:
    transport = scripted(answer)

    result = await client(transport).list_modules("pk")

    assert isinstance(result, Failure)
    signature = transport.parameters(0)["Signature"]
    for secret in (SECRET, TOKEN, signature, "testsecret", "testtoken"):
        assert secret not in repr(result)


async def test_keys_are_asked_for_before_each_request(scripted: Script) -> None:
    class Renewing:
        """Gives another key each time."""

        numbers = itertools.count(1)

        async def current(self) -> Credentials:
            return Credentials(f"key{next(self.numbers)}", SECRET)

    transport = scripted(reply(Success=True), reply(Success=True))
    platform = Client(
        target=Target(Dialect.TUYA, "https://host"),
        endpoint="https://host",
        credentials=Renewing(),
        transport=transport,
    )

    await platform.apply(CREATE)
    await platform.list_modules("pk")

    assert [transport.parameters(i)["AccessKeyId"] for i in (0, 1)] == ["key1", "key2"]
    assert "SecurityToken" not in transport.parameters(0)


def test_request_shows_neither_query_nor_signature() -> None:
    assert "CreateOTAModule" not in repr(SignedRequest("GET", "https://host", "Action=CreateOTAModule&Signature=x"))


@pytest.mark.parametrize("kind", ChangeKind)
async def test_a_change_of_each_kind_is_one_request_of_its_action(kind: ChangeKind, scripted: Script) -> None:
    transport = scripted(reply(200, Success=True, RequestId="R"))

    result = await client(transport).apply(Change(kind, MODULE, MODULE))

    assert isinstance(result, Accepted)
    assert [transport.parameters(number)["Action"] for number in range(len(transport.sent))] == [kind.action]


async def test_the_class_of_a_failure_is_that_of_its_action(scripted: Script) -> None:
    gone = reply(200, Success=False, Code="iot.ota.OTAModuleNotExist", RequestId="R")

    results = [await client(scripted(gone)).apply(Change(kind, MODULE, MODULE)) for kind in ChangeKind]

    kinds = [result.kind for result in results if isinstance(result, Failure)]
    assert kinds == [FailureKind.REFUSED, FailureKind.GONE, FailureKind.GONE]
