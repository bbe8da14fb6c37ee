"""Find workers that are alive but do nothing: they don't renew their lease, so another may take the shard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from bulk.fleet.progress import highest_fences
from bulk.fleet.store import Outage

if TYPE_CHECKING:
    from bulk.fleet.lease import Terms
    from bulk.fleet.store import Store

__all__ = ["Stillness"]


class _Seen(NamedTuple):
    """Last text of a shard's lease, and when it was first seen."""

    fence: int
    data: bytes | None
    at_s: float


class Stillness:
    """Watches the leases of shards that an engine works on."""

    def __init__(self, store: Store, terms: Terms) -> None:
        """Watch nothing yet."""
        self._store = store
        self._terms = terms
        self._before: dict[int, int] = {}
        """Shard → the highest fence before the try began: only a later one can be this try's."""

        self._seen: dict[int, _Seen] = {}

    def begin(self, shard: int, fence: int) -> None:
        """Watch a shard that was given to an engine."""
        self._before[shard] = fence

    def end(self, shard: int) -> None:
        """Stop watching it."""
        self._before.pop(shard, None)
        self._seen.pop(shard, None)

    async def look(self) -> set[int]:
        """Return the shards whose lease has not been renewed for so long that its holder has lost its right."""
        names = await self._store.names("lease")
        fences = {} if isinstance(names, Outage) else highest_fences(names)
        return {shard for shard in list(self._before) if await self._is_still(shard, fences.get(shard, 0))}

    async def _is_still(self, shard: int, fence: int) -> bool:
        before = self._before.get(shard, fence)
        data = await self._store.get(f"lease/{shard}.{fence}") if fence > before else None
        if not isinstance(data, bytes):
            self._seen.pop(shard, None)  # no lease yet, or the store does not answer: then it is down for us, too
            return False
        now, seen = asyncio.get_running_loop().time(), self._seen.get(shard)
        if seen is None or (seen.fence, seen.data) != (fence, data):
            self._seen[shard] = _Seen(fence, data, now)
            return False
        return now - seen.at_s > self._terms.still_s and shard in self._before
