"""Settings whose values have their own form or bounds: rate, cap on failures, duration, delimiter. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bulk.errors import SettingsError

__all__ = ["FailureCap", "check_rate", "is_wanted", "parse_delimiter", "parse_duration"]

_LEAST_PER_S = 0.001
_MOST_PER_S = 1_000_000
"""Bound beyond which a rate can only be a slip; far beyond it timers fail."""

_NO_DELIMITERS = '"\r\n\0'

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)([dhms])"


@dataclass(frozen=True, slots=True)
class FailureCap:
    """How many failed rows a run allows before it stops."""

    rows: int | None = None
    percent: float | None = None
    """Percentage of the rows tried so far; checked from the hundredth row on."""

    def __str__(self) -> str:
        """Return the cap in the form that `parse` reads."""
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


def check_rate(name: str, per_s: float | None) -> None:
    """Refuse a rate that can't be meant.

    Args:
        name: The setting's field.
        per_s: Requests a second; 0: unlimited; ``None``: not set.

    Raises:
        SettingsError: It is out of bounds.
    """
    # A comparison with NaN is never true, so that this refuses it too.
    if not (per_s is None or per_s == 0 or _LEAST_PER_S <= per_s <= _MOST_PER_S):
        raise SettingsError(f"{{0}} takes 0 (unlimited) or {_LEAST_PER_S:g} to {_MOST_PER_S:,}", name)


def parse_duration(text: str) -> float:
    """Read ``90s``, ``30m``, ``1h30m``, ``2d`` or a plain number of seconds; return seconds.

    Raises:
        SettingsError: It is none of these.
    """
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"(?:{_PART})+", text):
        raise SettingsError(f"{text!r} is not a duration; write 90s, 30m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))


def parse_delimiter(text: str) -> str:
    r"""Read one character; a tab may be written as ``\t`` or ``tab``, in any letter case.

    Raises:
        SettingsError: It is more or less than one character, or one that can't separate cells.
    """
    character = "\t" if text.lower() in {"\\t", "tab"} else text
    if len(character) != 1:
        raise SettingsError(f"{{0}} {text!r} is not one character; for a tab write tab", "delimiter")
    if character in _NO_DELIMITERS:
        raise SettingsError(f"{{0}} {text!r} can't be a delimiter: it has another meaning", "delimiter")
    return character


def is_wanted(product_key: str, only: tuple[str, ...]) -> bool:
    """Say whether ``--only`` allows a product to be tried."""
    # ProductKeys are case-sensitive, so `fnmatch.fnmatch`, which follows the file system's rules, is wrong here.
    return not only or any(fnmatchcase(product_key, pattern) for pattern in only)
