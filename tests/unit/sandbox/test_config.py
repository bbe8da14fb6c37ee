from __future__ import annotations

import math

import pytest

from bulk.errors import SettingsError
from bulk.sandbox.config import SandboxConfig


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_hosts_are_taken(host: str) -> None:
    assert SandboxConfig(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_hosts_that_others_can_reach_need_a_word(host: str) -> None:
    with pytest.raises(SettingsError, match="--expose"):
        SandboxConfig(host=host)

    assert SandboxConfig(host=host, expose=True).host == host


@pytest.mark.parametrize("rates", [{"qps": -1.0}, {"list_qps": -1.0}, {"qps": math.inf}, {"list_qps": math.nan}])
def test_negative_and_endless_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="--list-qps take 0"):
        SandboxConfig(qps=rates.get("qps", 1), list_qps=rates.get("list_qps", 1))


def test_secret_is_not_in_its_repr() -> None:
    assert "hidden" not in repr(SandboxConfig(access_key_secret="hidden"))
