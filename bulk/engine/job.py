"""What runs and plans work with: an input, a ledger, and a part for each account."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.engine.ingest import ingest
from bulk.engine.sessions.gate import always
from bulk.engine.sessions.rates import asked_rates
from bulk.engine.sessions.recorder import Counters
from bulk.engine.threads import in_thread
from bulk.events import AccountStopped
from bulk.legible import spoken_targets
from bulk.model import AccountNames
from bulk.rows.products.product_map import read_product_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from bulk.engine.accounts import Account
    from bulk.engine.sessions.recorder import Writer
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.ledger.store import Ledger
    from bulk.model import InputFound
    from bulk.rows.products.product_map import ProductMap
    from bulk.settings import Settings

__all__ = ["Job", "Part", "map_of", "part_of", "parts_of", "spoken_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a job does for one account that it tries."""

    account: Account
    stop: StopSignal
    """The account's stop scope: requested alone if only this account can't continue."""

    counters: Counters

    @property
    def name(self) -> str:
        """The account's name; empty if no accounts are named."""
        return self.account.name


@dataclass(kw_only=True)
class Job:
    """An input on its way to its targets, while its ledger is open."""

    input_name: str
    """Path of the input; ``-``: stdin."""

    settings: Settings
    accounts: tuple[Account, ...]
    """All that the settings name, in their order; one without a name if they name none."""

    ledger: Ledger
    """For a plan, a copy that is thrown away."""

    listener: Listener
    stop: StopSignal
    parts: tuple[Part, ...]
    """One part for each account that is tried."""

    syncs: bool = False
    """True: it also updates and deletes."""

    product_map: ProductMap | None = None
    """Maps the input's products to the target's; ``None``: the input has the target's products."""

    may_send: Callable[[], bool] = always
    """Asked at every send: if machines share a job, another one may have the right to send."""

    recording: Callable[[Writer], AbstractAsyncContextManager[Writer]] = nullcontext
    """Wraps the ledger's writer for the lanes: if machines share a job, a claim may take effect only later."""

    @property
    def names_accounts(self) -> bool:
        """Whether rows say which account they are for."""
        return bool(self.settings.accounts)

    async def read_in(self) -> InputFound:
        """Read the input into the ledger.

        Raises:
            InputError: The input can't be read.
            LedgerError: The ledger can't be written.
            IngestStoppedError: A stop was requested meanwhile.
        """
        return await ingest(
            self.input_name,
            self.settings.read,
            self.ledger,
            accounts=self._account_names(),
            product_map=self.product_map,
            stop=self.stop,
            listener=self.listener,
        )

    def _account_names(self) -> AccountNames | None:
        if not self.names_accounts:
            return None
        tried = [part.name for part in self.parts] if self.settings.only_accounts else []
        return AccountNames(
            known=tuple(account.name for account in self.accounts), of_all=tried[0] if len(tried) == 1 else None
        )


async def map_of(settings: Settings, accounts: Iterable[Account]) -> ProductMap | None:
    """Return the map of products that the settings name, if any, after checking that it is for the job's targets.

    Call this before you open a ledger: a job that is refused leaves none behind.

    Args:
        settings: The job's settings.
        accounts: All accounts that they name.

    Raises:
        InputError: The map can't be read, is incomplete, or is for another target.
    """
    path = settings.product_map
    if path is None:
        return None
    product_map = await in_thread(read_product_map, path, settings.read)
    product_map.refuse_other_targets({account.name: str(account.target) for account in accounts})
    return product_map


def parts_of(
    accounts: Iterable[Account], *, stop: StopSignal, listener: Listener, syncs: bool = False
) -> tuple[Part, ...]:
    """Return a part for each account that is tried; see `part_of`."""
    return tuple(
        part_of(account, stop=stop, listener=listener, syncs=syncs) for account in accounts if account.is_tried
    )


def part_of(account: Account, *, stop: StopSignal, listener: Listener, syncs: bool = False) -> Part:
    """Return an account's part of a job; no work on it has started.

    Args:
        account: The account.
        stop: The job's signal. Stopping the job stops all accounts. If the job names no accounts, a stop of the
            account stops the job.
        listener: Learns when the account stops alone.
        syncs: The job also updates and deletes.
    """
    return Part(
        account=account,
        stop=_scope(account.name, stop, listener) if account.name else stop,
        counters=Counters(dict.fromkeys(asked_rates(account.settings, syncs=syncs), 0)),
    )


def spoken_target(accounts: Iterable[Account]) -> str:
    """Return where the requests of all accounts go, for one line on a screen."""
    return spoken_targets(account.target for account in accounts)


def _scope(account: str, stop: StopSignal, listener: Listener) -> StopSignal:
    own = stop.scope()

    def tell() -> None:
        if not stop.requested:
            listener(AccountStopped(account=account, reason=own.reason or ""))

    own.follow(tell)
    return own
