"""The platform in a box: a real HTTP server on loopback that speaks both dialects and remembers what it made.

It owns its own reading of the platform's documents, signature check included, and imports nothing of the rooms that
it judges: rows, cloud, control, ledger and engine.

    async with Sandbox(SandboxConfig(faults=FaultPlan.parse("throttle=5%"))) as sandbox:
        ...  # send requests to sandbox.endpoint, signed with sandbox.credentials
"""

from __future__ import annotations

from bulk.sandbox.config import Casing, DataShape, SandboxConfig
from bulk.sandbox.faults import FaultPlan
from bulk.sandbox.server import CarriedOut, Credentials, Sandbox, Seen

__all__ = ["CarriedOut", "Casing", "Credentials", "DataShape", "FaultPlan", "Sandbox", "SandboxConfig", "Seen"]
