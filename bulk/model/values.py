"""What is asked of the platform, what it answers, and what is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bulk.model.actions import Action, ChangeKind
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from bulk.model.outcomes import Outcome

__all__ = [
    "MAX_CUSTOM_MODULES",
    "NO_LINE",
    "RESERVED_MODULE_NAME",
    "Accepted",
    "Attempt",
    "Change",
    "Dialect",
    "Failure",
    "FailureKind",
    "Lane",
    "Listing",
    "OtaModule",
    "Row",
    "Settlement",
    "Target",
]

MAX_CUSTOM_MODULES = 10
"""Custom modules that one product may have (CreateOTAModule page, both platforms)."""

RESERVED_MODULE_NAME = "default"
"""The whole-device firmware: not a custom module, takes no slot, can't be created (OTA pages, both platforms)."""


class Dialect(StrEnum):
    """Which of the twin platforms a request is written for."""

    TUYA = "tuya"  #: GET, the few common parameters of the seed document's sample
    ALIBABA = "alibaba"  #: POST, Version=2018-01-20, Format=JSON, SignatureVersion=1.0, IotInstanceId where set


class FailureKind(StrEnum):
    """Classes of failure; `cloud.codes` gives each error code its class, `control.retry` what follows from it."""

    NOT_SENT = "not_sent"  #: no request left this machine: repeat
    THROTTLED = "throttled"  #: refused for the rate, not carried out: slow down, repeat, no attempt used up
    CLOCK = "clock"  #: refused for the timestamp; the clock was corrected since: repeat
    KEYS = "keys"  #: refused for the keys; others were fetched since: repeat
    DOUBTFUL = "doubtful"  #: may or may not have been carried out: for a change list first, for a list repeat
    EXISTS = "exists"  #: refused, the name is taken, in any letter case: list, then decide
    GONE = "gone"  #: refused, the module is not there: a delete has nothing left to do, an update comes too late
    HELD = "held"  #: a delete is refused as the module holds an update package: it stays
    QUOTA = "quota"  #: refused, the product has no slot left: list, then decide
    PRODUCT = "product"  #: refused for every row of this product: settle the lane
    DENIED = "denied"  #: as PRODUCT; but when every product is refused so, it is the account: stop
    REFUSED = "refused"  #: refused for good: this row fails
    UNRECOGNISED = "unrecognised"  #: refused with a code that no table has: this row fails; a storm of it stops the run
    FATAL = "fatal"  #: refused for the whole account or run: stop, with the remedy


@dataclass(frozen=True, slots=True)
class Target:
    """What a ledger belongs to."""

    dialect: Dialect
    endpoint: str
    """URL of the endpoint without path, lower case; ``sandbox`` for the sandbox of `bulk run --sandbox`."""

    instance_id: str | None = None
    """Alibaba's IotInstanceId, if the account's instance has one; an empty one is none."""

    def __post_init__(self) -> None:
        """Keep an empty instance id as none: that is how a variable says that it is not set."""
        object.__setattr__(self, "instance_id", self.instance_id or None)

    def __str__(self) -> str:
        """Return the form in which messages and summaries name a target."""
        instance = f", instance {self.instance_id}" if self.instance_id else ""
        return f"{self.endpoint} ({self.dialect}{instance})"


@dataclass(frozen=True, slots=True)
class OtaModule:
    """An OTA module, as a row asks for it or as a listing shows it."""

    product_key: str
    module_name: str
    """1-64 of ``A-Za-z0-9._-``; the platform ignores its letter case when it compares."""

    alias_name: str | None = None
    """``None``: not given, and so not sent and not compared."""

    desc: str | None = None
    """Up to 100 characters. ``None``: not given, and so not sent and not compared."""

    gmt_create: object = field(default=None, repr=False, compare=False)
    """When it was made, as a listing wrote it: no part of what the module is. ``None``: no listing said it."""

    @property
    def created_at(self) -> float | None:
        """When it was made, in seconds since the epoch, UTC, and to the minute at best; ``None``: not readable.

        Read when it is asked for: a listing is parsed for every lane, and few are asked for their times.
        """
        return utc_seconds(self.gmt_create)

    @property
    def key(self) -> tuple[str, str]:
        """What makes two rows the same module: ProductKey and the casefolded ModuleName."""
        return self.product_key, self.module_name.casefold()


class Change(NamedTuple):
    """One thing asked of the platform for one module."""

    kind: ChangeKind
    wanted: OtaModule
    """The module as it is to be; of a delete: the module that is to go."""

    found: OtaModule | None = None
    """The module as a listing showed it; ``None`` where none was there, as before a create."""

    line: int | None = None
    """Of the row that asks for it; ``None``: no row does."""

    @property
    def action(self) -> Action:
        """The API action that carries it out."""
        return self.kind.action


NO_LINE = -1
"""In the place of a row's line: no row asks for the module, it is to go."""


class Row(NamedTuple):
    """A valid row, with what the ledger knows of it."""

    line: int
    """Line of the input file, starting at 1; the header is a line too. Or `NO_LINE`."""

    module: OtaModule
    attempts: int = 0
    """Changes sent for it so far, throttled ones not counted."""

    in_doubt: bool = False
    """A change may have been carried out unseen: a module that a listing shows as this row wants it is its work."""

    doubted: ChangeKind = ChangeKind.CREATE
    """Of a row in doubt: which kind of change that is."""

    doubted_since: float | None = None
    """Of a row in doubt: before when nothing of it had left, in seconds since the epoch, UTC; ``None``: not known."""

    def tried_once_more(self) -> Row:
        """Return the row with another change counted."""
        return self._replace(attempts=self.attempts + 1)


@dataclass(frozen=True, slots=True)
class Lane:
    """All open rows of one product, in file order."""

    product_key: str
    rows: tuple[Row, ...]
    ours: tuple[str, ...] = ()
    """Names of the product's modules that are ours, as the ledger has them: a listing without one ends that."""


class Accepted(NamedTuple):
    """A change that the platform carried out and said so."""

    request_id: str | None
    http_status: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All modules of a product, as ListOTAModuleByProduct showed them (there is no pagination)."""

    modules: tuple[OtaModule, ...]
    request_id: str | None
    http_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that did not succeed, classified; redacted, so it may be stored and shown."""

    kind: FailureKind
    code: str
    """The platform's error code, or a word of ours in lower case (``timeout``, ``connection_lost``, …)."""

    message: str
    remedy: str | None = None
    """What the operator can do about it, one sentence; always there for ``FATAL``."""

    request_id: str | None = None
    http_status: int | None = None
    """``None`` where no reply arrived."""

    retry_after_s: float | None = None
    """What the platform asked for by ``x-acs-retry-after``, in seconds."""

    may_be_done: bool = False
    """``FATAL``, but not in the platform's own words: the request may have been carried out all the same."""

    permission: str | None = None
    """What the key lacks, as a RAM policy calls it (``iot:DeleteOTAModule``): the key itself is good.

    ``FATAL`` for this action alone then; rights are granted for each action, so that others may be allowed.
    """

    @property
    def was_sent(self) -> bool:
        """Whether the platform met the request; one that is fatal without a reply met a wrong certificate instead."""
        return self.http_status is not None or self.kind is FailureKind.DOUBTFUL


class Settlement(NamedTuple):
    """What is recorded of a module: its claim (`sending`), or its outcome."""

    line: int | None
    """``None``: no row of the input asks for the module."""

    module: OtaModule
    """As it is wanted."""

    outcome: Outcome
    at: float
    """When, in seconds since the epoch, UTC."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    attempts: int = 0
    recovered: bool = False
    """A listing proved that our change was carried out, after a lost reply or a crash."""

    in_doubt: bool = False
    kind: ChangeKind = ChangeKind.CREATE
    """Of a claim: what may leave once it is on disk."""

    found: OtaModule | None = None
    """Of a claim: the module that it replaces, as a listing showed it; ``None`` for a create."""

    account: str = ""
    """Whose module it is; empty where no accounts are named."""

    owned: bool | None = None
    """Whether the module is ours from now on; ``None``: it is if it was `created`, and else stays what it is.

    What ends it are the outcomes that say the module is absent, and the claim of a create.
    """

    written: OtaModule | None = None
    """The texts that we wrote on our own account; one that is ``None`` stays what is known.

    ``None`` altogether: of a new module of ours its texts as wanted, of others what is known stays.
    """

    approved: bool = False
    """Of a claim: a person approved it, so that no limit counts it."""

    frees_slot_for: str | None = None
    """Of the claim of a delete: ModuleName of the create that takes its slot."""


class Attempt(NamedTuple):
    """One request to the platform, for the auditor."""

    at: float
    """When it was sent, in seconds since the epoch, UTC."""

    action: Action
    product_key: str
    module_name: str | None
    """``None`` for a listing."""

    http_status: int | None
    code: str | None
    """``None``: it succeeded."""

    request_id: str | None
    latency_s: float
    failure: FailureKind | None = None
    """Class of the failure; ``None``: it succeeded."""

    account: str = ""
    left_s: float | None = None
    """When it left, in seconds of the clock by which its rate is kept; ``None``: it did not leave this machine."""
