"""Keys come from the environment, and are shown nowhere."""

from __future__ import annotations

import pytest

from bulk.cloud.credentials import Credentials, StaticCredentials, from_environment
from bulk.errors import SettingsError

ENVIRON = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "testid",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testsecret",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "testtoken",
}


def test_environment_gives_key_secret_and_token() -> None:
    assert from_environment(ENVIRON) == Credentials("testid", "testsecret", "testtoken")


@pytest.mark.parametrize("token", [{}, {"ALIBABA_CLOUD_SECURITY_TOKEN": ""}])
def test_long_lived_key_has_no_token(token: dict[str, str]) -> None:
    environ = {**ENVIRON, "ALIBABA_CLOUD_SECURITY_TOKEN": ""} | token

    assert from_environment(environ).security_token is None


def test_line_end_that_a_file_brought_along_is_dropped() -> None:
    environ = {name: f"{value}\n" for name, value in ENVIRON.items()}

    assert from_environment(environ) == Credentials("testid", "testsecret", "testtoken")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["ALIBABA_CLOUD_ACCESS_KEY_ID"], "ALIBABA_CLOUD_ACCESS_KEY_ID is not set"),
        (["ALIBABA_CLOUD_ACCESS_KEY_SECRET"], "ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set"),
        (list(ENVIRON), "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set"),
    ],
)
def test_missing_variables_are_named(missing: list[str], words: str) -> None:
    environ = {name: value for name, value in ENVIRON.items() if name not in missing}

    with pytest.raises(SettingsError, match=words):
        from_environment(environ)


def test_repr_masks_secret_and_token() -> None:
    shown = repr(from_environment(ENVIRON))

    assert "testsecret" not in shown
    assert "testtoken" not in shown


async def test_static_credentials_stay_the_same_object() -> None:
    credentials = from_environment(ENVIRON)
    provider = StaticCredentials(credentials)

    assert await provider.current() is credentials
