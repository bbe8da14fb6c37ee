"""Ship what a shard's ledger records to the store, a segment a second: a machine may then vanish with its disk.

In a fleet a claim counts once its segment is stored. So nothing that was sent is unknown to the machine that goes on.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

import orjson

from bulk.errors import LedgerError
from bulk.fleet.store import Outage, Put
from bulk.model import ChangeKind, OtaModule, Outcome, Settlement

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterable, Mapping

    from bulk.engine.sessions.recorder import Writer
    from bulk.fleet.store import Store
    from bulk.model import Attempt

__all__ = ["ShippingWriter", "decoded", "encoded", "replay", "segments_of", "standing_after"]

_EVERY_S = 1.0
_LAST_S = 4.0
"""How long the last segment may take once work has ended; what is not shipped then, the merge counts."""


def encoded(settlements: Iterable[Settlement]) -> bytes:
    """Return claims and outcomes as JSON lines, in their order."""
    return b"".join([_line(_fields(one)) for one in settlements])


def _line(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a message may hold what is no Unicode
        return json.dumps(fields).encode() + b"\n"


def _fields(one: Settlement) -> dict[str, Any]:
    said = {name: value for name, value in one._asdict().items() if value not in (None, "", False)}
    for name in ("module", "found"):
        if isinstance(module := said.get(name), OtaModule):
            said[name] = {key: value for key, value in asdict(module).items() if key != "gmt_create"}
    return said


def decoded(data: bytes) -> list[Settlement]:
    """Return what was encoded.

    Raises:
        ValueError: It is no segment.
    """
    try:
        return [_settlement(json.loads(line)) for line in data.split(b"\n") if line]
    except (TypeError, KeyError) as exc:
        raise ValueError(f"a segment can't be read: {exc}") from exc


def _settlement(said: Mapping[str, Any]) -> Settlement:
    found = said.get("found")
    parts = {
        "line": said.get("line"),
        "module": OtaModule(**said["module"]),
        "outcome": Outcome(said["outcome"]),
        "kind": ChangeKind(said["kind"]),
        "found": OtaModule(**found) if found else None,
    }
    return Settlement(**{**said, **parts})


def standing_after(settlements: Iterable[Settlement]) -> list[Settlement]:
    """Return the last word on each module: outcomes, and claims that nobody saw answered.

    Args:
        settlements: Of all segments of a shard, by fence and number.
    """
    last: dict[tuple[str, str, str], Settlement] = {}
    for one in settlements:
        key = one.account, one.module.product_key, one.module.module_name.casefold()
        last.pop(key, None)
        last[key] = one
    return list(last.values())


async def segments_of(store: Store, shard: int) -> list[Settlement] | Outage:
    """Return what all holders of a shard shipped, in the order in which it happened."""
    names = await store.names(f"segments/{shard}")
    if isinstance(names, Outage):
        return names
    found: list[Settlement] = []
    for name in sorted(names, key=_order):
        data = await store.get(name)
        if isinstance(data, Outage):
            return data
        if isinstance(data, bytes):
            found += decoded(data)
    return found


def _order(name: str) -> tuple[int, int]:
    fence, number = name.rpartition("/")[2].split(".")
    return int(fence), int(number)


async def replay(settlements: Iterable[Settlement], writer: Writer) -> None:
    """Bring a lost ledger's records into a new one; what was claimed is in doubt there, so the next lane asks.

    Args:
        settlements: As `segments_of` gave them.
        writer: Of the new ledger itself.

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


class ShippingWriter:
    """A ledger's writer in a fleet. Outcomes follow when they can; a claim waits until its segment is stored."""

    def __init__(self, writer: Writer, store: Store, *, shard: int, fence: int, every_s: float = _EVERY_S) -> None:
        """Ship nothing yet.

        Args:
            writer: Of the local ledger; everything is there first.
            store: The fleet's.
            shard: Whose ledger it is.
            fence: Of the lease: no two processes have the same, so the names of segments are this one's.
            every_s: How often a segment is made.
        """
        self._writer = writer
        self._store = store
        self._name = f"segments/{shard}/{fence}"
        self._every_s = every_s
        self._number = 0
        self._waiting: list[Settlement] = []
        self._waiters: list[Future[None]] = []
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to ship."""
        self._shipping = asyncio.create_task(self._ship())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ship what is left, if the store takes it in time."""
        self._closing.set()
        await asyncio.wait([self._shipping], timeout=_LAST_S)
        self._shipping.cancel()
        await asyncio.wait([self._shipping])
        self._tell(self._waiters, LedgerError("the store did not take a claim before the end; nothing was sent for it"))

    def settle(self, settlement: Settlement) -> None:
        """See `Writer.settle`."""
        self._writer.settle(settlement)
        self._waiting.append(settlement)

    def note(self, attempt: Attempt) -> None:
        """See `Writer.note`. Attempts stay with the ledger: they are for the auditor, and no decision needs them."""
        self._writer.note(attempt)

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
        while self._waiting or not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._closing.wait()
            if self._waiting:
                await self._ship_waiting()

    async def _ship_waiting(self) -> None:
        """Store what came together; until that is done, nothing later is shipped."""
        count = len(self._waiters)
        data, self._waiting = encoded(self._waiting), []
        end = await self._stored(data)
        waiters, self._waiters = self._waiters[:count], self._waiters[count:]
        name = f"{self._name}.{self._number}"
        self._number += 1
        taken = LedgerError(f"{name} is in the store already: another process has this fence")
        self._tell(waiters, None if end is Put.STORED else taken)

    async def _stored(self, data: bytes) -> Put:
        while True:
            end = await self._store.put_if_absent(f"{self._name}.{self._number}", data)
            if not isinstance(end, Outage):
                return end
            await asyncio.sleep(self._every_s)

    @staticmethod
    def _tell(waiters: list[Future[None]], failure: LedgerError | None) -> None:
        for waiter in waiters:
            if waiter.done():
                continue
            if failure:
                waiter.set_exception(failure)
            else:
                waiter.set_result(None)
