"""Open what you need to read the accounts of a job: keys, rates, one connection pool. Nothing is sent yet."""

from __future__ import annotations

import resource
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from bulk.cloud.reading import ReadingClient
from bulk.cloud.wire.transport import HttpTransport
from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.job import Part
from bulk.engine.looking.looker import Looker
from bulk.engine.sessions.keys import KeyRing, given_keys
from bulk.engine.sessions.notes import Notes
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.requests import Way
from bulk.engine.sessions.session import SYSTEM_CLOCK, RateGroup
from bulk.errors import SettingsError
from bulk.events import ClockCorrected
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.settings import Settings

__all__ = ["ahead_of", "opened_lookers"]

PRODUCTS_PER_S = 50.0
"""The platform's limit for QueryProduct, and for QueryProductList except for pages that do not exist."""

_AHEAD = 64
"""Products asked for in parallel: a repeated request must not delay the others."""

_OTHER_FILES = 64
_ENOUGH_CONNECTIONS = 4


def ahead_of(settings: Settings) -> int:
    """Return how many products of an account are asked for in parallel."""
    return settings.concurrency or _AHEAD


@asynccontextmanager
async def opened_lookers(
    accounts: Sequence[Account],
    *,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None,
    stops: Mapping[str, StopSignal],
    listener: Listener,
) -> AsyncIterator[dict[str, Looker]]:
    """Open a reader for each of these accounts, by name, until the block ends.

    Args:
        accounts: The accounts that are tried.
        credentials: Keys to sign with: one provider for all, or account → provider; ``None``: as the settings say.
        stops: Stop signal of each account.
        listener: Learns what happens.

    Raises:
        SettingsError: Keys are missing, two accounts are the same, or the settings ask for a rehearsal.
        StoppedError: A stop was requested before the keys were available.
    """
    if any(account.settings.sandbox for account in accounts):
        raise SettingsError("this reads a platform that is there: start `bulk sandbox`, and give its --endpoint")
    parts = [Part(account=account, stop=stops[account.name], counters=Counters()) for account in accounts]
    keys = KeyRing(given_keys(credentials, [part.name for part in parts]), listener=listener)
    await keys.open_only(parts)
    async with (
        HttpTransport(limit=_connections(accounts)) as transport,
        keys.opening(parts),
        AsyncExitStack() as shared,
    ):
        groups: dict[str, RateGroup] = {}
        yield {
            part.name: await _looker(part, keys, groups, shared, transport=transport, listener=listener)
            for part in parts
        }


async def _looker(
    part: Part,
    keys: KeyRing,
    groups: dict[str, RateGroup],
    shared: AsyncExitStack,
    *,
    transport: HttpTransport,
    listener: Listener,
) -> Looker:
    opened = await keys.of(part)
    settings, target = part.account.settings, part.account.target
    group = groups.get(opened.rate_group)
    if group is None:
        group = groups[opened.rate_group] = RateGroup(_rates(settings), name=opened.shared_as, listener=listener)
        await shared.enter_async_context(group.shared())
    client = ReadingClient(
        target=target,
        endpoint=target.endpoint,
        credentials=opened.credentials,
        transport=transport,
        timeout_s=settings.timeout_s,
        on_clock_corrected=lambda offset_s: listener(ClockCorrected(offset_s, part.name)),
    )
    way = Way(
        gates=group.gates,
        policy=RetryPolicy(max_attempts=settings.max_attempts),
        breaker=Breaker(now=SYSTEM_CLOCK.monotonic()),
        notes=Notes(listener=listener, account=part.name),
        stop=part.stop,
        listener=listener,
        account=part.name,
    )
    return Looker(client, way)


def _rates(settings: Settings) -> Mapping[Action, float]:
    return {
        Action.LIST: settings.list_qps,
        Action.LIST_PRODUCTS: PRODUCTS_PER_S,
        Action.SHOW_PRODUCT: PRODUCTS_PER_S,
    }


def _connections(accounts: Sequence[Account]) -> int:
    wanted = sum(ahead_of(account.settings) for account in accounts)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(_ENOUGH_CONNECTIONS, min(wanted, files - _OTHER_FILES))
