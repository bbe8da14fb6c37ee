"""What the sandbox is told: one frozen value, checked as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.sandbox.faults import FaultPlan

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.model import Dialect

__all__ = ["SANDBOX_ACCESS_KEY_ID", "SANDBOX_ACCESS_KEY_SECRET", "Casing", "DataShape", "SandboxConfig"]

SANDBOX_ACCESS_KEY_ID = "sandbox-access-key-id"
"""The key that a sandbox knows unless it is told another; opens nothing anywhere else."""

SANDBOX_ACCESS_KEY_SECRET = "sandbox-access-key-secret"  # noqa: S105 - public on purpose, worth nothing elsewhere
"""The secret that belongs to it."""


class DataShape(StrEnum):
    """How a listing's modules are laid out; the platform's own documents contradict each other."""

    LIST = "list"  #: ``Data: [...]``, as the official SDK's model has it
    WRAPPED = "wrapped"  #: ``Data: {OtaModuleDTO: [...]}``, as sibling actions have it
    SINGLE = "single"  #: one object where there is exactly one module, as the documented sample has it; else a list
    NULL_WHEN_EMPTY = "null-when-empty"  #: ``Data: null`` where there is none; else a list


class Casing(StrEnum):
    """How the names in a JSON reply are written."""

    PASCAL = "pascal"  #: ``RequestId``, ``Success``: the alibaba dialect's
    CAMEL = "camel"  #: ``requestId``, ``success``, ``code: ""``: the tuya dialect's
    MIXED = (
        "mixed"  #: ``requestId``, ``success``, ``code: ""`` beside ``Data`` with ``ModuleName``, as one sample has it
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How the platform in a box behaves."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one; `Sandbox.endpoint` tells which."""

    expose: bool = False
    """Let ``host`` be an address that other machines can reach."""

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
    """The IotInstanceId that every alibaba request must name; ``None``: none is looked at."""

    faults: FaultPlan = field(default_factory=FaultPlan)
    seed: int = 0
    """Of the faults: the same seed makes the same requests fail."""

    access_key_id: str = SANDBOX_ACCESS_KEY_ID
    access_key_secret: str = field(default=SANDBOX_ACCESS_KEY_SECRET, repr=False)
    starting_world: bool = True
    """Give a fresh state the products of ``starting_world.json``."""

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
        """Refuse what would open the sandbox to the network, or can't be served.

        Raises:
            SettingsError: A value is out of bounds, or the host is not loopback.
        """
        if not all(0 <= per_s < math.inf for per_s in (self.qps, self.list_qps)):
            raise SettingsError("the sandbox's --qps and --list-qps take 0 (unlimited) or a number above it")
        if not self.expose and not _is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached by other machines, and the sandbox's keys are public: "
                "use 127.0.0.1, or add --expose if you mean it"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
