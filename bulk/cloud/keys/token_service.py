"""Call the Security Token Service (STS): who is this, and which keys does a role have now?

It is a separate API (version 2015-04-01), signed like the IoT platform's. Only the HTTP status of a reply says whether
it is a success. Pages "AssumeRole" and "GetCallerIdentity" of Alibaba Cloud's STS; Tuya has none.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bulk.cloud.calling import Caller
from bulk.cloud.failures import unreadable
from bulk.cloud.keys.credentials import Credentials, read_key
from bulk.cloud.replies import UnreadableDataError, text_of
from bulk.cloud.wire.transport import at_once
from bulk.errors import SettingsError
from bulk.model import Action, Failure, FailureKind, Identity
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.cloud.replies import Answer
    from bulk.cloud.wire.transport import Leave, Transport

__all__ = ["Granted", "Role", "TokenService"]

_LASTS_S = 3600
"""Every role allows an hour; few allow more."""

_TIMEOUT_S = 8.0
_PAUSES_S = (1.0, 2.0)
"""Waits before the second try and the third."""

_WORTH_ANOTHER_TRY = frozenset({FailureKind.CLOCK, FailureKind.DOUBTFUL, FailureKind.NOT_SENT, FailureKind.THROTTLED})


class Role(NamedTuple):
    """A RAM role to assume."""

    arn: str
    """``acs:ram::UID:role/NAME``."""

    external_id: str | None = None
    """What the role's trust policy asks for, if it does."""

    session_name: str = "bulk"
    """What the account's audit log calls the sessions."""


class Granted(NamedTuple):
    """Keys of a role."""

    credentials: Credentials
    ends_at: float | None
    """In seconds since the epoch; ``None``: not readable."""


class TokenService:
    """The service, for one account."""

    def __init__(
        self,
        *,
        endpoint: str,
        credentials: CredentialProvider,
        transport: Transport,
        timeout_s: float = _TIMEOUT_S,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Only store what calls will need.

        Args:
            endpoint: URL without path, such as ``https://sts.aliyuncs.com``.
            credentials: The keys that sign.
            transport: Sends each request exactly once.
            timeout_s: For one request.
            wall_clock: Seconds since the epoch.
            sleep: Waits so many seconds.
        """
        self._caller = Caller(
            endpoint=endpoint,
            method="POST",
            common=_common,
            credentials=credentials,
            transport=transport,
            timeout_s=timeout_s,
            wall_clock=wall_clock,
            succeeded=lambda answer: not answer.code and answer.success is not False,
        )
        self._sleep = sleep

    async def caller_identity(self, *, leave: Leave = at_once) -> Identity | Failure:
        """Ask whose keys these are. One request.

        Args:
            leave: See `cloud.transport.Leave`.

        Raises:
            TurnMissedError: It was too late to send the request, and it was not sent.
        """
        credentials = await self._caller.current()
        result = await self._caller.call(Action.IDENTIFY, {"Action": Action.IDENTIFY}, credentials, leave)
        if isinstance(result, Failure):
            return result
        reply, answer = result
        uid, arn = text_of(answer.field("AccountId")), text_of(answer.field("Arn"))
        if not uid:
            return unreadable(reply, "it names no AccountId", credentials=credentials, request_id=answer.request_id)
        return Identity(uid, arn, answer.request_id, reply.status)

    async def assume(self, role: Role) -> Granted | Failure:
        """Ask for a role's keys. Repeat where that may help: a repeat changes nothing."""
        granted = await self._assume(role)
        for pause_s in _PAUSES_S:
            if not (isinstance(granted, Failure) and granted.kind in _WORTH_ANOTHER_TRY):
                break
            if granted.kind is not FailureKind.CLOCK:  # that answer corrected the clock
                await self._sleep(pause_s)
            granted = await self._assume(role)
        return granted

    async def _assume(self, role: Role) -> Granted | Failure:
        parameters = {
            "Action": "AssumeRole",
            "DurationSeconds": str(_LASTS_S),
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name,
        }
        if role.external_id:
            parameters["ExternalId"] = role.external_id
        credentials = await self._caller.current()
        result = await self._caller.call(None, parameters, credentials, at_once)
        if isinstance(result, Failure):
            return result
        reply, answer = result
        try:
            return _granted(answer)
        except UnreadableDataError as exc:
            # Nothing of the reply is shown: it may hold keys.
            return Failure(
                kind=FailureKind.DOUBTFUL,
                code="unreadable_reply",
                message=f"the reply can't be read: {exc}",
                request_id=answer.request_id,
                http_status=reply.status,
            )


def _common(credentials: Credentials) -> dict[str, str]:
    parameters = {
        "AccessKeyId": credentials.access_key_id,
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "Version": "2015-04-01",
    }
    return parameters | ({"SecurityToken": credentials.security_token} if credentials.security_token else {})


def _granted(answer: Answer) -> Granted:
    given = answer.field("Credentials")
    if not isinstance(given, dict):
        raise UnreadableDataError("it holds no Credentials")
    named: Mapping[str, Any] = {str(name).lower(): value for name, value in given.items()}
    names = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
    try:
        key_id, secret, token = (read_key(name, text_of(named.get(name.lower()))) for name in names)
    except SettingsError as exc:
        raise UnreadableDataError(str(exc)) from None
    if not (key_id and secret and token):
        raise UnreadableDataError("its Credentials are not complete")
    return Granted(Credentials(key_id, secret, token), utc_seconds(named.get("expiration")))
