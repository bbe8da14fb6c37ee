"""Keep temporary keys fresh during a run: ask for new ones in a thread, before they expire."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bulk.cloud.keys.asking import SilentSourceError, ask
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, ignore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.cloud.keys.credentials import Credentials
    from bulk.events import Listener
    from bulk.redaction import Mask

__all__ = ["Fetch", "Found", "RenewedCredentials"]

_ASK_EVERY_S = 60.0
"""Sources answer at once while their keys are fresh. They renew them 15 minutes early, which leaves many tries."""

_TRUST_S = 600.0
"""Keys that nobody asked for in this time may have expired: the next request for keys waits for the source."""

_HARDLY_VALID_S = 600.0
"""A source renews 15 minutes early. If it gives keys that expire this soon, it could not renew them."""

_FIRST_WITHIN_S = 60.0
"""How long all sources together may take at the start of a run."""

_WITHIN_S = 30.0
"""How long the chosen source may take later. The official library waits 15 seconds for each of its requests."""

_PAUSES_S = (0.0, 1.0, 3.0)
"""Wait before each try to replace refused keys: a file may be rewritten just now, or a service restarted."""


@dataclass(frozen=True, slots=True)
class Found:
    """Keys, and where they come from."""

    credentials: Credentials
    source: str
    """Its name in messages."""

    ends_at: float | None = None
    """When they expire, in seconds since the epoch, if the source says it."""

    behind: Credentials | None = None
    """The keys that the source itself used to get these, if it used any."""

    @property
    def long_lived_key_id(self) -> str | None:
        """See `cloud.credentials.AccountCredentials`."""
        return (self.behind or self.credentials).long_lived_key_id

    @property
    def mask(self) -> Mask:
        """Removes the secrets of these keys, and of the keys that got them, from a text."""
        return self.credentials.mask | self.behind.mask if self.behind else self.credentials.mask


class Fetch(Protocol):
    """Asks a source of keys."""

    def __call__(self, *, anew: bool = False) -> Found:
        """Return the current keys. Blocks: called in a thread, one call at a time.

        Args:
            anew: Ask for new keys and ignore remembered ones: the platform refused those.

        Raises:
            SettingsError: There are none.
        """
        ...


class RenewedCredentials:
    """Keys that are renewed. If that fails, it is announced and tried again; the old keys are used meanwhile."""

    def __init__(
        self,
        fetch: Fetch,
        first: Found,
        *,
        listener: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Begin with keys; see `open`.

        Args:
            fetch: Asks for the keys.
            first: What it returned.
            listener: Receives an event for new keys, and one when renewal failed.
            clock: Monotonic seconds.
            wall_clock: Seconds since the epoch. It goes on while a machine sleeps; the other clock may not.
            sleep: Waits so many seconds.
        """
        self._fetch = fetch
        self._credentials = first.credentials
        self._listener = listener
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._asking: asyncio.Task[None] | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._refused: Credentials | None = None
        """Keys that were refused, so that others were asked for."""

        self._why_none = ""
        self._take_note(first)

    @classmethod
    async def open(cls, fetch: Fetch, *, listener: Listener = ignore) -> RenewedCredentials:
        """Fetch the first keys.

        Raises:
            SettingsError: There are none.
            KeysUnavailableError: A source that should have them does not answer.
        """
        try:
            first = await ask(fetch, within_s=_FIRST_WITHIN_S)
        except SilentSourceError as exc:
            raise KeysUnavailableError(
                f"no keys to sign requests with: their sources gave {exc}; run again when they answer"
            ) from None
        listener(CredentialsFound(first.source, first.mask))
        return cls(fetch, first, listener=listener)

    @property
    def source(self) -> str:
        """See `ReplaceableCredentials.source`."""
        return self._source

    @property
    def long_lived_key_id(self) -> str | None:
        """See `AccountCredentials.long_lived_key_id`."""
        return self._long_lived_key_id

    async def current(self) -> Credentials:
        """See `CredentialProvider.current`."""
        if self._replacing is not None:
            await asyncio.shield(self._replacing)
        if self._asks_for_changes:
            await self._keep_fresh()
        return self._credentials

    async def replace(self, refused: Credentials) -> str | None:
        """See `ReplaceableCredentials.replace`."""
        if refused == self._credentials and refused is not self._refused:
            if self._replacing is None:
                self._replacing = asyncio.create_task(self._replace(refused))
            await asyncio.shield(self._replacing)
        return None if refused != self._credentials else self._why_none

    async def _keep_fresh(self) -> None:
        wall_at = self._wall_clock()
        # Either clock may stop or be set back, but they don't do so together.
        age_s = max(self._clock() - self._asked, wall_at - self._asked_at)
        if age_s < _ASK_EVERY_S:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        if age_s >= _ASK_EVERY_S + _TRUST_S or self._ended_since_asked(wall_at):
            await asyncio.shield(self._asking)

    def _ended_since_asked(self, wall_at: float) -> bool:
        return self._ends_at is not None and self._asked_at < self._ends_at <= wall_at

    async def _ask(self) -> None:
        try:
            self._take(await ask(self._fetch, within_s=_WITHIN_S))
        except Exception as exc:  # noqa: BLE001 - whatever a source raises, the old keys are used
            self._go_on_with_the_old(self._words(exc))
        finally:
            self._asking = None

    async def _replace(self, refused: Credentials) -> None:
        try:
            if self._asking is not None:
                await asyncio.shield(self._asking)
            for pause_s in _PAUSES_S:
                await self._sleep(pause_s)
                if self._credentials != refused or await self._others(refused):
                    return
        finally:
            self._refused = refused
            self._replacing = None

    async def _others(self, refused: Credentials) -> bool:
        """Ask for other keys; return whether the source gave any, even the same ones."""
        try:
            self._take(await ask(lambda: self._fetch(anew=True), within_s=_WITHIN_S))
        except Exception as exc:  # noqa: BLE001 - as above
            self._why_none = f"asked again, it gave none: {self._words(exc)}"
        else:
            self._why_none = "asked again, it gave the same" if self._credentials == refused else ""
            return True
        return False

    def _words(self, exc: Exception) -> str:
        if isinstance(exc, SettingsError):
            return str(exc)
        if isinstance(exc, SilentSourceError):
            return f"{self._source}: {exc}"
        return f"{type(exc).__name__} in the source of the keys"  # its own words may hold secrets

    def _go_on_with_the_old(self, reason: str) -> None:
        self._asked, self._asked_at = self._clock(), self._wall_clock()
        self._listener(CredentialsNotRenewed(reason))

    def _take(self, found: Found) -> None:
        self._take_note(found)
        if found.credentials != self._credentials:
            self._credentials = found.credentials
            self._listener(CredentialsFound(found.source, found.mask))
        elif found.ends_at and (left_s := found.ends_at - self._wall_clock()) < _HARDLY_VALID_S:
            self._listener(
                CredentialsNotRenewed(f"{found.source}: still gives keys that expire in {max(left_s, 0):.0f} s")
            )

    def _take_note(self, found: Found) -> None:
        self._source, self._ends_at = found.source, found.ends_at
        self._long_lived_key_id = found.long_lived_key_id
        self._asked, self._asked_at = self._clock(), self._wall_clock()
        # A key without a token never expires.
        self._asks_for_changes = found.credentials.security_token is not None
