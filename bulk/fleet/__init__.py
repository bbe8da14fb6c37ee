"""Many machines, one input: the store that they share, and what makes sharing safe.

    import asyncio, bulk

    asyncio.run(bulk.fleet.split("modules.csv", settings, "s3://bucket/job"))
    asyncio.run(bulk.fleet.work("s3://bucket/job", 0, settings))        # on each machine, with its shard
    print(asyncio.run(bulk.fleet.merge("s3://bucket/job", "modules.db")).outcomes)

Each function does the same as the command `bulk fleet NAME`, and is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.fleet.driver import FleetLook, FleetSummary
    from bulk.fleet.engines import Engine, Try
    from bulk.fleet.engines.local import LocalEngine
    from bulk.fleet.front import merge, run, split, status
    from bulk.fleet.manifest import Manifest, Member, Shard
    from bulk.fleet.merging import Merged
    from bulk.fleet.standing import AccountStatus, FleetStatus, ShardStatus, Standing
    from bulk.fleet.worker import work

_HOMES = {
    "bulk.fleet.driver": ("FleetLook", "FleetSummary"),
    "bulk.fleet.engines": ("Engine", "Try"),
    "bulk.fleet.engines.local": ("LocalEngine",),
    "bulk.fleet.front": ("merge", "run", "split", "status"),
    "bulk.fleet.manifest": ("Manifest", "Member", "Shard"),
    "bulk.fleet.merging": ("Merged",),
    "bulk.fleet.standing": ("AccountStatus", "FleetStatus", "ShardStatus", "Standing"),
    "bulk.fleet.worker": ("work",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountStatus",
    "Engine",
    "FleetLook",
    "FleetStatus",
    "FleetSummary",
    "LocalEngine",
    "Manifest",
    "Member",
    "Merged",
    "Shard",
    "ShardStatus",
    "Standing",
    "Try",
    "merge",
    "run",
    "split",
    "status",
    "work",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
