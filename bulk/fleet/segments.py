"""Ship the records of a shard's ledger to the store, a segment a second: you can then lose a machine with its disk.

In a fleet a claim counts only once its segment is stored. So the machine that continues knows everything that was sent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from bulk.errors import LedgerError, SettingsError
from bulk.fleet.records import Sends, decoded, encoded
from bulk.fleet.store import Outage, Put
from bulk.ledger.writer import answer
from bulk.model import Outcome

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterable, Sequence

    from bulk.engine.sessions.recorder import Writer
    from bulk.fleet.store import Store
    from bulk.model import Attempt, Settlement

__all__ = [
    "LastShipped",
    "ShippingWriter",
    "last_segments_of",
    "place_of",
    "replay",
    "segment_names",
    "segments_of",
    "ship_first",
    "standing_after",
]

_EVERY_S = 1.0
_LAST_S = 4.0
"""How long the last segment may take after the work has ended; the merge counts what is not shipped by then."""


_AT_ONCE = 32
_LAST_SEGMENTS = 60
"""Records that a dead process had not shipped are newer than these segments."""


class LastShipped(NamedTuple):
    """What was last shipped before a holder ended."""

    settlements: list[Settlement]
    is_overtaken: bool
    """True: a later holder shipped something that this holder's ledger does not have."""


def standing_after(settlements: Iterable[Settlement]) -> list[Settlement]:
    """Return the latest record of each module: outcomes, and claims without a known answer.

    Args:
        settlements: From all segments of a shard, by fence and number.
    """
    last: dict[tuple[str, str, str], Settlement] = {}
    for one in settlements:
        key = one.account, one.module.product_key, one.module.module_name.casefold()
        last.pop(key, None)
        last[key] = one
    return list(last.values())


async def segments_of(store: Store, shard: int) -> list[Settlement] | Outage:
    """Return what all holders of a shard shipped, in the order in which it happened.

    Raises:
        SettingsError: A segment can't be read.
    """
    names = await segment_names(store, shard)
    return names if isinstance(names, Outage) else await _read(store, names)


async def segment_names(store: Store, shard: int) -> list[str] | Outage:
    """Return the names of a shard's segments, by fence and number."""
    names = await store.names(f"segments/{shard}")
    return names if isinstance(names, Outage) else sorted(names, key=place_of)


async def last_segments_of(store: Store, shard: int, fence: int) -> LastShipped | Outage:
    """Return what was shipped last by a holder and those before it, and whether a later one shipped anything.

    Raises:
        SettingsError: A segment can't be read.
    """
    in_order = await segment_names(store, shard)
    if isinstance(in_order, Outage):
        return in_order
    found = await _read(store, [name for name in in_order if place_of(name)[0] <= fence][-_LAST_SEGMENTS:])
    if isinstance(found, Outage):
        return found
    return LastShipped(found, is_overtaken=any(place_of(name)[0] > fence for name in in_order))


async def _read(store: Store, names: Sequence[str]) -> list[Settlement] | Outage:
    """Return the records of these segments, in their order; reads many at once, as a store may be far away."""
    found: list[Settlement] = []
    for first in range(0, len(names), _AT_ONCE):
        asked = names[first : first + _AT_ONCE]
        for name, data in zip(asked, await asyncio.gather(*map(store.get, asked)), strict=True):
            if isinstance(data, Outage):
                return data
            if isinstance(data, bytes):
                found += _decoded(name, data)
    return found


def _decoded(name: str, data: bytes) -> list[Settlement]:
    try:
        return decoded(data)
    except ValueError as exc:
        raise SettingsError(
            f"the store's {name} can't be read ({exc}): a later version of bulk wrote it, or it is damaged; use that"
            " version, or split the input again into an empty folder or path"
        ) from exc


def place_of(name: str) -> tuple[int, int]:
    """Return the fence of a segment, and its number."""
    fence, number = name.rpartition("/")[2].split(".")
    return int(fence), int(number)


async def replay(settlements: Iterable[Settlement], writer: Writer) -> None:
    """Write a lost ledger's records into a new one; claims are in doubt there, so the next lane lists first.

    Args:
        settlements: From `segments_of`.
        writer: The new ledger's own writer.

    Raises:
        LedgerError: It can't be written.
    """
    claims = []
    for one in standing_after(settlements):
        if one.outcome is Outcome.SENDING:
            claims.append(one)
        else:
            writer.settle(one)
    await writer.claim(claims)


async def ship_first(store: Store, shard: int, fence: int, settlements: Iterable[Settlement]) -> Put | Outage:
    """Store, as segment 0 of a fence, what a ledger has and the store lacks because a process died between the two."""
    return await store.put_if_absent(f"segments/{shard}/{fence}.0", encoded(settlements))


class ShippingWriter:
    """A ledger's writer in a fleet. Outcomes follow when they can; a claim waits until its segment is stored."""

    def __init__(
        self, writer: Writer, store: Store, *, shard: int, fence: int, first: int = 0, every_s: float = _EVERY_S
    ) -> None:
        """Ship nothing yet.

        Args:
            writer: Writer of the local ledger, which gets everything first.
            store: The fleet's store.
            shard: The shard of the ledger.
            fence: Fence of the lease. No two processes have the same fence, so no two use the same segment names.
            first: Number of its first segment.
            every_s: How often to make a segment.
        """
        self._writer = writer
        self._store = store
        self._name = f"segments/{shard}/{fence}"
        self._every_s = every_s
        self._number = first
        self._waiting: list[Settlement] = []
        self._sends = Sends()
        self._waiters: list[Future[None]] = []
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to ship."""
        self._shipping = asyncio.create_task(self._ship())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ship what is left, if the store accepts it in time."""
        self._closing.set()
        await asyncio.wait([self._shipping], timeout=_LAST_S)
        self._shipping.cancel()
        await asyncio.wait([self._shipping])
        answer(self._waiters, LedgerError("the store did not take a claim before the end; nothing was sent for it"))

    def settle(self, settlement: Settlement) -> None:
        """See `Writer.settle`."""
        self._writer.settle(settlement)
        self._waiting.append(settlement)

    def note(self, attempt: Attempt) -> None:
        """See `Writer.note`. Only when it left is shipped: the rest is for the auditor, and no decision needs it."""
        self._writer.note(attempt)
        self._sends.note(attempt)

    def amend(self, statement: str, *parameters: object) -> None:
        """See `Writer.amend`. It stays with the ledger: no other process needs it to go on."""
        self._writer.amend(statement, *parameters)

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        """Return when these records are on disk and in the store.

        Raises:
            LedgerError: They are not; nothing may be sent.
        """
        claims = list(settlements)
        await self._writer.claim(claims)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting += claims
        self._waiters.append(waiter)
        await waiter

    async def _ship(self) -> None:
        while self._waiting or self._sends or not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._closing.wait()
            if self._waiting or self._sends:
                await self._ship_waiting()

    async def _ship_waiting(self) -> None:
        """Store all waiting records together; later ones wait until that is done."""
        count = len(self._waiters)
        data, self._waiting = encoded(self._waiting, self._sends), []
        end = await self._stored(data)
        waiters, self._waiters = self._waiters[:count], self._waiters[count:]
        name = f"{self._name}.{self._number}"
        self._number += 1
        taken = LedgerError(f"{name} is in the store already: another process has this fence")
        answer(waiters, None if end is Put.STORED else taken)

    async def _stored(self, data: bytes) -> Put:
        while True:
            end = await self._store.put_if_absent(f"{self._name}.{self._number}", data)
            if not isinstance(end, Outage):
                return end
            await asyncio.sleep(self._every_s)
