"""Check what one account needs of its platform: connection, keys, a few listings. Nothing is changed there."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self, cast
from urllib.parse import urlsplit

from bulk.cloud.client import Client
from bulk.cloud.codes import classify
from bulk.cloud.keys.sources import token_endpoint
from bulk.cloud.keys.token_service import TokenService
from bulk.cloud.replies import server_time_at
from bulk.cloud.wire.reach import reach
from bulk.cloud.wire.transport import HttpTransport, at_once
from bulk.engine.accounts import open_account_keys
from bulk.engine.checks.diagnosis import (
    MADE_UP_PRODUCT,
    Check,
    Verdict,
    clock_check,
    endpoint_check,
    identity_check,
    keys_check,
    listing_check,
    speed_check,
)
from bulk.engine.lanes.dispatch import most_lanes
from bulk.engine.sessions.connect import credentials_for, served
from bulk.engine.sessions.gate import Turn
from bulk.engine.sessions.rates import group_name
from bulk.engine.sessions.session import RateGroup
from bulk.errors import BulkError, NotSentError, TurnMissedError
from bulk.events import CredentialsFound
from bulk.model import Action, Dialect, Failure, FailureKind, Identity

if TYPE_CHECKING:
    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.cloud.wire.transport import Leave, Reply, SignedRequest, Transport
    from bulk.engine.accounts import Account, OpenedAccount
    from bulk.engine.sessions.gate import Gate
    from bulk.events import Event
    from bulk.model import Listing

__all__ = ["BY_LISTING", "RateGroups", "Tried", "skipped", "try_platform"]

BY_LISTING = ("listing", "clock", "speed")
"""Checks that need a listing."""

_TRIES = 3
_PAUSE_S = 0.2
_MEASURED_LISTINGS = 4
_LONGEST_MEASURING_S = 3.0
_WORTH_ANOTHER_TRY = (
    FailureKind.CLOCK,
    FailureKind.KEYS,
    FailureKind.THROTTLED,
    FailureKind.DOUBTFUL,
    FailureKind.NOT_SENT,
)


class Tried(NamedTuple):
    """Result of the checks of an account."""

    checks: tuple[Check, ...]
    opened: OpenedAccount | None = None
    """``None``: its keys were not found, or it is a rehearsal."""

    uid: str | None = None
    """The account's UID at the platform; ``None``: it could not be asked, or did not answer."""


class RateGroups:
    """Rate groups of the accounts that are tried. A run of the same group may be active: it shares the rate too."""

    def __init__(self) -> None:
        """Have none yet."""
        self._groups: dict[str, RateGroup] = {}
        self._shared = AsyncExitStack()
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop sharing with other processes."""
        await self._shared.aclose()

    async def gate_of(self, account: Account, group: str) -> Gate:
        """Return the gate for listings of an account.

        Args:
            account: The account.
            group: Its rate group.
        """
        settings = account.settings
        async with self._opening:
            known = self._groups.get(group)
            if known is None:
                is_written = settings.rate_group is not None
                name = None if settings.sandbox else group_name(account.target, group, is_written=is_written)
                known = self._groups[group] = RateGroup({Action.LIST: settings.list_qps}, name=name)
                await self._shared.enter_async_context(known.shared())
        return known.gates[Action.LIST]


async def try_platform(account: Account, product_key: str | None, *, groups: RateGroups) -> Tried:
    """Check the platform of one account. Errors that concern the account become checks; they are not raised.

    Args:
        account: The account.
        product_key: The product whose modules are listed; ``None``: its ``sample_product``, or a made-up one.
        groups: Rate groups of all accounts that are tried.
    """
    settings, target = account.settings, account.target
    keys = await _keys(account)
    async with served(settings, target, None) as endpoint:
        try:
            reached = await reach(endpoint, timeout_s=settings.timeout_s)
        except NotSentError as exc:
            failed = Check(
                "endpoint", Verdict.FAILED, str(exc), exc.remedy or classify(Action.LIST, exc.code, None).remedy
            )
            if isinstance(keys, Check):
                return Tried((failed, keys, *skipped(*BY_LISTING)))
            return Tried((failed, keys.untried(), *skipped(*BY_LISTING)), keys.opened)
        check = endpoint_check(endpoint, reached, now=time.time())
        if isinstance(keys, Check):
            return Tried((check, keys, *skipped(*BY_LISTING)))
        async with HttpTransport() as transport:
            inquiry = _Inquiry(
                account,
                endpoint,
                keys,
                _Noting(transport),
                product_key=product_key or settings.sample_product,
                gate=await groups.gate_of(account, keys.group),
            )
            checks = await inquiry.checks()
            identity = await _identity(account, keys, transport)
    told = (identity_check(identity),) if identity else ()
    return Tried((check, *checks, *told), keys.opened, identity.uid if isinstance(identity, Identity) else None)


def skipped(*names: str) -> list[Check]:
    """Return checks that could not be made."""
    return [Check(name, Verdict.SKIPPED, "not tried, because of what failed above") for name in names]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys that were found."""

    provider: CredentialProvider
    key_id: str
    source: str
    group: str
    opened: OpenedAccount | None = None

    def untried(self) -> Check:
        return Check("keys", Verdict.SKIPPED, f"{self.key_id[:4]}… from {self.source}, not tried")


async def _keys(account: Account) -> _Keys | Check:
    sources = ["the sandbox itself"]

    def listen(event: Event) -> None:
        if isinstance(event, CredentialsFound):
            sources.append(event.source)

    opened: OpenedAccount | None = None
    try:
        if account.settings.sandbox:
            provider = await credentials_for(account.settings, listener=listen)
        else:
            opened = await open_account_keys(account, listener=listen)
            provider = opened.credentials
    except BulkError as exc:
        return Check("keys", Verdict.FAILED, str(exc))
    group = opened.rate_group if opened else account.name
    return _Keys(provider, (await provider.current()).access_key_id, sources[-1], group, opened)


async def _identity(account: Account, keys: _Keys, transport: Transport) -> Identity | Failure | None:
    """Ask who owns the keys; ``None``: nobody can be asked, or the job has only one account."""
    if not account.name or not _has_token_service(account):
        return None
    settings = account.settings
    try:
        service = token_endpoint(account.keys, os.environ, insecure_http=settings.insecure_http)
    except BulkError as exc:
        return Failure(kind=FailureKind.FATAL, code="sts_endpoint", message=str(exc))
    return await TokenService(endpoint=service, credentials=keys.provider, transport=transport).caller_identity()


def _has_token_service(account: Account) -> bool:
    if account.settings.sandbox:
        return False
    if account.target.dialect is Dialect.TUYA:
        return account.keys.role_arn is not None  # Tuya has no token service; its keys must not go to another one
    host = urlsplit(account.target.endpoint).hostname or ""
    # The official service only knows keys of the official cloud.
    return account.keys.sts_endpoint is not None or host.endswith(".aliyuncs.com")


@dataclass(slots=True)
class _Noting:
    """A transport that notes the time of each answer."""

    transport: Transport
    latencies_s: list[float] = field(default_factory=list)
    offset_s: float | None = None
    """The platform's time minus this machine's, from the last answer."""

    async def send(self, request: SignedRequest, *, timeout_s: float, leave: Leave = at_once) -> Reply:
        """See `cloud.transport.Transport`."""
        sent_at, started = time.time(), time.monotonic()
        reply = await self.transport.send(request, timeout_s=timeout_s, leave=leave)
        latency_s = time.monotonic() - started
        self.latencies_s.append(latency_s)
        server_at = server_time_at(reply.headers)
        if server_at is not None:
            # The header leaves out the fraction of its second, half a second on average.
            self.offset_s = server_at + 0.5 - (sent_at + latency_s / 2)
        return reply


class _Inquiry:
    """A few listings of one product, within the rate."""

    def __init__(
        self, account: Account, endpoint: str, keys: _Keys, noting: _Noting, *, product_key: str | None, gate: Gate
    ) -> None:
        self._settings = account.settings
        self._keys = keys
        self._noting = noting
        self._product_key = product_key
        self._gate = gate
        self._client = Client(
            target=account.target,
            endpoint=endpoint,
            credentials=keys.provider,
            transport=noting,
            timeout_s=account.settings.timeout_s,
        )

    async def checks(self) -> list[Check]:
        answer = await self._patient_listing()
        return [
            keys_check(self._keys.source, self._keys.key_id, answer),
            listing_check(answer, self._product_key),
            clock_check(self._noting.offset_s),
            speed_check(await self._latencies(answer), lanes=most_lanes(self._settings), per_s=self._settings.qps),
        ]

    async def _patient_listing(self) -> Listing | Failure:
        """List as a run would: retry if that may help."""
        answer = await self._list()
        for _ in range(_TRIES - 1):
            if not (isinstance(answer, Failure) and answer.kind in _WORTH_ANOTHER_TRY):
                break
            await asyncio.sleep(answer.retry_after_s or _PAUSE_S)
            answer = await self._list()
        return answer

    async def _latencies(self, answer: Listing | Failure) -> list[float]:
        """Measure a few more listings, over the connection that the first one opened."""
        if isinstance(answer, Failure) and answer.kind not in {FailureKind.PRODUCT, FailureKind.DENIED}:
            return []
        per_s = self._settings.list_qps
        count = min(_MEASURED_LISTINGS, int(per_s * _LONGEST_MEASURING_S)) if per_s else _MEASURED_LISTINGS
        self._noting.latencies_s.clear()
        for _ in range(max(count, 1)):
            await self._list()
        return self._noting.latencies_s

    async def _list(self) -> Listing | Failure:
        released_at = cast("float", await self._gate.acquire())  # nobody closes this gate
        turn = Turn(self._gate, released_at)
        try:
            answer = await self._client.list_modules(self._product_key or MADE_UP_PRODUCT, leave=turn.leave)
        except TurnMissedError as exc:
            self._gate.give_back(released_at)
            return Failure(kind=FailureKind.NOT_SENT, code="connect_timeout", message=str(exc))
        if not isinstance(answer, Failure):
            turn.answered()
        return answer
