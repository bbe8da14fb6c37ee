"""Say what a person sees in a cell: a number by its format, a date, true or false. Pure.

The common formats are supported: decimals, leading zeros, thousands, per cent, dates, times. A number in any other
format is given as it is, with a notice. If a date's format depends on the country, the date is written as in ISO 8601.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Value", "is_beyond_digits", "shown", "shown_date", "shown_number"]

Value = str | float | bool | dt.date | dt.time | dt.timedelta
"""Types of a cell's value; a ``datetime.datetime`` is a date too."""

MOST_EXACT = 10**15
"""Whole numbers from here on may have lost their last digits: a cell keeps 15."""

BUILT_IN = {
    "#1": "0",
    "#2": "0.00",
    "#3": "#,##0",
    "#4": "#,##0.00",
    "#9": "0%",
    "#10": "0.00%",
    "#11": "General",
    "#15": "d-mmm-yy",
    "#16": "d-mmm",
    "#17": "mmm-yy",
    "#18": "h:mm AM/PM",
    "#19": "h:mm:ss AM/PM",
    "#20": "h:mm",
    "#21": "h:mm:ss",
    "#37": "#,##0",
    "#38": "#,##0",
    "#39": "#,##0.00",
    "#40": "#,##0.00",
    "#45": "mm:ss",
    "#46": "[h]:mm:ss",
    "#48": "General",
}
"""Formats that a workbook names by number, if they are the same in all countries."""

ESCAPED = re.compile(r"_x((?![dD][89a-fA-F])[0-9a-fA-F]{4})_")
"""A character as the format's XML escapes it; halves of surrogate pairs are not escaped so."""

LITERAL = r'(?:"[^"]*"|\\.|[-+/(): !^&\'~{}<>=])*'
NUMBER = re.compile(
    rf"(?P<before>{LITERAL})(?P<whole>[#0,?]*[#0?])(?:\.(?P<part>[#0?]*))?(?P<cent>%?)(?P<after>{LITERAL})"
)
SCIENTIFIC = re.compile(r"[#0?.]+[eE][+-]?[#0?]+")
MARKS = re.compile(r"\[(?:\$-[0-9A-Fa-f]+|Black|Blue|Cyan|Green|Magenta|Red|White|Yellow|Color ?\d+)\]", re.IGNORECASE)
DATE_PART = re.compile(
    r"\[(?P<total>h+|m+|s+)\]|yyyy|yy|m{1,5}|d{1,4}|hh|h|ss|s|AM/PM|A/P|\.0+|\"[^\"]*\"|\\.|[-+/(): ,.年月日时時分秒]",
    re.IGNORECASE,
)
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST_DAY = dt.date(1899, 12, 31)


def shown(value: Value, code: str = "General") -> str:
    """Return a value as a person sees it; ``code`` is a number format or the number of a built-in one."""
    match value:
        case str():
            return ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            text = shown_number(value, code)
            return _plainly(value) if text is None else text
        case _:
            return shown_date(value, code)


def is_beyond_digits(value: float) -> bool:
    """Say whether a number has more digits than a cell keeps."""
    return not abs(value) < MOST_EXACT  # so that NaN counts as beyond too


def shown_number(value: float, code: str) -> str | None:
    """Return a number as its format shows it; ``None``: the format is not supported."""
    section = _section(MARKS.sub("", BUILT_IN.get(code, code)), value)
    if section is None:
        return None
    if section in {"", "@"} or section.casefold() == "general" or SCIENTIFIC.fullmatch(section):
        return _plainly(value)
    found = NUMBER.fullmatch(section)
    if found is None or is_beyond_digits(value):
        return None
    part = found["part"] or ""
    exact = abs(Decimal(repr(value))) * (100 if found["cent"] else 1)
    rounded = exact.quantize(Decimal(1).scaleb(-len(part)), ROUND_HALF_UP)
    whole, _, decimals = f"{rounded:f}".partition(".")
    least = found["whole"].count("0")
    whole = (whole.lstrip("0")).rjust(least, "0") if least != 1 else whole
    decimals = decimals[: len(part.rstrip("#?"))] + decimals[len(part.rstrip("#?")) :].rstrip("0")
    text = f"{int(whole or 0):,}" if "," in found["whole"] and least <= 1 else whole
    sign = "-" if value < 0 and rounded and ";" not in code else ""
    text += f".{decimals}" if part else ""
    return f"{sign}{_literal(found['before'])}{text}{found['cent']}{_literal(found['after'])}"


def shown_date(value: dt.date | dt.time | dt.timedelta, code: str) -> str:
    """Return a date, a time or a duration as its format shows it, or as ISO 8601 writes it."""
    code = MARKS.sub("", BUILT_IN.get(code, code)).split(";")[0]
    moment, total_s = _moment(value)
    parts = list(DATE_PART.finditer(code))
    names = [part[0].lower() for part in parts]
    if not parts or "".join(part[0] for part in parts) != code:
        return _iso(value)
    has_noon = bool({"am/pm", "a/p"} & set(names))
    text = []
    for at, part in enumerate(parts):
        if part["total"]:
            text.append(_total(total_s, part["total"].lower()))
            continue
        is_minute = names[at][0] == "m" and len(names[at]) <= 2 and _beside_time(names, at)  # noqa: PLR2004 - m and mm
        text.append(_date_part(part[0], moment, is_minute=is_minute, has_noon=has_noon))
    return "".join(text)


def _section(code: str, value: float) -> str | None:
    """Return the format's part for a number of this sign, or for zero; ``None``: it has conditions."""
    if "[" in code:
        return None
    sections = code.split(";")
    at = (1 if value < 0 else 2 if value == 0 else 0) if len(sections) > 1 else 0
    return sections[at] if at < len(sections) else sections[0]


def _plainly(value: float) -> str:
    """Return a number as a cell without a format shows it: whole ones in digits, up to 15 of them."""
    if not is_beyond_digits(value) and value == int(value):
        return str(int(value))
    return f"{value:.15g}".upper()


def _literal(text: str) -> str:
    return re.sub(r'"([^"]*)"|\\(.)', lambda found: found[1] if found[1] is not None else found[2], text)


def _moment(value: dt.date | dt.time | dt.timedelta) -> tuple[dt.datetime, float]:
    """Return a value as a ``datetime``, and in seconds since the spreadsheet's first day."""
    midnight = dt.time()
    if isinstance(value, dt.timedelta):
        return dt.datetime.combine(FIRST_DAY, midnight) + value % dt.timedelta(days=1), value.total_seconds()
    if isinstance(value, dt.time):
        moment = dt.datetime.combine(FIRST_DAY, value)
    elif isinstance(value, dt.datetime):
        moment = value
    else:
        moment = dt.datetime.combine(value, midnight)
    return moment, (moment - dt.datetime.combine(FIRST_DAY, midnight)).total_seconds()


def _iso(value: dt.date | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.timedelta):
        return _total(value.total_seconds(), "h") + f":{_moment(value)[0]:%M:%S}"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    return value.isoformat()


def _total(seconds: float, unit: str) -> str:
    each = {"h": 3600, "m": 60, "s": 1}[unit[0]]
    return f"{int(seconds // each):0{len(unit)}d}"


def _beside_time(names: list[str], at: int) -> bool:
    """Say whether an ``m`` means minutes: after hours, or before seconds."""
    telling = [name for name in names if name[0] in "ymdhs[" and name != "年"]
    place = sum(1 for name in names[:at] if name[0] in "ymdhs[")
    before = telling[place - 1] if place else ""
    behind = telling[place + 1] if place + 1 < len(telling) else ""
    return before.strip("[").startswith("h") or behind.strip("[").startswith("s")


_PARTS: dict[str, Callable[[dt.datetime], str]] = {
    "yyyy": lambda moment: f"{moment.year:04d}",
    "yy": lambda moment: f"{moment.year % 100:02d}",
    "mmmmm": lambda moment: MONTHS[moment.month - 1][0],
    "mmmm": lambda moment: MONTHS[moment.month - 1],
    "mmm": lambda moment: MONTHS[moment.month - 1][:3],
    "mm": lambda moment: f"{moment.month:02d}",
    "m": lambda moment: f"{moment.month}",
    "dddd": lambda moment: DAYS[moment.weekday()],
    "ddd": lambda moment: DAYS[moment.weekday()][:3],
    "dd": lambda moment: f"{moment.day:02d}",
    "d": lambda moment: f"{moment.day}",
    "ss": lambda moment: f"{moment.second:02d}",
    "s": lambda moment: f"{moment.second}",
    "am/pm": lambda moment: "AM" if moment.hour < 12 else "PM",  # noqa: PLR2004 - noon
    "a/p": lambda moment: "A" if moment.hour < 12 else "P",  # noqa: PLR2004 - noon
}


def _date_part(part: str, moment: dt.datetime, *, is_minute: bool, has_noon: bool) -> str:
    name = part.lower()
    if is_minute:
        return f"{moment.minute:0{len(name)}d}"
    if name in {"h", "hh"}:
        hour = (moment.hour % 12 or 12) if has_noon else moment.hour
        return f"{hour:0{len(name)}d}"
    if name.startswith(".0"):
        return f".{moment.microsecond:06d}"[: len(name)]
    return _PARTS[name](moment) if name in _PARTS else _literal(part)
