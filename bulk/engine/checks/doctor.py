"""Try what a run would need, in the order in which it would need it. Nothing is changed anywhere."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.cloud.client import Client
from bulk.cloud.codes import classify
from bulk.cloud.dialects import resolve_target
from bulk.cloud.reach import reach
from bulk.cloud.replies import server_time_at
from bulk.cloud.transport import HttpTransport, at_once
from bulk.engine.checks.diagnosis import (
    MADE_UP_PRODUCT,
    Check,
    Verdict,
    clock_check,
    disk_check,
    endpoint_check,
    folder_check,
    keys_check,
    listing_check,
    speed_check,
)
from bulk.engine.lanes.dispatch import most_lanes
from bulk.engine.sessions.connect import credentials_for, served
from bulk.engine.sessions.gate import Turn
from bulk.engine.sessions.rates import group_name
from bulk.engine.sessions.session import RateGroup
from bulk.errors import BulkError, LedgerError, NotSentError, TurnMissedError
from bulk.events import CredentialsFound
from bulk.ledger.storage.folder import try_folder
from bulk.ledger.store import check_ledger
from bulk.model import Action, Failure, FailureKind

if TYPE_CHECKING:
    from bulk.cloud.credentials import CredentialProvider
    from bulk.cloud.transport import Leave, Reply, SignedRequest, Transport
    from bulk.events import Event
    from bulk.model import Listing, Target
    from bulk.settings import Settings

__all__ = ["examine"]

_TRIES = 3
_PAUSE_S = 0.2
_BY_LISTING = ("listing", "clock", "speed")
_MEASURED_LISTINGS = 4
_LONGEST_MEASURING_S = 3.0
_WORTH_ANOTHER_TRY = (
    FailureKind.CLOCK,
    FailureKind.KEYS,
    FailureKind.THROTTLED,
    FailureKind.DOUBTFUL,
    FailureKind.NOT_SENT,
)


async def examine(settings: Settings, *, product_key: str | None = None) -> tuple[Check, ...]:
    """Try what a run with these settings would need.

    Args:
        settings: Where modules would go, how fast, and which ledger.
        product_key: Of a product whose modules are listed; ``None``: a made-up one.

    Returns:
        What was found, in the order in which it was tried.

    Raises:
        SettingsError: The faults of the sandbox can't be read.
    """
    target = None
    try:
        target = resolve_target(settings)
    except BulkError as exc:
        platform = [Check("settings", Verdict.FAILED, str(exc)), *_skipped("endpoint", "keys", *_BY_LISTING)]
    else:
        platform = [
            Check("settings", Verdict.PASSED, f"requests go to {target}"),
            *await _platform(settings, target, product_key),
        ]
    return *platform, *await asyncio.to_thread(_ledger, settings, target)


async def _platform(settings: Settings, target: Target, product_key: str | None) -> list[Check]:
    keys = await _keys(settings)
    async with served(settings, target, None) as endpoint:
        try:
            reached = await reach(endpoint, timeout_s=settings.timeout_s)
        except NotSentError as exc:
            failed = Check(
                "endpoint", Verdict.FAILED, str(exc), exc.remedy or classify(Action.LIST, exc.code, None).remedy
            )
            return [failed, keys if isinstance(keys, Check) else keys.untried(), *_skipped(*_BY_LISTING)]
        check = endpoint_check(endpoint, reached, now=time.time())
        if isinstance(keys, Check):
            return [check, keys, *_skipped(*_BY_LISTING)]
        # A run of this account may be under way: its requests and these share the rate.
        name = None if settings.sandbox else group_name(target, keys.key_id)
        group = RateGroup({Action.LIST: settings.list_qps}, name=name)
        async with group.shared(), HttpTransport() as transport:
            inquiry = _Inquiry(settings, target, endpoint, keys, _Noting(transport), product_key, group=group)
            return [check, *await inquiry.checks()]


async def _keys(settings: Settings) -> _Keys | Check:
    sources = ["the sandbox itself"]

    def listen(event: Event) -> None:
        if isinstance(event, CredentialsFound):
            sources.append(event.source)

    try:
        provider = await credentials_for(settings, listener=listen)
    except BulkError as exc:
        return Check("keys", Verdict.FAILED, str(exc))
    return _Keys(provider, (await provider.current()).access_key_id, sources[-1])


def _ledger(settings: Settings, target: Target | None) -> list[Check]:
    if settings.ledger:
        try:
            check_ledger(Path(settings.ledger), target=target)
        except LedgerError as exc:
            return [Check("ledger", Verdict.FAILED, str(exc)), *_skipped("disk")]
    folder = Path(settings.ledger or "any.ledger.db").absolute().parent
    try:
        trial = try_folder(folder)
    except LedgerError as exc:
        remedy = "Name a ledger in a folder that can be written with --ledger."
        return [
            Check("ledger", Verdict.FAILED, str(exc), remedy),
            Check("disk", Verdict.SKIPPED, "no folder to look at"),
        ]
    return [folder_check(folder, trial), disk_check(trial.free_bytes)]


def _skipped(*names: str) -> list[Check]:
    return [Check(name, Verdict.SKIPPED, "not tried, because of what failed above") for name in names]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys that were found."""

    provider: CredentialProvider
    key_id: str
    source: str

    def untried(self) -> Check:
        return Check("keys", Verdict.SKIPPED, f"{self.key_id[:4]}… from {self.source}, not tried")


@dataclass(slots=True)
class _Noting:
    """A transport that takes note of each answer's time."""

    transport: Transport
    latencies_s: list[float] = field(default_factory=list)
    offset_s: float | None = None
    """The platform's time minus ours, by the last answer."""

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
    """A few listings of one product, inside the rate."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        endpoint: str,
        keys: _Keys,
        noting: _Noting,
        product_key: str | None,
        *,
        group: RateGroup,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._noting = noting
        self._product_key = product_key
        self._gate = group.gates[Action.LIST]
        self._client = Client(
            target=target, endpoint=endpoint, credentials=keys.provider, transport=noting, timeout_s=settings.timeout_s
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
        """List as a run would: again, where that may help."""
        answer = await self._list()
        for _ in range(_TRIES - 1):
            if not (isinstance(answer, Failure) and answer.kind in _WORTH_ANOTHER_TRY):
                break
            await asyncio.sleep(answer.retry_after_s or _PAUSE_S)
            answer = await self._list()
        return answer

    async def _latencies(self, answer: Listing | Failure) -> list[float]:
        """Measure a few listings more, over the connection that the first one opened."""
        if isinstance(answer, Failure) and answer.kind not in {FailureKind.PRODUCT, FailureKind.DENIED}:
            return []
        per_s = self._settings.list_qps
        count = min(_MEASURED_LISTINGS, int(per_s * _LONGEST_MEASURING_S)) if per_s else _MEASURED_LISTINGS
        self._noting.latencies_s.clear()
        for _ in range(max(count, 1)):
            await self._list()
        return self._noting.latencies_s

    async def _list(self) -> Listing | Failure:
        released_at = await self._gate.acquire()
        if released_at is None:
            raise AssertionError("nobody closes this gate")
        turn = Turn(self._gate, released_at)
        try:
            answer = await self._client.list_modules(self._product_key or MADE_UP_PRODUCT, leave=turn.leave)
        except TurnMissedError as exc:
            self._gate.give_back(released_at)
            return Failure(kind=FailureKind.NOT_SENT, code="connect_timeout", message=str(exc))
        if not isinstance(answer, Failure):
            turn.answered()
        return answer
