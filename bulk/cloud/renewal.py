"""Keep temporary keys fresh while a run goes on: asked for in a thread, ahead of their end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.credentials import Credentials
    from bulk.events import Listener

__all__ = ["Found", "RenewedCredentials"]

_ASK_EVERY_S = 60.0
"""Sources answer at once while their keys are fresh; they renew them 15 minutes ahead, which leaves many tries."""

_TRUST_S = 600.0
"""Keys that nobody asked for in this time may be over: whoever wants them then waits for the answer."""

_HARDLY_VALID_S = 600.0
"""A source that renews 15 minutes ahead and gives keys so near their end could not renew them."""


@dataclass(frozen=True, slots=True)
class Found:
    """Keys, and where they are from."""

    credentials: Credentials
    source: str
    """As messages call it."""

    ends_at: float | None = None
    """When they end, in seconds since the epoch, where the source says it."""


class RenewedCredentials:
    """Keys that are renewed. Where that fails it is announced and tried again, and the old keys serve meanwhile."""

    def __init__(
        self,
        fetch: Callable[[], Found],
        first: Found,
        *,
        listener: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with keys; see `open`.

        Args:
            fetch: Returns the keys as they are now, or raises `SettingsError`. Blocks: called in a thread.
            first: What it returned.
            listener: Told of new keys, and when none could be had.
            clock: Monotonic seconds.
            wall_clock: Seconds since the epoch.
        """
        self._fetch = fetch
        self._credentials = first.credentials
        self._listener = listener
        self._clock = clock
        self._wall_clock = wall_clock
        self._asking: asyncio.Task[None] | None = None
        self._ask_next(first)

    @classmethod
    async def open(cls, fetch: Callable[[], Found], *, listener: Listener = ignore) -> RenewedCredentials:
        """Fetch the first keys.

        Raises:
            SettingsError: There are none.
        """
        first = await asyncio.to_thread(fetch)
        listener(CredentialsFound(first.source, first.credentials.mask))
        return cls(fetch, first, listener=listener)

    async def current(self) -> Credentials:
        """See `CredentialProvider.current`."""
        now = self._clock()
        if now >= self._ask_at:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
            if now >= self._ask_at + _TRUST_S:
                await asyncio.shield(self._asking)
        return self._credentials

    async def _ask(self) -> None:
        try:
            self._take(await asyncio.to_thread(self._fetch))
        except SettingsError as exc:
            self._go_on_with_the_old(str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever a source does, the old keys serve; its words may hold secrets
            self._go_on_with_the_old(f"{type(exc).__name__} in the source of the keys")
        finally:
            self._asking = None

    def _go_on_with_the_old(self, reason: str) -> None:
        self._ask_at = self._clock() + _ASK_EVERY_S
        self._listener(CredentialsNotRenewed(reason))

    def _take(self, found: Found) -> None:
        self._ask_next(found)
        if found.credentials != self._credentials:
            self._credentials = found.credentials
            self._listener(CredentialsFound(found.source, found.credentials.mask))
        elif found.ends_at and (left_s := found.ends_at - self._wall_clock()) < _HARDLY_VALID_S:
            self._listener(
                CredentialsNotRenewed(f"{found.source}: still gives keys that end in {max(left_s, 0):.0f} s")
            )

    def _ask_next(self, found: Found) -> None:
        # A key without a token has no end.
        self._ask_at = self._clock() + _ASK_EVERY_S if found.credentials.security_token else float("inf")
