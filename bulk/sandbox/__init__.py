"""The platform in a box: a real HTTP server on loopback that speaks both dialects and remembers what it made.

It has its own reading of the platform's documents, including the signature check. It imports nothing from the packages
that it tests: rows, cloud, control, ledger and engine.

    async with Sandbox(SandboxConfig(faults=FaultPlan.parse("throttle=5%"))) as sandbox:
        ...  # send requests to sandbox.endpoint, signed with sandbox.credentials
"""

from __future__ import annotations

from bulk.sandbox.accounts.account import Account, Role
from bulk.sandbox.arrivals import CarriedOut, Seen, busiest_windows, read_arrivals
from bulk.sandbox.box import Box, Credentials
from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.faults import FaultPlan
from bulk.sandbox.readings import Casing, DataShape, GmtForm, Omitted, PackageShape
from bulk.sandbox.rival import RivalPlan
from bulk.sandbox.server import Sandbox
from bulk.sandbox.worlds.console import Console
from bulk.sandbox.worlds.seeds import WorldSeed, read_seed
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct

__all__ = [
    "Account",
    "Box",
    "CarriedOut",
    "Casing",
    "Console",
    "Credentials",
    "DataShape",
    "FaultPlan",
    "GmtForm",
    "Omitted",
    "PackageShape",
    "RivalPlan",
    "Role",
    "Sandbox",
    "SandboxConfig",
    "Seen",
    "StoredModule",
    "StoredPackage",
    "StoredProduct",
    "WorldSeed",
    "busiest_windows",
    "read_arrivals",
    "read_seed",
]
