"""Open the keys of a job's accounts: spread over time, each on its own, no two accounts the same.

Keys may come from a token service, which has its own limit. Keys that take long don't delay the other accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from bulk.engine.accounts import open_account_keys, refuse_double
from bulk.engine.sessions.connect import credentials_for
from bulk.engine.sessions.rates import group_name
from bulk.engine.threads import in_thread

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Sequence

    from aiolimiter import AsyncLimiter

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account, OpenedAccount
    from bulk.engine.job import Part
    from bulk.events import Listener

__all__ = ["GivenKeys", "KeyRing", "Opened", "given_keys"]

GivenKeys = Mapping[str, "CredentialProvider"]
"""Keys that a program passes, by account; in a job without accounts the account is ``''``."""

_OPENED_PER_S = 50.0
"""Half of a token service's limit for an account."""

_PATIENCE_S = 3.0
"""How long the first request of a job waits for slow keys; after that, their accounts start later."""


class Opened(NamedTuple):
    """An account's keys."""

    credentials: CredentialProvider
    rate_group: str
    """Accounts with the same one share the platform's rates."""

    shared_as: str | None = None
    """Name of the rate group for other processes of this machine; ``None``: no other process sends there."""


def given_keys(credentials: CredentialProvider | GivenKeys | None, accounts: Sequence[str]) -> GivenKeys:
    """Return the keys that a program passed, by account; a single provider signs for every account."""
    if credentials is None:
        return {}
    return credentials if isinstance(credentials, Mapping) else dict.fromkeys(accounts, credentials)


class KeyRing:
    """The keys of a job's accounts."""

    def __init__(self, given: GivenKeys, *, listener: Listener) -> None:
        """Open nothing yet.

        Args:
            given: Keys that the program passed.
            listener: Receives where keys are from, and when they can't be renewed.
        """
        self._given = given
        self._listener = listener
        self._found: list[OpenedAccount] = []
        """Accounts whose keys were looked for; no two are the same."""

        self._first_look = True
        self._spread: AsyncLimiter | None = None
        self._opening: dict[str, Future[Opened]] = {}

    async def open_only(self, parts: Sequence[Part]) -> None:
        """If there is only one account, open its keys: without them it is useless to read the input.

        Raises:
            SettingsError: There are no keys.
            StoppedError: A stop was requested before they were available.
        """
        if len(parts) == 1:
            opened: Future[Opened] = asyncio.get_running_loop().create_future()
            opened.set_result(await self._open(parts[0]))
            self._opening[parts[0].name] = opened

    @asynccontextmanager
    async def opening(self, parts: Sequence[Part], *, patient: bool = True) -> AsyncIterator[None]:
        """Open the keys of these accounts, until the block ends; the block begins when most keys are available.

        Args:
            parts: The parts that have work; some may be opening already.
            patient: False: the block begins at once, as nothing needs the keys yet.

        Raises:
            SettingsError: Two accounts are the same.
        """
        missing = [part for part in parts if part.name not in self._opening]
        if len(missing) > 1:
            self._spread = await in_thread(_spread)
        self._opening |= {part.name: asyncio.create_task(self._open(part)) for part in missing}
        try:
            if patient and len(self._opening) > 1 and (missing or self._first_look):
                await self._wait_for_most()
            yield
        finally:
            for opening in self._opening.values():
                opening.cancel()
            await asyncio.gather(*self._opening.values(), return_exceptions=True)

    async def of(self, part: Part) -> Opened:
        """Return the keys of an account once they are available.

        Raises:
            SettingsError: There are no keys, or they are another account's.
            StoppedError: A stop was requested first.
        """
        return await asyncio.shield(self._opening[part.name])

    async def _wait_for_most(self) -> None:
        spread_s = len(self._opening) / _OPENED_PER_S
        await asyncio.wait(self._opening.values(), timeout=spread_s + _PATIENCE_S)
        self._first_look = False
        refuse_double(self._found)

    async def _open(self, part: Part) -> Opened:
        account, settings = part.account, part.account.settings
        if account.name in self._given:
            keys = self._given[account.name]
            group = settings.rate_group or account.keys.uid or (await keys.current()).access_key_id
            return Opened(keys, group, _shared_as(account, group))
        if settings.sandbox:
            keys = await credentials_for(settings, listener=self._listener)
            return Opened(keys, settings.rate_group or account.name)
        if self._spread is not None:
            await part.stop.unless_requested(self._spread.acquire())
        found = await part.stop.unless_requested(open_account_keys(account, listener=self._listener))
        if not self._first_look:
            # Too late to refuse the whole job: only this account can be left out.
            refuse_double([*self._found, found])
        self._found.append(found)
        return Opened(found.credentials, found.rate_group, _shared_as(account, found.rate_group))


def _spread() -> AsyncLimiter:
    from aiolimiter import AsyncLimiter  # noqa: PLC0415 - reads files, and a run for one account spreads nothing

    return AsyncLimiter(1, 1 / _OPENED_PER_S)  # capacity 1: a larger one would allow bursts


def _shared_as(account: Account, group: str) -> str:
    return group_name(account.target, group, is_written=account.settings.rate_group is not None)
