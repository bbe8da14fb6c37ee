"""What a run announces, as values. The engine calls a listener; reports, logs and metrics are listeners.

A listener is called on the event loop, between two requests: it must return at once and never raise.
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
    """The root: a listener for all events takes this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpgraded(Event):
    """An earlier version of bulk wrote the ledger; it now has this version's layout."""

    ledger: str
    layout: int
    """Version of the layout that it had."""

    copy: str
    """Path of the copy that was kept: the earlier version can continue with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTakenOver(Event):
    """The ledger's name for an account's target is not in the settings any more: its records get the new name."""

    account: str
    """The name from now on."""

    before: str
    """The name until now; empty: the records were made without accounts."""

    keys: int
    """Modules that the ledger has a record of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsShort(Event):
    """The system's limit of open files leaves too few connections for each account to reach its rate."""

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
    """The input is read. The products of its open rows are listed now; nothing else is done."""

    products: int


@dataclass(frozen=True, slots=True)
class LookStarted(Event):
    """Products are listed, for an export or a comparison. Sent again when another account's number is known."""

    doing: str
    """The work, as the first word of a sentence: ``Exporting``."""

    products: int
    """Of all accounts so far."""


class SyncPhase(StrEnum):
    """What a sync does for an account."""

    LOOK = "look"  #: every product in scope is listed, and everything is decided
    WORK = "work"  #: the changes that may go are carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """A sync begins to look at the products of an account, or to carry out its changes."""

    phase: SyncPhase
    products: int
    """Products in this step."""

    changes: int = 0
    """Changes that may be sent; 0 in a look: they are not known yet."""

    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStart:
    """One account's part of `RunStarted`."""

    target: str
    rows: int
    outcomes: Mapping[str, int]
    rates: Mapping[Action, float]
    outside: int = 0
    """Open rows that this run must leave for another one, as the settings say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStopped(Event):
    """An account's requests ended early; those of the others go on. Not sent if the job names no accounts."""

    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The input is in the ledger; requests begin. If very many rows must be counted, the first ones leave earlier."""

    run_id: str
    ledger: str
    input: str
    target: str
    rows: int
    """Rows of the input."""

    outcomes: dict[str, int]
    """The rows' outcomes before the first request: each outcome's name → rows."""

    rates: Mapping[Action, float]
    """Requests a second asked for, by action, for the actions that the run sends; 0: unlimited."""

    outside: int = 0
    """Open rows that this run must leave for another one, as the settings say."""

    accounts: Mapping[str, AccountStart] = field(default_factory=dict)
    """Name → the state of its rows, for the accounts that the run sends to; empty: the job names none."""

    syncs: bool = False
    """It is a sync, or an apply: it also looks at rows that are provisioned, and changes what is there."""


@dataclass(frozen=True, slots=True)
class LaneOpened(Event):
    """Work on a product starts."""

    product_key: str
    rows: int
    """Its open rows."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class LaneClosed(Event):
    """Every row of the product that could be settled is settled."""

    product_key: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class AttemptMade(Event):
    """A request ended, with success or failure."""

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
    """The pace of an action was lowered or raised again."""

    action: Action
    per_s: float
    asked_per_s: float
    throttled: bool
    """True: lowered just now, by a throttled reply."""

    account: str = ""
    """The account that caused it; accounts of its rate group share the pace."""

    unshared: str | None = None
    """Why this process can't exchange notes with others, which halved its rate just now; ``None``: another cause."""


@dataclass(frozen=True, slots=True)
class ClockCorrected(Event):
    """This machine's clock was wrong; requests carry the platform's time from now on."""

    offset_s: float
    """Platform's time minus ours."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsFound(Event):
    """Requests are signed with these keys from now on: the first ones, or renewed ones."""

    source: str
    """Where they come from, in words."""

    mask: Callable[[str], str] | None = field(default=None, repr=False, compare=False)
    """Removes the keys' secrets from a text, and shows none itself; for code that writes down libraries' messages."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsNotRenewed(Event):
    """Temporary keys could not be renewed. The old ones are used until they expire, and renewing is tried again."""

    message: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class RowSettled(Event):
    """A row has its outcome, and the ledger's writer has received it."""

    settlement: Settlement


@dataclass(frozen=True, slots=True)
class RunStopping(Event):
    """No request is sent from now on. Those in flight end, and their rows are settled."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The ledger is closed; this is the summary."""

    summary: Summary


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Ignore the event: a listener for callers that need none."""
