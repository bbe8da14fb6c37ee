"""Keys that the platform refuses are fetched anew, once; then the run goes on or ends, and the source is named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from bulk.cloud.client import Client
from bulk.cloud.keys.credentials import ENVIRONMENT, Credentials, StaticCredentials
from bulk.cloud.keys.renewal import Found, RenewedCredentials
from bulk.cloud.wire.transport import Leave, Reply, SignedRequest, at_once
from bulk.errors import SettingsError
from bulk.model import Accepted, Change, ChangeKind, Dialect, Failure, FailureKind, OtaModule, Target

if TYPE_CHECKING:
    from bulk.cloud.keys.credentials import CredentialProvider

MODULE = OtaModule("pk", "barcode")
CREATE = Change(ChangeKind.CREATE, MODULE)
REFUSALS = [
    "InvalidAccessKeyId.NotFound",
    "InvalidAccessKeyId.Inactive",
    "InvalidSecurityToken.Expired",
    "InvalidSecurityToken.Malformed",
    "MissingSecurityToken",
    "SecurityTokenExpired",
    "SignatureDoesNotMatch",
]


def keys(number: int) -> Credentials:
    return Credentials(f"id{number}", f"secret{number}", f"token{number}")


class Platform:
    """Accepts one key after the other."""

    def __init__(self, accepted: str, code: str = "InvalidSecurityToken.Expired") -> None:
        self.accepted = accepted
        self.code = code

    async def send(self, request: SignedRequest, *, timeout_s: float, leave: Leave = at_once) -> Reply:  # noqa: ARG002 - of the seam
        await asyncio.sleep(0)
        if f"AccessKeyId={self.accepted}&" in request.query:
            return Reply(200, orjson.dumps({"Success": True}), {})
        return Reply(403, orjson.dumps({"Code": self.code, "Message": "no"}), {})


class Source:
    """Gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: Credentials | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[bool] = []

    def __call__(self, *, anew: bool = False) -> Found:
        self.asked.append(anew)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Found(answer, "a role")


async def no_time(_: float) -> None:
    await asyncio.sleep(0)


def renewed(source: Source) -> RenewedCredentials:
    return RenewedCredentials(source, Found(keys(1), "a role"), sleep=no_time)


def client(provider: CredentialProvider, platform: Platform) -> Client:
    target = Target(Dialect.ALIBABA, "https://host")
    return Client(target=target, endpoint="https://host", credentials=provider, transport=platform)


@pytest.mark.parametrize("code", REFUSALS)
async def test_refused_keys_are_replaced_and_the_request_is_worth_repeating(code: str) -> None:
    source = Source(keys(2))
    tested = client(renewed(source), Platform("id2", code))

    refused = await tested.apply(CREATE)
    repeated = await tested.apply(CREATE)

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.KEYS
    assert isinstance(repeated, Accepted)
    assert source.asked == [True]


async def test_many_requests_that_are_refused_together_ask_once() -> None:
    source = Source(keys(2))
    tested = client(renewed(source), Platform("id2"))

    refused = await asyncio.gather(*(tested.apply(CREATE) for _ in range(50)))

    assert {answer.kind for answer in refused if isinstance(answer, Failure)} == {FailureKind.KEYS}
    assert source.asked == [True]


async def test_same_keys_end_the_run_and_their_source_is_named() -> None:
    source = Source(keys(1))
    tested = client(renewed(source), Platform("none"))

    answers = [await tested.apply(CREATE) for _ in range(3)]

    assert source.asked == [True]
    for answer in answers:
        assert isinstance(answer, Failure)
        assert answer.kind is FailureKind.FATAL
        assert "The keys are from a role; asked again, it gave the same." in str(answer.remedy)


async def test_other_keys_that_are_refused_too_end_the_run() -> None:
    source = Source(keys(2), keys(3))
    tested = client(renewed(source), Platform("none"))

    await tested.apply(CREATE)
    second = await tested.apply(CREATE)

    assert isinstance(second, Failure)
    assert second.kind is FailureKind.FATAL
    assert "gave others, and these are refused too" in str(second.remedy)
    assert source.asked == [True]


async def test_keys_are_replaced_as_often_as_they_were_accepted_before() -> None:
    platform = Platform("id1")
    tested = client(renewed(Source(*(keys(number) for number in range(2, 9)))), platform)

    for number in range(2, 9):
        assert isinstance(await tested.apply(CREATE), Accepted)
        platform.accepted = f"id{number}"
        refused = await tested.apply(CREATE)
        assert isinstance(refused, Failure)
        assert refused.kind is FailureKind.KEYS


async def test_source_that_is_just_being_written_is_asked_again() -> None:
    source = Source(SettingsError("half a file"), keys(2))
    tested = client(renewed(source), Platform("id2"))

    refused = await tested.apply(CREATE)

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.KEYS
    assert source.asked == [True, True]


async def test_source_that_gives_none_ends_the_run_with_its_words() -> None:
    tested = client(renewed(Source(SettingsError("a role: no answer"))), Platform("none"))

    refused = await tested.apply(CREATE)

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.FATAL
    assert "asked again, it gave none: a role: no answer." in str(refused.remedy)


async def test_keys_of_the_environment_are_fatal_at_once_and_its_variables_named() -> None:
    provider = StaticCredentials(keys(1), source=ENVIRONMENT)

    refused = await client(provider, Platform("none")).apply(CREATE)

    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.FATAL
    assert "from environment variables; a run reads these once: correct ALIBABA_CLOUD_ACCESS_KEY_ID" in str(
        refused.remedy
    )


class Simple:
    """A provider of a program: it knows no more than its keys."""

    def __init__(self, *credentials: Credentials) -> None:
        self.credentials = list(credentials)

    async def current(self) -> Credentials:
        return self.credentials.pop(0) if len(self.credentials) > 1 else self.credentials[0]


async def test_provider_of_a_program_is_asked_as_it_knows_how() -> None:
    changed = await client(Simple(keys(1), keys(2)), Platform("id2")).apply(CREATE)
    same = await client(Simple(keys(1)), Platform("id2")).apply(CREATE)

    assert isinstance(changed, Failure)
    assert isinstance(same, Failure)
    assert (changed.kind, same.kind) == (FailureKind.KEYS, FailureKind.FATAL)
    assert "from the program that called bulk" in str(same.remedy)


@pytest.mark.parametrize(
    ("credentials", "hint"),
    [
        (Credentials("Pb0secret", "LTAI5tKeyId"), "may be swapped"),
        (Credentials("STS.id", "secret"), "no security token comes with it"),
        (Credentials("<LTAI5tKeyId>", "Pb0secret"), "give the id alone"),
        (Credentials("AccessKeyId=LTAI5tKeyId", "Pb0secret"), "give the id alone"),
        (Credentials("LTAI5tKeyId", "Pb0secret,"), "give the secret alone"),
    ],
)
async def test_what_keys_look_like_is_a_hint(credentials: Credentials, hint: str) -> None:
    refused = await client(StaticCredentials(credentials), Platform("none")).apply(CREATE)

    assert isinstance(refused, Failure)
    assert hint in str(refused.remedy)
    assert credentials.access_key_secret not in str(refused.remedy)
    assert credentials.access_key_id not in str(refused.remedy)
