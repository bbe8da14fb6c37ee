"""Which addresses of a scheduler are taken."""

from __future__ import annotations

import pytest

from bulk.errors import SettingsError
from bulk.fleet.engines.address import check_address

HERE = ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "tls://scheduler:8786"]
ELSEWHERE = ["tcp://scheduler:8786", "10.0.0.1:8786", "tcp://0.0.0.0:8786", "tcp://[2001:db8::1]:8786"]
NOWHERE = [
    "",
    "scheduler",
    "tcp://scheduler",
    "http://127.0.0.1:8786",
    "tcp://127.0.0.1:port",
    "tcp://:8786",
    "tcp://[::1",
]


@pytest.mark.parametrize("address", HERE)
def test_this_machine_and_tls_are_taken(address: str) -> None:
    check_address(address, is_insecure_fine=False)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_another_machine_without_tls_is_taken_only_where_that_is_said(address: str) -> None:
    with pytest.raises(SettingsError, match="--insecure-dask"):
        check_address(address, is_insecure_fine=False)
    check_address(address, is_insecure_fine=True)


@pytest.mark.parametrize("address", NOWHERE)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="tls://HOST:PORT"):
        check_address(address, is_insecure_fine=True)
