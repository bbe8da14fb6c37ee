"""Make one request of an API: sign, send, read, classify. Whether to repeat it is decided elsewhere."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from bulk.cloud.failures import is_of_another, lost, refused
from bulk.cloud.replies import read_answer, server_time_at
from bulk.cloud.signing import Signer, timestamp
from bulk.cloud.wire.refusals import KeyRefusals
from bulk.cloud.wire.transport import SignedRequest
from bulk.errors import TransportError, TurnMissedError
from bulk.model import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.keys.credentials import CredentialProvider, Credentials
    from bulk.cloud.replies import Answer
    from bulk.cloud.wire.transport import Leave, Reply, Transport
    from bulk.model import Action

__all__ = ["Caller", "says_success", "unique_nonces"]

_CLOCKS_AGREE_S = 60.0
"""Clocks that differ less are no reason to refuse a request: the platform allows some 15 minutes."""

_MOST_CORRECTIONS = 5
"""A machine's clock may be wrong when a run begins, and be set right during the run: that needs a few corrections. But
an endpoint whose time keeps jumping must not be followed for ever."""


def unique_nonces() -> Callable[[], str]:
    """Return a function that gives a new nonce at every call: 128 random bits and a count.

    New random bits for every nonce would need a call to the kernel, which releases the interpreter's lock meanwhile.
    """
    prefix, numbers = os.urandom(16).hex(), count()
    return lambda: f"{prefix}{next(numbers):x}"


def says_success(answer: Answer) -> bool:
    """Return whether a reply of the IoT platform says that the request was carried out."""
    return answer.success is True


class Caller:
    """One account's way to one API: its keys, its clock, and what was refused so far."""

    def __init__(
        self,
        *,
        endpoint: str,
        method: str,
        common: Callable[[Credentials], dict[str, str]],
        credentials: CredentialProvider,
        transport: Transport,
        timeout_s: float = 10.0,
        wall_clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] | None = None,
        on_clock_corrected: Callable[[float], None] | None = None,
        succeeded: Callable[[Answer], bool] = says_success,
    ) -> None:
        """Only store what calls will need.

        Args:
            endpoint: URL without path.
            method: HTTP method in upper case.
            common: Gives the parameters that all requests signed with these keys have.
            credentials: Asked for keys before every request, and for other keys when the platform refuses them.
            transport: Sends each request exactly once.
            timeout_s: For one request, from connecting to the last byte of the reply.
            wall_clock: Seconds since the epoch.
            nonce: Never returns the same text twice, of unreserved characters alone; default: `unique_nonces`.
            on_clock_corrected: Receives the platform's time minus ours, in seconds, when the clock is corrected.
            succeeded: Says whether a reply with a status of 2xx is a success.
        """
        self._endpoint = endpoint.rstrip("/")
        self._method = method
        self._common = common
        self._credentials = credentials
        self._refusals = KeyRefusals(credentials)
        self._transport = transport
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._nonce = nonce or unique_nonces()
        self._on_clock_corrected = on_clock_corrected
        self._succeeded = succeeded
        self._offset_s = 0.0
        self._corrections = 0
        self._signs_with: Credentials | None = None
        """The key of the signer: renewed ones get another."""

    async def current(self) -> Credentials:
        """Return the keys to sign the next request with, for `call`."""
        return await self._credentials.current()

    async def call(
        self, action: Action | None, parameters: dict[str, str], credentials: Credentials, leave: Leave
    ) -> tuple[Reply, Answer] | Failure:
        """Send one request; return the reply if it says that it succeeded.

        Args:
            action: What it asks for; ``None``: nothing that is counted as an action.
            parameters: Without the common ones.
            credentials: As `current` gave them.
            leave: See `cloud.transport.Leave`.

        Raises:
            TurnMissedError: It was too late to send the request, and it was not sent.
        """
        offset_s = self._offset_s
        request = self._signed(parameters, credentials, at=self._wall_clock() + offset_s)
        try:
            reply = await self._transport.send(request, timeout_s=self._timeout_s, leave=leave)
        except TurnMissedError:
            raise
        except TransportError as exc:
            return lost(exc, credentials, action=action)
        answer = read_answer(reply.body, reply.headers)
        if self._succeeded(answer) and reply.is_2xx:
            self._refusals.accepted(credentials)
            return reply, answer
        failure = refused(reply, answer, request, action=action, credentials=credentials)
        if self._refusals.has_accepted and is_of_another(failure):
            return replace(failure, kind=FailureKind.DOUBTFUL, may_be_done=False)
        if failure.kind is FailureKind.KEYS:
            return await self._refusals.judge(failure, credentials)
        if failure.kind is FailureKind.CLOCK and not self._follow_clock_of(reply, offset_s):
            return replace(failure, kind=FailureKind.FATAL)
        return failure

    def _signed(self, parameters: dict[str, str], credentials: Credentials, *, at: float) -> SignedRequest:
        if credentials is not self._signs_with:
            self._signer = Signer(self._method, self._common(credentials), secret=credentials.access_key_secret)
            self._signs_with = credentials
        query = self._signer.sign(parameters, nonce=self._nonce(), timestamp=timestamp(int(at)))
        return SignedRequest(self._method, self._endpoint, query)

    def _follow_clock_of(self, reply: Reply, offset_s: float) -> bool:
        """Correct the clock by the reply; return whether the refused request is worth repeating.

        It is not worth repeating if the request already had the platform's own time, as the reply shows that time.

        Args:
            reply: Refuses a request for its timestamp.
            offset_s: The correction that the request was stamped with.
        """
        server_at = server_time_at(reply.headers)
        if server_at is None:
            return False
        needed_s = server_at - self._wall_clock()
        if abs(needed_s - self._offset_s) > _CLOCKS_AGREE_S:
            if self._corrections == _MOST_CORRECTIONS:
                return False
            self._corrections += 1
            self._offset_s = needed_s
            if self._on_clock_corrected is not None:
                self._on_clock_corrected(needed_s)
        # Else the clock was corrected already: after this request got its timestamp, or without success.
        return abs(self._offset_s - offset_s) > _CLOCKS_AGREE_S
