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
    THROTTLED = "throttled"  #: refused because of the rate, not carried out: slow down, repeat, use up no attempt
    CLOCK = "clock"  #: refused because of the timestamp; the clock was corrected since: repeat
    KEYS = "keys"  #: refused because of the keys; others were fetched since: repeat
    DOUBTFUL = "doubtful"  #: may or may not have been carried out: for a change list first, for a list repeat
    EXISTS = "exists"  #: refused, the name is taken, in any letter case: list, then decide
    GONE = "gone"  #: refused, the module is not there: a delete has nothing left to do, an update comes too late
    HELD = "held"  #: a delete is refused because the module holds an update package: it stays
    QUOTA = "quota"  #: refused, the product has no slot left: list, then decide
    PRODUCT = "product"  #: refused for every row of this product: settle the lane
    DENIED = "denied"  #: like PRODUCT; but if every product is refused like this, the account is the cause: stop
    REFUSED = "refused"  #: refused for good: this row fails
    UNRECOGNISED = "unrecognised"  #: refused with a code that no table has: this row fails; many in a row stop the run
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
        """Read an empty instance id as none: an empty variable means that it is not set."""
        object.__setattr__(self, "instance_id", self.instance_id or None)

    @property
    def is_sandbox(self) -> bool:
        """Whether it is the sandbox of a command's ``--sandbox``, which has no URL."""
        return self.endpoint.partition("/")[0] == "sandbox"

    @property
    def sandbox_options(self) -> tuple[str, ...]:
        """The options that lead to it, if it is a sandbox; that of an account also needs the account's settings."""
        if not self.is_sandbox:
            return ()
        if self.endpoint != "sandbox":
            return ("--sandbox",)
        if self.instance_id:
            return "--sandbox", "--instance-id", self.instance_id
        return ("--sandbox", "--dialect", "alibaba") if self.dialect is Dialect.ALIBABA else ("--sandbox",)

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
        """Two rows with the same key are the same module: ProductKey and the casefolded ModuleName."""
        return self.product_key, self.module_name.casefold()


class Change(NamedTuple):
    """One thing asked of the platform for one module."""

    kind: ChangeKind
    wanted: OtaModule
    """The wanted module; for a delete: the module to remove."""

    found: OtaModule | None = None
    """The module as a listing showed it; ``None``: there was none, as before a create."""

    line: int | None = None
    """Line of the row that asks for it; ``None``: no row does."""

    @property
    def action(self) -> Action:
        """The API action that carries it out."""
        return self.kind.action


NO_LINE = -1
"""In place of a row's line: no row asks for the module, so it must be removed."""


class Row(NamedTuple):
    """A valid row, with what the ledger knows of it."""

    line: int
    """Line of the input file, starting at 1; the header is a line too. Or `NO_LINE`."""

    module: OtaModule
    attempts: int = 0
    """Changes sent for it so far, throttled ones not counted."""

    in_doubt: bool = False
    """A change may have been carried out unseen: if a listing shows the module as wanted, this row made it so."""

    doubted: ChangeKind = ChangeKind.CREATE
    """For a row in doubt: the kind of that change."""

    doubted_since: float | None = None
    """For a row in doubt: no request had left before this time, in seconds since the epoch, UTC; ``None``: unknown."""

    def tried_once_more(self) -> Row:
        """Return the row with another change counted."""
        return self._replace(attempts=self.attempts + 1)


@dataclass(frozen=True, slots=True)
class Lane:
    """All open rows of one product, in file order."""

    product_key: str
    rows: tuple[Row, ...]
    ours: tuple[str, ...] = ()
    """Names of the product's modules that this ledger owns. A listing without a module ends its ownership."""


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
    """The platform's error code, or one of bulk's own in lower case (``timeout``, ``connection_lost``, …)."""

    message: str
    remedy: str | None = None
    """What the operator can do about it, one sentence; always set for ``FATAL``."""

    request_id: str | None = None
    http_status: int | None = None
    """``None`` where no reply arrived."""

    retry_after_s: float | None = None
    """What the platform asked for by ``x-acs-retry-after``, in seconds."""

    may_be_done: bool = False
    """``FATAL``, but not from the platform itself: the request may still have been carried out."""

    permission: str | None = None
    """The right that the key lacks, by its name in a RAM policy (``iot:DeleteOTAModule``); the key itself is valid.

    Then ``FATAL`` is for this action only: rights are granted for each action, so others may be allowed.
    """

    @property
    def was_sent(self) -> bool:
        """Whether the platform may have received the request; a fatal failure without a reply is a bad certificate."""
        return self.http_status is not None or self.kind is FailureKind.DOUBTFUL


class Settlement(NamedTuple):
    """What is recorded of a module: its claim (`sending`), or its outcome."""

    line: int | None
    """``None``: no row of the input asks for the module."""

    module: OtaModule
    """The wanted module."""

    outcome: Outcome
    at: float
    """When, in seconds since the epoch, UTC."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    attempts: int = 0
    recovered: bool = False
    """A listing proved that this ledger's change was carried out, after a lost reply or a crash."""

    in_doubt: bool = False
    kind: ChangeKind = ChangeKind.CREATE
    """For a claim: the kind of change that may be sent once the claim is on disk."""

    found: OtaModule | None = None
    """For a claim: the module that it replaces, as a listing showed it; ``None`` for a create."""

    account: str = ""
    """The module's account; empty where no accounts are named."""

    owned: bool | None = None
    """Whether this ledger owns the module from now on; ``None``: it does after `created`, else nothing changes.

    Ownership ends with an outcome that says that the module is absent, and with the claim of a create.
    """

    written: OtaModule | None = None
    """The texts that this ledger wrote. If one text is ``None``, the known one stays.

    ``None`` as a whole: for a newly owned module the wanted texts; for others the known texts stay.
    """

    approved: bool = False
    """For a claim: a person approved it, so no limit counts it."""

    frees_slot_for: str | None = None
    """For the claim of a delete: ModuleName of the create that takes its slot."""


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
