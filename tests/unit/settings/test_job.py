from __future__ import annotations

from typing import Any

import pytest

from bulk.errors import SettingsError
from bulk.settings import FailureCap, ReadSettings, Settings


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("0", FailureCap(rows=0)),
        ("50", FailureCap(rows=50)),
        ("0%", FailureCap(percent=0.0)),
        ("2.5%", FailureCap(percent=2.5)),
        ("100%", FailureCap(percent=100.0)),
    ],
)
def test_failure_cap_reads_rows_and_shares(text: str, cap: FailureCap) -> None:
    assert FailureCap.parse(text) == cap


@pytest.mark.parametrize("text", ["", "%", "-1", "-1%", "101%", "1.5", "many", "5 rows", "nan%"])
def test_failure_cap_refuses_what_is_neither(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^max_failures"):
        FailureCap.parse(text)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"endpoint": "https://h\r/"}, "^endpoint holds a carriage return"),
        ({"region": "cn\x1b"}, "^region holds the character U"),
        ({"instance_id": "iot-1\r"}, "^instance_id holds a carriage return"),
        ({"instance_id": "iot\u200b-1"}, "^instance_id holds a zero-width space"),
        ({"instance_id": '"iot-1"'}, "^instance_id holds a quote"),
        ({"instance_id": "iot 1"}, "^instance_id holds a space"),
        ({"profile": "night\r"}, "^profile holds"),
        ({"ledger": "l.db\r"}, "^ledger holds"),
        ({"read": ReadSettings(encoding="gb18030\r")}, "^encoding holds"),
    ],
)
def test_character_that_nobody_sees_is_refused_by_its_name(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings(**settings)


def test_two_places_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match=r"^endpoint and sandbox exclude each other"):
        Settings(endpoint="https://h/", sandbox=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"qps": -1.0}, "^qps takes"),
        ({"qps": float("nan")}, "^qps takes"),
        ({"qps": float("inf")}, "^qps takes 0 .unlimited. or 0.001 to 1,000,000"),
        ({"qps": 1e-300}, "^qps takes"),
        ({"qps": 1e20}, "^qps takes"),
        ({"list_qps": -0.1}, "^list_qps takes"),
        ({"list_qps": float("inf")}, "^list_qps takes"),
        ({"concurrency": 0}, "^concurrency takes"),
        ({"max_attempts": 0}, "^max_attempts takes"),
        ({"limit": 0}, "^limit takes"),
        ({"timeout_s": 0.0}, "^timeout_s takes"),
        ({"deadline_s": 0.0}, "^deadline_s takes"),
        ({"concurrency": 10**20}, "^concurrency takes 1 to 10,000"),
        ({"max_attempts": 10**20}, "^max_attempts takes 1 to 1,000,000"),
        ({"limit": 10**20}, "^limit takes 1 to 1,000,000,000"),
        ({"timeout_s": float("inf")}, "^timeout_s takes more than 0 and at most 86,400 seconds"),
        ({"timeout_s": float("nan")}, "^timeout_s takes"),
        ({"deadline_s": float("inf")}, "^deadline_s takes"),
    ],
)
def test_value_out_of_bounds_is_refused_by_its_name(settings: dict[str, float], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings(**settings)  # type: ignore[arg-type]  # one value at a time, each of its own type


def test_settings_error_asks_for_exit_code_2() -> None:
    assert SettingsError.exit_code == 2


def test_bounds_themselves_are_allowed() -> None:
    settings = Settings(qps=0, list_qps=0, concurrency=1, max_attempts=1, timeout_s=0.001, deadline_s=0.001)

    assert settings.concurrency == 1
