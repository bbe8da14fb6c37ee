"""The sandbox's configuration: one frozen value, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.sandbox.accounts.account import SANDBOX_UID, Account, check_together
from bulk.sandbox.faults import FaultPlan
from bulk.sandbox.readings import Casing, DataShape, GmtForm, Omitted, PackageShape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulk.model import Dialect
    from bulk.sandbox.rival import RivalPlan
    from bulk.sandbox.worlds.seeds import WorldSeed

__all__ = ["SANDBOX_ACCESS_KEY_ID", "SANDBOX_ACCESS_KEY_SECRET", "SandboxConfig"]

SANDBOX_ACCESS_KEY_ID = "sandbox-access-key-id"
"""The key that a sandbox knows unless you set another; it is useless anywhere else."""

SANDBOX_ACCESS_KEY_SECRET = "sandbox-access-key-secret"  # noqa: S105 - public on purpose, worth nothing elsewhere
"""The secret that belongs to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How the platform in a box behaves."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port; `Sandbox.endpoint` says which."""

    expose: bool = False
    """Allow an address in ``host`` that other machines can reach."""

    state: Path | None = None
    """The journal that outlives the process; ``None``: everything is forgotten at the end."""

    qps: float = 10.0
    """Creates that the account may send in any one second, and updates and deletes as many each; 0: unlimited."""

    list_qps: float = 10.0
    """Listings that the account may send in any one second; 0: unlimited."""

    products: frozenset[str] | None = None
    """The product keys that exist, besides those that own a module already; ``None``: every one exists."""

    dialect: Dialect | None = None
    """The only dialect that is spoken; ``None``: each request's own."""

    instance_id: str | None = None
    """The IotInstanceId that every alibaba request must name; ``None``: it is not checked."""

    faults: FaultPlan = field(default_factory=FaultPlan)
    seed: int = 0
    """For faults and the rival: with the same seed, the same requests fail and the rival does the same things."""

    access_key_id: str = SANDBOX_ACCESS_KEY_ID
    access_key_secret: str = field(default=SANDBOX_ACCESS_KEY_SECRET, repr=False)
    uid: str = SANDBOX_UID
    """The UID that GetCallerIdentity names, and that roles are looked for under."""

    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Other limits than ``qps`` and ``list_qps`` say, by the action's prefix; 0: unlimited."""

    denied: frozenset[str] = frozenset()
    """Names of the actions that the key may not call."""

    world: WorldSeed | None = None
    """What a fresh state holds, in place of the demo products."""

    starting_world: bool = True
    """Give a fresh state the products of ``starting_world.json``."""

    accounts: tuple[Account, ...] = ()
    """The accounts that are served, in place of the one that the fields above describe."""

    rival: RivalPlan | None = None
    """Who else changes the cloud meanwhile; `Sandbox.let_in` takes one that a program plays."""

    arrivals: Path | None = None
    """The file that every request is written to, a line each, as `bulk.sandbox.arrivals` reads it."""

    update_omitted: Omitted = Omitted.KEEPS
    """What UpdateOTAModule does to a text that a request leaves out."""

    default_is_fixed: bool = True
    """Refuse to update ``default``: an assumption, no page says."""

    unguarded_tuya_deletes: bool = False
    """Delete ``default`` and modules with packages in the tuya dialect, whose page names neither guard."""

    distributed_is_fixed: bool = True
    """Refuse to change modules of a product that another account distributed: an assumption, no page says."""

    denied_code: str = "Forbidden.RAM"
    """The error for a key without the right; documents also have ``iot.common.RamActionPermissionDeny``."""

    foreign_code: str = "iot.common.AuthActionPermissionDeny"
    """The error for another account's product; documents also have ``iot.Prod.NotProductOwner``."""

    token_life_s: int | None = None
    """How long temporary keys are valid, whatever was asked for; ``None``: as asked for."""

    gmt_form: GmtForm = GmtForm.MINUTES
    package_shape: PackageShape = PackageShape.WRAPPED

    list_default: bool = True
    """Show a product's ``default`` module in listings."""

    lenient_alias: bool = False
    """Take any printable character in AliasName."""

    data_shape: DataShape = DataShape.LIST
    casing: Casing | None = None
    """``None``: as the request's dialect has it."""

    business_status: int = 200
    """HTTP status of a business error; documents contradict each other, 200 is what clients see."""

    def __post_init__(self) -> None:
        """Refuse a configuration that would open the sandbox to the network, or that can't be served.

        Raises:
            SettingsError: A value is out of bounds, or the host is not loopback.
        """
        check_together(self.served)
        if not self.expose and not _is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached by other machines, and the sandbox's keys are public: "
                "use 127.0.0.1, or add --expose if you mean it"
            )

    @property
    def served(self) -> tuple[Account, ...]:
        """The accounts that are served: those that are named, else the only one."""
        return self.accounts or (
            Account(
                access_key_id=self.access_key_id,
                access_key_secret=self.access_key_secret,
                uid=self.uid,
                instance_id=self.instance_id,
                products=self.products,
                qps=self.qps,
                list_qps=self.list_qps,
                rates=self.rates,
                denied=self.denied,
                world=self.world,
            ),
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
