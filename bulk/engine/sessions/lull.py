"""Hold back an action's requests in an outage: one at a time probes, at growing intervals, whether it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.engine.stop import StopSignal

__all__ = ["Lull"]


class Lull:
    """Holds requests back while an outage lasts; otherwise they pass."""

    def __init__(self, *, probe_s: Callable[[int], float], stop: StopSignal) -> None:
        """Begin without an outage.

        Args:
            probe_s: Says how long to wait before the probe of this number.
            stop: Ends the holding back permanently.
        """
        self._probe_s = probe_s
        self._stop = stop
        self._probes = 0
        self._line = asyncio.Lock()
        self._over = asyncio.Event()
        self.is_on = False
        """Whether requests are held back. An attribute, because each request reads it several times."""

        stop.follow(self.end)

    def begin(self) -> None:
        """Hold requests back from now on."""
        if not self.is_on and not self._stop.requested:
            self._probes = 0
            self.is_on = True
            self._over.clear()

    def end(self) -> None:
        """Release all requests at once."""
        self.is_on = False
        self._over.set()

    async def wait(self) -> bool:
        """Wait until the outage is over, or until it is this request's turn to probe.

        Returns:
            True: send the request as a probe, and call `probed` when its result is known.
        """
        await self._line.acquire()
        try:
            if await self._is_still_on_at_the_next_probe():
                return True
        except BaseException:
            self._line.release()
            raise
        self._line.release()
        return False

    def probed(self) -> None:
        """Let the next request probe, if the outage still lasts."""
        self._line.release()

    async def _is_still_on_at_the_next_probe(self) -> bool:
        if not self.is_on:
            return False
        self._probes += 1
        try:
            async with asyncio.timeout(self._probe_s(self._probes)):
                await self._over.wait()
        except TimeoutError:
            pass
        return self.is_on
