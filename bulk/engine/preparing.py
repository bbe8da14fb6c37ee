"""What run, sync and apply do first: find the accounts, their map of products and keys, and open the ledger."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.engine.accounts import accounts_of
from bulk.engine.job import map_of, parts_of
from bulk.engine.sessions.keys import KeyRing, given_keys
from bulk.engine.threads import held, in_thread
from bulk.events import LedgerUpgraded
from bulk.ledger.storage.database import is_there
from bulk.ledger.store import Ledger
from bulk.rows.text.source import must_be_there

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.job import Part
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.model import Target
    from bulk.rows.products.product_map import ProductMap
    from bulk.settings import Settings

__all__ = ["Prepared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The accounts of a job, those that are tried, their keys, and the map of products for the input."""

    accounts: tuple[Account, ...]
    parts: tuple[Part, ...]
    keys: KeyRing
    product_map: ProductMap | None
    listener: Listener

    @classmethod
    async def of(
        cls,
        settings: Settings,
        credentials: CredentialProvider | Mapping[str, CredentialProvider] | None,
        *,
        listener: Listener,
        stop: StopSignal,
        syncs: bool = False,
    ) -> Prepared:
        """Find them.

        Args:
            settings: Where the requests go.
            credentials: One provider for all requests, or account → provider; ``None``: as the settings say.
            listener: Receives where the keys are from.
            stop: The job's signal.
            syncs: The job also updates and deletes.

        Raises:
            SettingsError: Settings or credentials can't be used.
            InputError: The map of products can't be read, is incomplete, or is for another target.
            StoppedError: A stop was requested before the keys were available.
        """
        accounts = accounts_of(settings)
        product_map = await map_of(settings, accounts)
        parts = parts_of(accounts, stop=stop, listener=listener, syncs=syncs)
        keys = KeyRing(given_keys(credentials, [part.name for part in parts]), listener=listener)
        await keys.open_only(parts)
        return cls(accounts=accounts, parts=parts, keys=keys, product_map=product_map, listener=listener)

    @property
    def targets(self) -> dict[str, Target]:
        """Account → target, of all that the settings name."""
        return {account.name: account.target for account in self.accounts}

    @asynccontextmanager
    async def ledger(self, path: Path, input_name: str) -> AsyncIterator[Ledger]:
        """Hold the ledger until the block ends, and announce it if the ledger was upgraded.

        Raises:
            InputError: There is no such input, and no ledger either: a name that was mistyped leaves no ledger behind.
            LedgerError: It can't be used, is held by another run, or belongs to another target.
        """
        if not await in_thread(is_there, path):
            await in_thread(must_be_there, input_name)
        async with held(Ledger.open, path, targets=self.targets) as ledger:
            if ledger.upgrade:
                layout, copy = ledger.upgrade
                self.listener(LedgerUpgraded(ledger=str(ledger.path), layout=layout, copy=str(copy)))
            yield ledger
