"""Keep the OTA modules of thousands of IoT products as a file says: signed, paced, resumable.

    import asyncio, bulk

    summary = asyncio.run(bulk.run("modules.csv", bulk.Settings(region="cn-shanghai")))
    print(summary.outcomes["created"], summary.exit_code)

`run`, `plan`, `sync` and the others mean the same as the commands of their names; keys come from the environment unless
``credentials`` gives them. `bulk.fleet` has the commands of `bulk fleet`. Everything here is imported when it is first
used, so that a program starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk import fleet
    from bulk.cloud.keys.credentials import CredentialProvider, Credentials, StaticCredentials
    from bulk.control.guard import Limit
    from bulk.engine.looking.check import Checked, check
    from bulk.engine.looking.export import Exported, export
    from bulk.engine.plan import Plan, plan
    from bulk.engine.run import run
    from bulk.engine.stop import StopSignal
    from bulk.engine.sync.apply import apply
    from bulk.engine.sync.options import SyncOptions
    from bulk.engine.sync.run import sync
    from bulk.errors import (
        BulkError,
        InputError,
        KeysUnavailableError,
        LedgerError,
        LedgerHeldError,
        LedgerTargetError,
        SettingsError,
        StoppedError,
        UnprovenError,
        UnreadError,
    )
    from bulk.events import (
        AccountStart,
        AccountStopped,
        AccountTakenOver,
        AttemptMade,
        ClockCorrected,
        ConnectionsShort,
        CredentialsFound,
        CredentialsNotRenewed,
        Event,
        IngestProgressed,
        InputRead,
        LaneClosed,
        LaneOpened,
        LedgerUpgraded,
        Listener,
        LookStarted,
        PhaseStarted,
        PlanStarted,
        RateChanged,
        RetryScheduled,
        RowSettled,
        RunEnded,
        RunStarted,
        RunStopping,
        SyncPhase,
    )
    from bulk.exits import ExitCode
    from bulk.model import (
        AccountSummary,
        Action,
        Attempt,
        Dialect,
        FailureKind,
        InputFound,
        OtaModule,
        Outcome,
        Reason,
        Settlement,
        Summary,
        SyncFigures,
    )
    from bulk.settings import ReadSettings, Settings
    from bulk.settings.account import AccountSettings
    from bulk.settings.values import FailureCap

_HOMES = {
    "bulk.settings.account": ("AccountSettings",),
    "bulk.cloud.keys.credentials": ("CredentialProvider", "Credentials", "StaticCredentials"),
    "bulk.control.guard": ("Limit",),
    "bulk.engine.looking.check": ("Checked", "check"),
    "bulk.engine.looking.export": ("Exported", "export"),
    "bulk.engine.plan": ("Plan", "plan"),
    "bulk.engine.run": ("run",),
    "bulk.engine.stop": ("StopSignal",),
    "bulk.engine.sync.apply": ("apply",),
    "bulk.engine.sync.options": ("SyncOptions",),
    "bulk.engine.sync.run": ("sync",),
    "bulk.errors": (
        "BulkError",
        "InputError",
        "KeysUnavailableError",
        "LedgerError",
        "LedgerHeldError",
        "LedgerTargetError",
        "SettingsError",
        "StoppedError",
        "UnprovenError",
        "UnreadError",
    ),
    "bulk.events": (
        "AccountStart",
        "AccountStopped",
        "AccountTakenOver",
        "AttemptMade",
        "ClockCorrected",
        "ConnectionsShort",
        "CredentialsFound",
        "CredentialsNotRenewed",
        "Event",
        "IngestProgressed",
        "InputRead",
        "LaneClosed",
        "LaneOpened",
        "LedgerUpgraded",
        "Listener",
        "LookStarted",
        "PhaseStarted",
        "PlanStarted",
        "RateChanged",
        "RetryScheduled",
        "RowSettled",
        "RunEnded",
        "RunStarted",
        "RunStopping",
        "SyncPhase",
    ),
    "bulk.exits": ("ExitCode",),
    "bulk.model": (
        "AccountSummary",
        "Action",
        "Attempt",
        "Dialect",
        "FailureKind",
        "InputFound",
        "OtaModule",
        "Outcome",
        "Reason",
        "Settlement",
        "Summary",
        "SyncFigures",
    ),
    "bulk.settings.values": ("FailureCap",),
    "bulk.settings": ("ReadSettings", "Settings"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountSettings",
    "AccountStart",
    "AccountStopped",
    "AccountSummary",
    "AccountTakenOver",
    "Action",
    "Attempt",
    "AttemptMade",
    "BulkError",
    "Checked",
    "ClockCorrected",
    "ConnectionsShort",
    "CredentialProvider",
    "Credentials",
    "CredentialsFound",
    "CredentialsNotRenewed",
    "Dialect",
    "Event",
    "ExitCode",
    "Exported",
    "FailureCap",
    "FailureKind",
    "IngestProgressed",
    "InputError",
    "InputFound",
    "InputRead",
    "KeysUnavailableError",
    "LaneClosed",
    "LaneOpened",
    "LedgerError",
    "LedgerHeldError",
    "LedgerTargetError",
    "LedgerUpgraded",
    "Limit",
    "Listener",
    "LookStarted",
    "OtaModule",
    "Outcome",
    "PhaseStarted",
    "Plan",
    "PlanStarted",
    "RateChanged",
    "ReadSettings",
    "Reason",
    "RetryScheduled",
    "RowSettled",
    "RunEnded",
    "RunStarted",
    "RunStopping",
    "Settings",
    "SettingsError",
    "Settlement",
    "StaticCredentials",
    "StopSignal",
    "StoppedError",
    "Summary",
    "SyncFigures",
    "SyncOptions",
    "SyncPhase",
    "UnprovenError",
    "UnreadError",
    "apply",
    "check",
    "export",
    "fleet",
    "plan",
    "run",
    "sync",
]


def __getattr__(name: str) -> object:
    if name == "fleet":
        return import_module("bulk.fleet")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
