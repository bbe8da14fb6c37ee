"""What a run announces, as values. The engine tells a listener; reports, logs and metrics are listeners.

A listener is called on the event loop, between two requests: it returns at once and never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Action, Attempt, InputFound, Settlement, Summary

__all__ = [
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
    "ignore",
]


@dataclass(frozen=True, slots=True)
class Event:
    """The root: a listener that wants everything takes this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpgraded(Event):
    """An earlier version had written the ledger; it now has the layout of this one."""

    ledger: str
    layout: int
    """Version of the layout that it had."""

    copy: str
    """Path of the copy that was kept: the earlier version can go on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTakenOver(Event):
    """The ledger had another name for an account's target, and no settings have that name: its records are renamed."""

    account: str
    """The name from now on."""

    before: str
    """The name until now; empty: the records were made without accounts."""

    keys: int
    """Modules that the ledger has a record of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsShort(Event):
    """The system's limit of open files leaves each account so few connections that it may not reach its rate."""

    files: int
    """Files that this process may have open."""

    accounts: int
    each: int
    """Connections that each of them may have."""


@dataclass(frozen=True, slots=True)
class IngestProgressed(Event):
    """So many rows of the input have been read."""

    rows: int


@dataclass(frozen=True, slots=True)
class InputRead(Event):
    """The input was read to its end."""

    found: InputFound


@dataclass(frozen=True, slots=True)
class PlanStarted(Event):
    """The input is read; the products of its open rows are listed, and nothing else is done."""

    products: int


@dataclass(frozen=True, slots=True)
class LookStarted(Event):
    """Products are listed, for an export or a comparison; sent again when another account says how many it has."""

    doing: str
    """The work, as a sentence begins with it: ``Exporting``."""

    products: int
    """Of all accounts so far."""


class SyncPhase(StrEnum):
    """What a sync does for an account."""

    LOOK = "look"  #: every product in scope is listed, and everything is decided
    WORK = "work"  #: the changes that may go are carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """A sync looks at the products of an account from now on, or carries out its changes."""

    phase: SyncPhase
    products: int
    """Products that it goes through."""

    changes: int = 0
    """Changes that may go; 0 in a look: they are not known yet."""

    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStart:
    """An account's part of what `RunStarted` tells."""

    target: str
    rows: int
    outcomes: Mapping[str, int]
    rates: Mapping[Action, float]
    outside: int = 0
    """Open rows that this run was told to leave for another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStopped(Event):
    """An account's requests have ended early, those of the others go on. Not sent where there are no accounts."""

    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The input is in the ledger; requests begin. Where very many rows are to be counted, the first leave meanwhile."""

    run_id: str
    ledger: str
    input: str
    target: str
    rows: int
    """Rows of the input."""

    outcomes: dict[str, int]
    """How the rows stood before the first request: each outcome's name → rows."""

    rates: Mapping[Action, float]
    """Requests a second asked for, by action, for the actions that the run sends; 0: unlimited."""

    outside: int = 0
    """Open rows that this run was told to leave for another one."""

    accounts: Mapping[str, AccountStart] = field(default_factory=dict)
    """Name → how its rows stand, for the accounts that the run sends to; empty: the job names none."""

    syncs: bool = False
    """It is a sync, or an apply: it also looks at rows that are provisioned, and changes what is there."""


@dataclass(frozen=True, slots=True)
class LaneOpened(Event):
    """Work on a product has begun."""

    product_key: str
    rows: int
    """Its open rows."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class LaneClosed(Event):
    """Every row of the product that could be settled has been."""

    product_key: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class AttemptMade(Event):
    """A request ended, well or badly."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """A failed attempt will be repeated."""

    action: Action
    product_key: str
    line: int | None
    """Line of the row; ``None`` for a listing."""

    attempt: int
    """Number of the attempt that failed, starting at 1."""

    delay_s: float
    code: str
    message: str
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChanged(Event):
    """The pace of an action was lowered, or climbed back."""

    action: Action
    per_s: float
    asked_per_s: float
    throttled: bool
    """True: lowered just now, by a throttled reply."""

    account: str = ""
    """The one that met it; accounts of its rate group share the pace."""

    unshared: str | None = None
    """Why other processes on this machine can't be heard, which halved the rate just now; ``None``: another cause."""


@dataclass(frozen=True, slots=True)
class ClockCorrected(Event):
    """This machine's clock was off; requests are stamped with the platform's from now on."""

    offset_s: float
    """Platform's time minus ours."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsFound(Event):
    """Requests are signed with these keys from now on: the first ones, or renewed ones."""

    source: str
    """Where they are from, in words."""

    mask: Callable[[str], str] | None = field(default=None, repr=False, compare=False)
    """Takes the keys' secrets out of a text, and shows none itself; for whatever writes down what libraries say."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsNotRenewed(Event):
    """Temporary keys could not be renewed; the old ones serve while they last, and renewing is tried again."""

    message: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class RowSettled(Event):
    """A row has its outcome; the ledger's writer has been handed it."""

    settlement: Settlement


@dataclass(frozen=True, slots=True)
class RunStopping(Event):
    """No request is sent from now on; those in flight end and are settled."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The ledger is closed; this is how it stands."""

    summary: Summary


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Be the listener of whoever does not want to know."""
