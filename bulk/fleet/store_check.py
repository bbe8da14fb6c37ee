"""Check a store's guarantee: if two writers put under one new name at once, one is refused."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from bulk.engine.checks.diagnosis import Check, Verdict
from bulk.fleet.store import Outage, Put

if TYPE_CHECKING:
    from bulk.fleet.store import Store

__all__ = ["check_store"]

RACES = 8
"""Number of races. A gateway that checks and then writes loses most of them; one that ignores the condition, all."""

_NOT_HONOURED = (
    "Don't run a fleet on it: two machines would take one shard. Use a bucket of S3, OSS, GCS or Azure without a"
    " gateway in front of it, or a folder on a file system with hard links."
)
_NOT_USABLE = "Check that the store is there, and that this machine's keys may read and write below it."


async def check_store(first: Store, second: Store, *, url: str) -> Check:
    """Race two writers for new names, and read back what each left.

    Args:
        first: The store.
        second: The same store, opened separately.
        url: Its URL, for messages.
    """
    for _ in range(RACES):
        name = f"doctor/{secrets.token_hex(16)}"
        try:
            flaw = await _race(first, second, name)
        finally:
            await first.discard(name)
        if isinstance(flaw, Outage):
            return Check("store", Verdict.FAILED, f"{url}: {flaw.why}", _NOT_USABLE)
        if flaw:
            return Check("store", Verdict.FAILED, f"{url}: {flaw}", _NOT_HONOURED)
    return Check("store", Verdict.PASSED, f"{url}: {RACES} races of two writers for one name, one winner each")


async def _race(first: Store, second: Store, name: str) -> Outage | str | None:
    """Return what went wrong in one race, if anything."""
    stores, texts = (first, second), (b"first", b"second")
    ends = await asyncio.gather(*(store.put_if_absent(name, text) for store, text in zip(stores, texts, strict=True)))
    if outage := next((end for end in ends if isinstance(end, Outage)), None):
        return outage
    if ends.count(Put.STORED) != 1:
        return "two writers put under one new name, and both were let through, or neither"
    for store in stores:
        found = await store.get(name)
        if isinstance(found, Outage):
            return found
        if found != texts[ends.index(Put.STORED)]:
            return "a reader does not find what the winner of a race put there"
    return await _overwritten(first, second, name)


async def _overwritten(first: Store, second: Store, name: str) -> Outage | str | None:
    for text in (b"third", b"fourth"):
        written = await first.overwrite(name, text)
        found = await second.get(name)
        if outage := next((end for end in (written, found) if isinstance(end, Outage)), None):
            return outage
        if found != text:
            return "a reader finds an old text after it was overwritten"
    return None
