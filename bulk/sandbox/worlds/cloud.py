"""All worlds that a sandbox serves, in one journal: which world a request is about, and who owns a product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox.worlds.journal import Journal
from bulk.sandbox.worlds.seeds import as_file, starting_world
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.sandbox.accounts.account import Account
    from bulk.sandbox.accounts.directory import Caller
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig

__all__ = ["Cloud", "dumped"]


class Cloud:
    """One world for each UID and instance."""

    def __init__(self, state: Path | None, accounts: tuple[Account, ...], *, with_demo: bool) -> None:
        """Open the journal and give fresh worlds what they start with.

        Args:
            state: The journal; ``None``: everything is forgotten at the end.
            accounts: Whose worlds there are.
            with_demo: Whether the only account starts with the demo products, where it names no world.

        Raises:
            SettingsError: The journal can't be read, or two UIDs claim one product.
        """
        _check_owners(accounts)
        self._accounts = accounts
        self._journal = Journal(state) if state else None
        self._worlds = {realm: self._open(realm, with_demo=with_demo) for realm in {a.realm: None for a in accounts}}

    def world_of(self, account: Account) -> World:
        """Return what an account's own instance holds."""
        return self._worlds[account.realm]

    def world_for(self, caller: Caller, call: Call) -> World | None:
        """Return the world that a request is about; ``None``: the instance that it names is not the caller's.

        Rights are for actions alone: a key reaches every instance of its UID. Tuya knows no instances.
        """
        own = caller.account
        if call.dialect is Dialect.TUYA:
            return self.world_of(own)
        named = call.params.get("IotInstanceId") or None
        reachable = [own, *(account for account in self._accounts if account.uid == own.uid)]
        exact = next((account for account in reachable if account.instance_id == named), None)
        account = exact or (own if own.instance_id is None else None)
        return self.world_of(account) if account else None

    def is_foreign(self, product_key: str, *, uid: str) -> bool:
        """Say whether a product is known to belong to another UID."""
        return any(
            self.world_of(account).holds_product(product_key) for account in self._accounts if account.uid != uid
        )

    def is_elsewhere(self, product_key: str, world: World) -> bool:
        """Say whether a product is known in another world."""
        return any(other is not world and other.holds_product(product_key) for other in self._worlds.values())

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()

    def _open(self, realm: str, *, with_demo: bool) -> World:
        accounts = [account for account in self._accounts if account.realm == realm]
        named = [account.products for account in accounts if account.products is not None]
        world = World(
            self._journal,
            products=frozenset().union(*named) if len(named) == len(accounts) else None,
            distributed=frozenset().union(*(account.distributed for account in accounts)),
            realm=realm,
        )
        if world.is_fresh:
            seeds = [account.world for account in accounts if account.world]
            for seed in seeds or ([starting_world()] if with_demo and not realm else []):
                world.populate(seed)
        return world


def dumped(config: SandboxConfig) -> bytes:
    """Write what a sandbox's state holds, without serving it: a world, or one for each account by name.

    Raises:
        SettingsError: There is no state, or it can't be read.
    """
    if config.state is None or not config.state.exists():
        raise SettingsError(f"there is no state to print: name the file of a sandbox with --state, not {config.state}")
    cloud = Cloud(config.state, config.served, with_demo=config.starting_world)
    worlds = {account.name: as_file(cloud.world_of(account)) for account in config.served}
    cloud.close()
    if not config.accounts:
        return worlds[""]
    return b"{" + b",\n".join(b"%b: %b" % (orjson.dumps(name), world) for name, world in worlds.items()) + b"}\n"


def _check_owners(accounts: tuple[Account, ...]) -> None:
    owners: dict[str, Account] = {}
    for account in accounts:
        for key in (account.products or frozenset()) - account.distributed:
            owner = owners.setdefault(key, account)
            if owner.uid != account.uid:
                raise SettingsError(
                    f"product {key} is named by account {owner.name} and by account {account.name}, of another UID: "
                    "name it under `distributed` where it is not the account's own"
                )
