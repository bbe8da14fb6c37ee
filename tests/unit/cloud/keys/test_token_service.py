"""The token service names accounts and gives keys of roles; what it says holds no secret that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.keys.token_service import Granted, Role, TokenService
from bulk.cloud.signing import signature, string_to_sign, unsigned
from bulk.cloud.wire.transport import Reply
from bulk.errors import NotSentError
from bulk.model import Action, Failure, FailureKind, Identity

NOW_AT = 1_700_000_000.0
KEYS = Credentials("testid", "testsecret")
ROLE = Role("acs:ram::1234567890123456:role/nightly", "ticket-7")
GIVEN = {
    "AccessKeyId": "STS.id",
    "AccessKeySecret": "role+secret",
    "SecurityToken": "role+token",
    "Expiration": "2023-11-14T23:13:20Z",
}
Script = Callable[..., Any]


def reply(status: int = 200, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
    return Reply(status, orjson.dumps(fields), headers or {})


def service(transport: Any, keys: Credentials = KEYS, waits_s: list[float] | None = None) -> TokenService:
    async def sleep(delay_s: float) -> None:
        (waits_s if waits_s is not None else []).append(delay_s)

    return TokenService(
        endpoint="https://sts.aliyuncs.com",
        credentials=StaticCredentials(keys),
        transport=transport,
        wall_clock=lambda: NOW_AT,
        sleep=sleep,
    )


async def test_caller_is_named_by_the_account_that_he_belongs_to(scripted: Script) -> None:
    transport = scripted(reply(AccountId="196813200012", Arn="acs:ram::196813200012:user/admin", RequestId="R1"))

    identity = await service(transport).caller_identity()

    assert identity == Identity("196813200012", "acs:ram::196813200012:user/admin", "R1", 200)
    sent = transport.parameters(0)
    assert (sent["Action"], sent["Version"], sent["Format"]) == (Action.IDENTIFY, "2015-04-01", "JSON")


async def test_number_as_account_is_a_name_too(scripted: Script) -> None:
    identity = await service(scripted(reply(AccountId=196813200012))).caller_identity()

    assert isinstance(identity, Identity)
    assert identity.uid == "196813200012"


@pytest.mark.parametrize("answer", [reply(RequestId="R1"), reply(RequestId="R1", AccountId=""), Reply(200, b"<html>")])
async def test_answer_without_an_account_is_none(scripted: Script, answer: Reply) -> None:
    result = await service(scripted(answer)).caller_identity()

    assert isinstance(result, Failure)
    assert result.kind is FailureKind.DOUBTFUL


async def test_refused_keys_are_not_taken_for_a_missing_right(scripted: Script) -> None:
    refused = reply(404, Code="InvalidAccessKeyId.NotFound", Message="no such key", RequestId="R1")

    result = await service(scripted(refused)).caller_identity()

    assert isinstance(result, Failure)
    assert (result.kind, result.permission) == (FailureKind.FATAL, None)


async def test_role_gives_its_keys_and_their_end(scripted: Script) -> None:
    transport = scripted(reply(RequestId="R1", Credentials=GIVEN))

    granted = await service(transport).assume(ROLE)

    assert granted == Granted(Credentials("STS.id", "role+secret", "role+token"), NOW_AT + 3600)
    sent = transport.parameters(0)
    assert (sent["RoleArn"], sent["ExternalId"], sent["RoleSessionName"]) == (*ROLE[:2], "bulk")
    text = string_to_sign("POST", unsigned(transport.sent[0].query))
    assert sent["Signature"] == signature("testsecret", text)


async def test_role_without_an_external_id_names_none_and_temporary_keys_their_token(scripted: Script) -> None:
    transport = scripted(reply(Credentials=GIVEN))

    await service(transport, replace(KEYS, security_token="base+token")).assume(ROLE._replace(external_id=None))

    assert "ExternalId" not in transport.parameters(0)
    assert transport.parameters(0)["SecurityToken"] == "base+token"


async def test_what_may_pass_is_tried_again_at_growing_distances(scripted: Script) -> None:
    waits_s: list[float] = []
    busy = reply(400, Code="Throttling.User", Message="flow control", RequestId="R1")
    transport = scripted(busy, NotSentError("refused", code="connection_refused"), reply(Credentials=GIVEN))

    granted = await service(transport, waits_s=waits_s).assume(ROLE)

    assert isinstance(granted, Granted)
    assert waits_s == [1.0, 2.0]
    assert len({transport.parameters(index)["SignatureNonce"] for index in range(3)}) == 3


async def test_service_that_never_answers_is_asked_three_times(scripted: Script) -> None:
    transport = scripted(*[NotSentError("refused", code="connection_refused")] * 3)

    result = await service(transport).assume(ROLE)

    assert isinstance(result, Failure)
    assert result.kind is FailureKind.NOT_SENT


async def test_wrong_clock_of_this_machine_is_corrected_without_a_wait(scripted: Script) -> None:
    waits_s: list[float] = []
    expired = reply(
        400, {"date": "Tue, 14 Nov 2023 23:13:20 GMT"}, Code="InvalidTimeStamp.Expired", Message="old", RequestId="R1"
    )
    transport = scripted(expired, reply(Credentials=GIVEN))

    assert isinstance(await service(transport, waits_s=waits_s).assume(ROLE), Granted)
    assert transport.parameters(1)["Timestamp"] == "2023-11-14T23:13:20Z"
    assert waits_s == []


async def test_refused_role_is_not_asked_for_again(scripted: Script) -> None:
    transport = scripted(reply(403, Code="NoPermission", Message="may not", RequestId="R1"))

    result = await service(transport).assume(ROLE)

    assert isinstance(result, Failure)
    assert (result.kind, result.code, len(transport.sent)) == (FailureKind.FATAL, "NoPermission", 1)


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {**GIVEN, "SecurityToken": ""},
        {**GIVEN, "AccessKeyId": '"quoted"'},
        {name: value for name, value in GIVEN.items() if name != "AccessKeySecret"},
    ],
)
async def test_half_an_answer_gives_no_keys_and_shows_none(scripted: Script, given: object) -> None:
    result = await service(scripted(*[reply(Credentials=given, RequestId="R1")] * 3)).assume(ROLE)

    assert isinstance(result, Failure)
    assert result.kind is FailureKind.DOUBTFUL
    assert not any(secret in str(result) for secret in ("role+secret", "role+token", "quoted"))


async def test_end_that_can_not_be_read_is_none(scripted: Script) -> None:
    granted = await service(scripted(reply(Credentials={**GIVEN, "Expiration": "soon"}))).assume(ROLE)

    assert isinstance(granted, Granted)
    assert granted.ends_at is None
