"""One account that a sandbox serves: its key, its owner, its rights, and its products."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.sandbox.faults import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.model import Dialect
    from bulk.sandbox.actions.desk import Window
    from bulk.sandbox.faults import FaultPlan
    from bulk.sandbox.worlds.seeds import WorldSeed

__all__ = ["SANDBOX_UID", "Account", "Role", "check_together", "number_of"]

SANDBOX_UID = "1000000000000001"
"""The UID of a sandbox's only account, unless you set another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that can be assumed: its temporary keys act for the account."""

    name: str
    external_id: str | None = None
    """What AssumeRole must name as ExternalId; ``None``: none is needed."""

    trusts: frozenset[str] | None = None
    """Accounts, by name, whose keys may assume it; ``None``: all that the sandbox serves."""

    denied: frozenset[str] = frozenset()
    """Names of the actions that it may not call."""

    @property
    def principal_id(self) -> str:
        """The platform's number for it."""
        return number_of(f"role/{self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A name for one key, as `bulk` has accounts: two of one UID share the platform's limits."""

    name: str = ""
    """Empty: the sandbox's only one."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    uid: str = SANDBOX_UID
    instance_id: str | None = None
    """The IotInstanceId that alibaba requests must name; ``None``: it is not checked."""

    dialect: Dialect | None = None
    """The only dialect that its requests may be written in; ``None``: the sandbox's."""

    products: frozenset[str] | None = None
    """The product keys that exist, besides those that own a module already; ``None``: every one exists."""

    distributed: frozenset[str] = frozenset()
    """Products of other accounts, distributed to this one."""

    qps: float = 10.0
    """Creates in any one second, and updates and deletes as many each; 0: unlimited."""

    list_qps: float = 10.0
    """Listings of modules in any one second, and of packages as many; 0: unlimited."""

    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Other limits, by the action's prefix; 0: unlimited."""

    faults: FaultPlan | None = None
    """What goes wrong for this account alone; ``None``: what goes wrong in the sandbox."""

    seed: int = 0
    """Of its own faults."""

    denied: frozenset[str] = frozenset()
    """Names of the actions that its key may not call."""

    roles: Mapping[str, Role] | None = None
    """Roles by name; ``None``: a role of any name can be assumed."""

    world: WorldSeed | None = None
    """What it holds at its first use."""

    def __post_init__(self) -> None:
        """Refuse rates out of bounds, and a fault that comes before the key is known.

        Raises:
            SettingsError: There is one of these.
        """
        if self.faults and any(fault.effect is Effect.REFUSE for fault in self.faults.faults):
            raise SettingsError(
                f"account {self.name}: refuse happens before it is known whose request it is: write it in --faults"
            )
        if not all(0 <= per_s < math.inf for per_s in (self.qps, self.list_qps, *self.rates.values())):
            raise SettingsError(
                "the sandbox's --qps and --list-qps take 0 (unlimited) or a number above it, and so do other rates"
                f"{f' (account {self.name})' if self.name else ''}"
            )

    @property
    def realm(self) -> str:
        """Name of its world: accounts of one UID and one instance share it."""
        return f"{self.uid}/{self.instance_id or ''}" if self.name else ""

    def granted_per_s(self, window: Window) -> float:
        """Return how many requests a second count against this limit; 0: unlimited."""
        return self.rates.get(window.name, window.granted(self))

    def role(self, name: str) -> Role | None:
        """Return the role of that name, if it can be assumed."""
        return Role(name=name) if self.roles is None else self.roles.get(name)


def number_of(text: str) -> str:
    """Return a number of 18 digits, the same for the same text, like the platform's ids of users and roles."""
    return f"3{int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big') % 10**17:017d}"


def check_together(accounts: Iterable[Account]) -> None:
    """Refuse accounts that can't be served beside each other.

    Raises:
        SettingsError: Two have the same name or key, or have the same UID but other limits.
    """
    by_name: dict[str, Account] = {}
    by_key: dict[str, Account] = {}
    by_uid: dict[str, Account] = {}
    for account in accounts:
        if account is not by_name.setdefault(account.name, account):
            raise SettingsError(f"two accounts of the sandbox are named {account.name!r}: give each its own name")
        other = by_key.setdefault(account.access_key_id, account)
        if other is not account:
            raise SettingsError(f"accounts {other.name} and {account.name} of the sandbox have one AccessKeyId")
        first = by_uid.setdefault(account.uid, account)
        if _limits(first) != _limits(account):
            raise SettingsError(
                f"accounts {first.name} and {account.name} have the UID {account.uid} and share its limits: "
                "give both the same qps, list_qps and rates"
            )


def _limits(account: Account) -> tuple[float, float, dict[str, float]]:
    return account.qps, account.list_qps, dict(account.rates)
