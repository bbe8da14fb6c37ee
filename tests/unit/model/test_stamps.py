"""Times of the platform: read where they say their zone, and never guessed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.model import Listing, OtaModule
from bulk.model.stamps import utc_seconds

MINUTE_AT = 1_602_582_360.0
"""2020-10-13 09:46 UTC."""


@pytest.mark.parametrize(
    "stamp",
    [
        "2020-10-13T09:46Z",
        " 2020-10-13T09:46Z\n",
        "2020-10-13 T09:46Z",
        "2020-10-13t09:46z",
        "2020-10-13 09:46 UTC",
        "2020-10-13 09:46:00 GMT",
        "2020-10-13T09:46:00Z",
        "2020-10-13T09:46:00.000Z",
        "2020-10-13T17:46+08:00",
        "2020-10-13T17:46:00+0800",
        "Tue, 13-Oct-2020 09:46:00 GMT",
        "Tue, 13 Oct 2020 09:46:00 GMT",
        "1602582360000",
        1_602_582_360_000,
    ],
)
def test_every_form_with_a_zone_is_read(stamp: object) -> None:
    assert utc_seconds(stamp) == MINUTE_AT


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        "",
        "yesterday",
        "2020-10-13T09:46",
        "2020-10-13 09:46:00",
        "Tue, 13-Oct-2020 09:46:00",
        "2020-13-13T09:46Z",
        "2020-10-13T25:46Z",
        "1602582360",
        "١٦٠٢٥٨٢٣٦٠٠٠٠",
        1_602_582_360,
        -1,
        10**400,
        True,
        1_602_582_360_000.0,
        {"at": 1},
        "2" * 100_000,
    ],
)
def test_what_does_not_say_its_zone_or_is_no_time_is_not_guessed(stamp: object) -> None:
    assert utc_seconds(stamp) is None


def test_zone_of_this_machine_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert utc_seconds("2020-10-13T09:46Z") == utc_seconds("Tue, 13-Oct-2020 09:46:00 GMT") == MINUTE_AT
        assert utc_seconds("2020-10-13 09:46") is None
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text() | st.integers() | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z\Z"))
def test_whatever_stands_there_raises_nothing(stamp: object) -> None:
    assert isinstance(utc_seconds(stamp), float | None)


def test_when_a_module_was_made_is_no_part_of_what_it_is() -> None:
    listed = OtaModule("pk", "m", "a", "d", "2020-10-13T09:46Z")

    assert listed.created_at == MINUTE_AT
    assert listed == OtaModule("pk", "m", "a", "d")
    assert hash(listed) == hash(OtaModule("pk", "m", "a", "d"))
    assert Listing((listed,), None, 200) == Listing((OtaModule("pk", "m", "a", "d"),), None, 200)
    assert OtaModule("pk", "m").created_at is None
