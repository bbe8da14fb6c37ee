"""Read the times that the platform writes beside what it lists. Pure.

The documents show three forms: ``2020-10-13T09:46Z`` ("in UTC" on Alibaba Cloud's page of ListOTAModuleByProduct, "in
GMT format" on Tuya's, which also has a space before the ``T``), ``Wed, 20-Feb-2019 02:16:09 GMT`` in older ones, and
milliseconds since the epoch for products. Most are to the minute: the true time is up to a minute later.

No document says which zone a time without a zone has, and China's is eight hours off. A decision must not depend on a
guess, so such a time counts as unreadable. The pages say that ``Z`` means UTC; no live call has confirmed it.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["utc_seconds"]

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T\s]\s*T?([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)\s*"
    r"(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})",
    re.IGNORECASE,
)
_MILLISECONDS = re.compile(r"[0-9]{13}")
"""Milliseconds of the years 2001 to 2286; no other count of this length makes sense."""

_LONGEST = 64
"""Most characters of a time; a longer text is not a time."""


def utc_seconds(stamp: object) -> float | None:
    """Return a time in seconds since the epoch, UTC; ``None``: it can't be read, or does not say its zone.

    Args:
        stamp: As JSON had it.
    """
    if isinstance(stamp, bool) or not isinstance(stamp, (str, int)):
        return None
    text = str(stamp).strip() if isinstance(stamp, str) else f"{stamp:d}" if 0 <= stamp < 10**14 else ""
    if len(text) > _LONGEST:
        return None
    if _MILLISECONDS.fullmatch(text):
        return int(text) / 1000
    try:
        return _seconds_of(text)
    except (ValueError, OverflowError):
        return None


def _seconds_of(text: str) -> float | None:
    iso = _ISO.fullmatch(text)
    if iso is None:
        at = parsedate_to_datetime(text)
        return at.timestamp() if at.tzinfo else None
    day, time, zone = iso.groups()
    offset = zone if zone[0] in "+-" else "+00:00"
    return datetime.fromisoformat(f"{day}T{time}{offset}").timestamp()
