"""What a run is told: one frozen value, checked as a whole. Secrets are not in here: see `cloud.credentials`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.stray import control_in, stray_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Dialect

__all__ = ["AccountSettings", "FailureCap", "ReadSettings", "Settings", "parse_delimiter", "parse_duration"]

_LEAST_PER_S = 0.001
_MOST_PER_S = 1_000_000
_MOST_LANES = 10_000
_MOST_ATTEMPTS = 1_000_000
_MOST_SKIPPED = 10_000
_MOST_PRODUCTS = 1_000_000_000
_LONGEST_TIMEOUT_S = 86_400
_LONGEST_DEADLINE_S = 31_536_000
"""Bounds beyond which a value can only be a slip; far beyond them timers and SQLite fail."""

_NO_DELIMITERS = '"\r\n\0'

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)([dhms])"


@dataclass(frozen=True, slots=True)
class FailureCap:
    """How many failed rows a run bears before it stops."""

    rows: int | None = None
    percent: float | None = None
    """Of the rows tried so far; looked at from the hundredth row on."""

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.rows}" if self.percent is None else f"{self.percent:g}%"

    @classmethod
    def parse(cls, text: str) -> FailureCap:
        """Read ``N`` or ``N%``.

        Raises:
            SettingsError: It is neither.
        """
        try:
            cap = cls(percent=float(text[:-1])) if text.endswith("%") else cls(rows=int(text))
        except ValueError:
            cap = cls(rows=-1)
        if (cap.rows or 0) < 0 or not 0 <= (cap.percent or 0) <= 100:  # noqa: PLR2004 - per cent
            raise SettingsError(
                f"{{0}} {text!r} is neither a number of rows (50) nor a share of them (2%)", "max_failures"
            )
        return cap


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How the input is read."""

    format: str | None = None
    """``csv``, ``tsv``, ``jsonl`` or ``xlsx``; ``None``: as the file's name says. Needed for stdin."""

    sheet: str | None = None
    """Of a workbook, the sheet that is read; ``None``: the only one with content."""

    encoding: str | None = None
    """A codec's name; ``None``: UTF-8 with or without mark, UTF-16 by its mark."""

    delimiter: str | None = None
    """One character; ``None``: comma, tab or semicolon, as the header says."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field → column, for columns whose names don't say it: ``{"ProductKey": "pk"}``.

    A column of CSV or TSV may be given by its number; an empty one leaves an optional field without a column.
    """

    no_header: bool = False
    """The first line of CSV or TSV is a row. ``columns`` gives numbers; without it they are in the fields' order."""

    skip_lines: int = 0
    """So many lines at the beginning of CSV or TSV are not read."""

    null_texts: tuple[str, ...] = ()
    """Texts that stand for an absent field. With an empty one among them, no other text is suspected to."""

    lenient_keys: bool = False
    """Send a ProductKey or ModuleName that looks as if a spreadsheet or a database had spoiled it."""

    lenient_alias: bool = False
    """Let AliasName hold any printable character, not only the documented ones."""

    def __post_init__(self) -> None:
        """Refuse what can't be.

        Raises:
            SettingsError: A value is out of bounds.
        """
        _require(0 <= self.skip_lines <= _MOST_SKIPPED, f"{{0}} takes 0 to {_MOST_SKIPPED:,}", "skip_lines")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """What is said of one account; where it says nothing, `Settings` holds for it."""

    endpoint: str | None = None
    region: str | None = None
    dialect: Dialect | None = None
    instance_id: str | None = None
    profile: str | None = None
    qps: float | None = None
    list_qps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is told. Defaults are the design's."""

    endpoint: str | None = None
    """URL of the platform, such as ``https://iot.cn-shanghai.aliyuncs.com/``."""

    region: str | None = None
    """An Alibaba region's id, instead of an endpoint."""

    sandbox: bool = False
    """Run against a platform in a box, started for this run, its state kept beside the ledger."""

    sandbox_faults: str | None = None
    """Faults that the sandbox injects; see `bulk sandbox --help`."""

    sandbox_seed: int | None = None
    dialect: Dialect | None = None
    """``None``: chosen from the endpoint's host."""

    instance_id: str | None = None
    insecure_http: bool = False
    profile: str | None = None
    """Whose keys to sign with, of the official tools' profiles; ``None``: the official default chain."""

    ledger: str | None = None
    """``None``: the input's path and ``.ledger.db`` (``.sandbox.db`` for the sandbox)."""

    qps: float = 10.0
    """Creates a second, from 0.001 to 1,000,000; 0: unlimited. The platform grants 10 per account."""

    list_qps: float = 10.0
    """Listings a second, in the same bounds; 0: unlimited. The platform grants 10 per account."""

    concurrency: int | None = None
    """Lanes side by side; ``None``: as many as rate and latency ask for."""

    max_attempts: int = 6
    """Sends of one request, the first included, throttled ones not counted."""

    timeout_s: float = 10.0
    """Seconds for one request, from connecting to the last byte."""

    max_failures: FailureCap | None = None
    deadline_s: float | None = None
    """Seconds after which no new request is sent."""

    limit: int | None = None
    """Only the first so many products with open rows are tried; ``None``: all."""

    only: tuple[str, ...] = ()
    """Only products are tried whose ProductKey matches one of these patterns, such as ``a1*``; empty: all."""

    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    """Name → account. Rows name theirs; empty: one account without a name, which has all of the above."""

    only_accounts: tuple[str, ...] = ()
    """Only rows of these accounts are tried; empty: of all."""

    read: ReadSettings = field(default_factory=ReadSettings)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            SettingsError: A value is out of bounds, or two exclude each other.
        """
        self._refuse_slips()
        places = [name for name in ("endpoint", "region", "sandbox") if getattr(self, name)]
        if len(places) > 1:
            raise SettingsError("{0} and {1} exclude each other: choose one platform", *places[:2])
        _require(
            self.sandbox or (self.sandbox_faults is None and self.sandbox_seed is None),
            "{0} and {1} are for a rehearsal, and this would not be one: add {2}, or leave them out",
            "sandbox_faults",
            "sandbox_seed",
            "sandbox",
        )
        for name, rate in (("qps", self.qps), ("list_qps", self.list_qps)):
            _require(
                rate == 0 or _LEAST_PER_S <= rate <= _MOST_PER_S,
                f"{{0}} takes 0 (unlimited) or {_LEAST_PER_S:g} to {_MOST_PER_S:,}",
                name,
            )
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
        texts = {
            "endpoint": (self.endpoint or "").strip(),
            "region": self.region,
            "profile": self.profile,
            "ledger": self.ledger,
            "encoding": self.read.encoding,
        }
        for name, text in texts.items():
            if text and (stray := control_in(text)):
                raise SettingsError(f"{{0}} holds {stray}: remove it", name)
        if self.instance_id and (stray := stray_in(self.instance_id)):
            raise SettingsError(f"{{0}} holds {stray}, which no instance's ID does: remove it", "instance_id")


def _require(condition: bool, message: str, *settings: str) -> None:  # noqa: FBT001 - an assertion reads best with its condition first
    if not condition:
        raise SettingsError(message, *settings)


def parse_duration(text: str) -> float:
    """Read ``90s``, ``30m``, ``1h30m``, ``2d`` or a plain number of seconds; return seconds.

    Raises:
        SettingsError: It is none of these.
    """
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"(?:{_PART})+", text):
        raise SettingsError(f"{text!r} is no duration; write 90s, 30m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))


def parse_delimiter(text: str) -> str:
    r"""Read one character; a tab may be written as ``\t`` or ``tab``, in any letter case.

    Raises:
        SettingsError: It is more or less than one character, or one that can't stand between cells.
    """
    character = "\t" if text.lower() in {"\\t", "tab"} else text
    if len(character) != 1:
        raise SettingsError(f"{{0}} {text!r} is not one character; for a tab write tab", "delimiter")
    if character in _NO_DELIMITERS:
        raise SettingsError(f"{{0}} {text!r} can't stand between cells: it has a meaning of its own", "delimiter")
    return character
