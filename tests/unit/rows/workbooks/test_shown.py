"""What a person sees of a number or a date, by the formats that spreadsheet programs offer."""

from __future__ import annotations

import datetime as dt

import pytest

from bulk.rows.workbooks.shown import shown, shown_number

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - cells have no time zone


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (12, "General", "12"),
        (0.1 + 0.2, "General", "0.3"),
        (-0.0, "General", "0"),
        (1e-7, "General", "1E-07"),
        (999999999999999, "General", "999999999999999"),
        (7, "00000", "00007"),
        (0, "000", "000"),
        (1.005, "0.00", "1.01"),
        (2.5, "0", "3"),
        (-7.4, "0", "-7"),
        (-0.2, "0", "0"),
        (1.5, "0.0#", "1.5"),
        (1, "0.##", "1."),
        (1234567, "#,##0", "1,234,567"),
        (0.125, "0.0%", "12.5%"),
        (5, '"v"0', "v5"),
        (5, "\\v0", "v5"),
        (-5, "0;(0)", "(5)"),
        (0, '0;-0;"none"', None),
        (5, "[Red]0", "5"),
        (5, "[$-409]0", "5"),
        (5, "[>3]0", None),
        (5, "# ?/?", None),
        (5, "000-0", None),
        (1e20, "0", None),
    ],
)
def test_number_by_its_format(value: float, code: str, text: str | None) -> None:
    assert (shown_number(value, code) if text is None else shown(value, code)) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("yyyy-mm-dd", "2024-01-02"),
        ("yyyy/m/d h:mm", "2024/1/2 3:04"),
        ("m/d/yy", "1/2/24"),
        ("dd.mm.yyyy", "02.01.2024"),
        ("d-mmm-yy", "2-Jan-24"),
        ("dddd, mmmm d", "Tuesday, January 2"),
        ('yyyy"年"m"月"d"日"', "2024年1月2日"),
        ("[$-804]yyyy年m月d日", "2024年1月2日"),
        ("hh:mm:ss", "03:04:05"),
        ("mm:ss", "04:05"),
        ("h:mm AM/PM", "3:04 AM"),
        ("ss.00", "05.00"),
        ("#14", "2024-01-02 03:04:05"),
        ("#27", "2024-01-02 03:04:05"),
        ("yyyy-mm-dd;@", "2024-01-02"),
        ("[DBNum1]yyyy", "2024-01-02 03:04:05"),
    ],
)
def test_date_by_its_format(code: str, text: str) -> None:
    assert shown(MOMENT, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (dt.date(2024, 1, 2), "General", "2024-01-02"),
        (dt.time(3, 4), "h:mm", "3:04"),
        (dt.time(3, 4), "General", "03:04:00"),
        (dt.timedelta(days=1, hours=12, minutes=5), "[h]:mm", "36:05"),
        (dt.timedelta(days=1, hours=12, minutes=5), "General", "36:05:00"),
        (dt.timedelta(minutes=90), "[mm]:ss", "90:00"),
    ],
)
def test_time_by_its_format(value: dt.date | dt.time | dt.timedelta, code: str, text: str) -> None:
    assert shown(value, code) == text
