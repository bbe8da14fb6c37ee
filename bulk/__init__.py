"""Create OTA modules for thousands of IoT products: signed, paced, resumable.

    import asyncio, bulk

    summary = asyncio.run(bulk.run("modules.csv", bulk.Settings(region="cn-shanghai")))
    print(summary.outcomes["created"], summary.exit_code)

`run` and `plan` mean the same as the commands `bulk run` and `bulk plan`; keys come from the environment unless
``credentials`` gives them. Everything here is imported when it is first used, so that a program starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.cloud.credentials import CredentialProvider, Credentials, StaticCredentials
    from bulk.engine.plan import Plan, plan
    from bulk.engine.run import run
    from bulk.engine.stop import StopSignal
    from bulk.errors import (
        BulkError,
        InputError,
        KeysUnavailableError,
        LedgerError,
        LedgerHeldError,
        LedgerTargetError,
        SettingsError,
        StoppedError,
    )
    from bulk.events import Event, Listener
    from bulk.model import Dialect, OtaModule, Outcome, Summary
    from bulk.settings import FailureCap, ReadSettings, Settings

_HOMES = {
    "bulk.cloud.credentials": ("CredentialProvider", "Credentials", "StaticCredentials"),
    "bulk.engine.plan": ("Plan", "plan"),
    "bulk.engine.run": ("run",),
    "bulk.engine.stop": ("StopSignal",),
    "bulk.errors": (
        "BulkError",
        "InputError",
        "KeysUnavailableError",
        "LedgerError",
        "LedgerHeldError",
        "LedgerTargetError",
        "SettingsError",
        "StoppedError",
    ),
    "bulk.events": ("Event", "Listener"),
    "bulk.model": ("Dialect", "OtaModule", "Outcome", "Summary"),
    "bulk.settings": ("FailureCap", "ReadSettings", "Settings"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BulkError",
    "CredentialProvider",
    "Credentials",
    "Dialect",
    "Event",
    "FailureCap",
    "InputError",
    "KeysUnavailableError",
    "LedgerError",
    "LedgerHeldError",
    "LedgerTargetError",
    "Listener",
    "OtaModule",
    "Outcome",
    "Plan",
    "ReadSettings",
    "Settings",
    "SettingsError",
    "StaticCredentials",
    "StopSignal",
    "StoppedError",
    "Summary",
    "plan",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
