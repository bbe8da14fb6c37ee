"""Settings of a run: one frozen value, checked as a whole. It contains no secrets: see `cloud.credentials`."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.settings.account import AccountSettings, check_account_names, check_texts
from bulk.settings.values import FailureCap, check_rate
from bulk.stray import control_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Dialect

__all__ = ["ReadSettings", "Settings"]

_MOST_LANES = 10_000
_MOST_ATTEMPTS = 1_000_000
_MOST_SKIPPED = 10_000
_MOST_PRODUCTS = 1_000_000_000
_LONGEST_TIMEOUT_S = 86_400
_LONGEST_DEADLINE_S = 31_536_000
"""Bound beyond which a value can only be a slip; far beyond it timers and SQLite fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How to read the input."""

    format: str | None = None
    """``csv``, ``tsv``, ``jsonl`` or ``xlsx``; ``None``: as the file's name says. Needed for stdin."""

    sheet: str | None = None
    """Sheet of a workbook to read; ``None``: the only one with content."""

    encoding: str | None = None
    """A codec's name; ``None``: UTF-8 with or without mark, UTF-16 by its mark."""

    delimiter: str | None = None
    """One character; ``None``: comma, tab or semicolon, as the header says."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field → column, for columns whose names don't say it: ``{"ProductKey": "pk"}``.

    A column of CSV or TSV may be given by its number. An empty text means that an optional field has no column.
    """

    no_header: bool = False
    """The first line of CSV or TSV is a row. ``columns`` gives the numbers; without it: the fields' order."""

    skip_lines: int = 0
    """Number of lines to skip at the beginning of CSV or TSV."""

    null_texts: tuple[str, ...] = ()
    """Texts that mean an absent field. If an empty one is among them, no other text is suspected to mean that."""

    lenient_keys: bool = False
    """Send a ProductKey or ModuleName even if it looks as if a spreadsheet or a database spoiled it."""

    lenient_alias: bool = False
    """Allow any printable character in AliasName, not only the documented ones."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            SettingsError: A value is out of bounds.
        """
        _require(0 <= self.skip_lines <= _MOST_SKIPPED, f"{{0}} takes 0 to {_MOST_SKIPPED:,}", "skip_lines")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a run. Defaults are the design's."""

    endpoint: str | None = None
    """URL of the platform, such as ``https://iot.cn-shanghai.aliyuncs.com/``."""

    region: str | None = None
    """An Alibaba region's id, instead of an endpoint."""

    sandbox: bool = False
    """Run against a simulated platform that is started for this run. Its state is kept beside the ledger."""

    sandbox_faults: str | None = None
    """Faults that the sandbox injects; see `bulk sandbox --help`."""

    sandbox_seed: int | None = None
    dialect: Dialect | None = None
    """``None``: chosen from the endpoint's host."""

    instance_id: str | None = None
    insecure_http: bool = False
    profile: str | None = None
    """Profile of the official tools whose keys to sign with; ``None``: ``key_env``, or the official chain."""

    key_env: str | None = None
    """Keys are in the variables ``PREFIX_ACCESS_KEY_ID``, ``PREFIX_ACCESS_KEY_SECRET``, ``PREFIX_SECURITY_TOKEN``."""

    role_arn: str | None = None
    """Role to assume with these keys, ``acs:ram::UID:role/NAME``."""

    external_id: str | None = None
    """External id that the role's trust policy requires."""

    sts_endpoint: str | None = None
    """Host or URL of the Security Token Service; ``None``: the official one."""

    ledger: str | None = None
    """Path; ``None``: the input's path and ``.ledger.db`` (``.sandbox.db`` for the sandbox)."""

    qps: float = 10.0
    """Creates a second, from 0.001 to 1,000,000; 0: unlimited. The platform grants 10 per account."""

    list_qps: float = 10.0
    """Listings a second, in the same bounds; 0: unlimited. The platform grants 10 per account."""

    rate_group: str | None = None
    """Group that shares these rates; ``None``: the UID in ``role_arn``, else the id of the long-lived key."""

    sample_product: str | None = None
    """ProductKey that is listed before anything is written, to catch a wrong key; ``None``: none."""

    concurrency: int | None = None
    """Lanes at the same time; ``None``: as many as rate and latency require."""

    max_attempts: int = 6
    """Sends of one request, the first included, throttled ones not counted."""

    timeout_s: float = 10.0
    """Seconds for one request, from connecting to the last byte."""

    max_failures: FailureCap | None = None
    deadline_s: float | None = None
    """Seconds after which no new request is sent."""

    limit: int | None = None
    """Try only this many products with open rows, from the first on; ``None``: all."""

    only: tuple[str, ...] = ()
    """Try only products whose ProductKey matches one of these patterns, such as ``a1*``; empty: all."""

    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    """Name → account. Rows name theirs; empty: one account without a name, with all the settings above."""

    only_accounts: tuple[str, ...] = ()
    """Try only rows of these accounts; empty: of all."""

    product_map: str | None = None
    """Path of a table that gives the target's product for each ProductKey of the input; ``None``: the same product."""

    read: ReadSettings = field(default_factory=ReadSettings)

    def __post_init__(self) -> None:
        """Refuse values that contradict each other.

        Raises:
            SettingsError: A value is out of bounds, or two exclude each other.
        """
        self._refuse_slips()
        self._refuse_wrong_accounts()
        places = [name for name in ("endpoint", "region", "sandbox") if getattr(self, name)]
        if len(places) > 1:
            raise SettingsError("{0} and {1} exclude each other: choose one platform", *places[:2])
        _require(
            self.sandbox or (self.sandbox_faults is None and self.sandbox_seed is None),
            "{0} and {1} require {2}: add {2}, or leave them out",
            "sandbox_faults",
            "sandbox_seed",
            "sandbox",
        )
        for name, rate in (("qps", self.qps), ("list_qps", self.list_qps)):
            check_rate(name, rate)
        for name, count, most in (
            ("concurrency", self.concurrency, _MOST_LANES),
            ("max_attempts", self.max_attempts, _MOST_ATTEMPTS),
            ("limit", self.limit, _MOST_PRODUCTS),
        ):
            _require(count is None or 1 <= count <= most, f"{{0}} takes 1 to {most:,}", name)
        # A comparison with NaN is never true, so that these refuse it too.
        for name, seconds, most in (
            ("timeout_s", self.timeout_s, _LONGEST_TIMEOUT_S),
            ("deadline_s", self.deadline_s, _LONGEST_DEADLINE_S),
        ):
            in_bounds = seconds is None or 0 < seconds <= most
            _require(in_bounds, f"{{0}} takes more than 0 and at most {most:,} seconds", name)

    def _refuse_slips(self) -> None:
        for name, text in (("ledger", self.ledger), ("encoding", self.read.encoding)):
            if text and (stray := control_in(text)):
                raise SettingsError(f"{{0}} holds {stray}: remove it", name)
        check_texts(
            {
                "endpoint": (self.endpoint or "").strip(),
                "region": self.region,
                "profile": self.profile,
                "key_env": self.key_env,
                "instance_id": self.instance_id,
                "role_arn": self.role_arn,
                "external_id": self.external_id,
                "sts_endpoint": self.sts_endpoint,
                "rate_group": self.rate_group,
                "sample_product": self.sample_product,
            }
        )
        if self.profile and self.key_env:
            raise SettingsError("{0} and {1} both say where the keys are: give one of them", "profile", "key_env")
        if self.external_id and not (self.role_arn or self.accounts):
            raise SettingsError("{0} belongs to a role: give {1} too, or leave it out", "external_id", "role_arn")

    def _refuse_wrong_accounts(self) -> None:
        check_account_names(self.accounts)
        for name in self.only_accounts:
            if name not in self.accounts:
                raise SettingsError(f"{{0}} {name!r}: {_accounts_there_are(name, self.accounts)}", "only_accounts")


def _accounts_there_are(name: str, accounts: Mapping[str, AccountSettings]) -> str:
    if not accounts:
        return "the settings name no accounts: write [accounts.NAME] and its keys in bulk.toml"
    by_letters = {known.casefold(): known for known in accounts}
    near = get_close_matches(name.casefold(), by_letters, n=1)
    if near:
        return f"there is no such account; did you mean {by_letters[near[0]]!r}?"
    return f"there is no such account; `bulk settings` shows the {len(accounts)} that there are"


def _require(condition: bool, message: str, *settings: str) -> None:  # noqa: FBT001 - an assertion reads best with its condition first
    if not condition:
        raise SettingsError(message, *settings)
