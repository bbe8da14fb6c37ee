"""Keys come from the environment, and are shown nowhere."""

from __future__ import annotations

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials, from_environment, holds_keys
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


@pytest.mark.parametrize("stray", ["\r", "\r\n", " ", "\u00a0", "\u200b", "\ufeff", "\u3000", "\t"])
def test_what_can_not_be_seen_around_a_key_is_dropped(stray: str) -> None:
    environ = {name: f"{stray}{value}{stray}" for name, value in ENVIRON.items()}

    assert holds_keys(environ)
    assert from_environment(environ) == Credentials("testid", "testsecret", "testtoken")


@pytest.mark.parametrize("name", list(ENVIRON))
@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", "“{}”", '"{}', "{}'"])
def test_quotes_around_a_key_are_refused_by_its_name(name: str, quoted: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} has quotes") as caught:
        from_environment(ENVIRON | {name: quoted.format(ENVIRON[name])})

    assert ENVIRON[name] not in str(caught.value)


@pytest.mark.parametrize("name", list(ENVIRON))
@pytest.mark.parametrize("stray", ["\r", "\u200b", "\u00a0", "é", " ", "\udcff"])
def test_character_that_no_key_can_hold_is_refused_by_the_name_of_its_variable(name: str, stray: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} holds ") as caught:
        from_environment(ENVIRON | {name: f"be{stray}tween"})

    assert "be" + stray not in str(caught.value)
    assert str(caught.value).isprintable()


def test_variable_that_holds_nothing_to_be_seen_is_not_set() -> None:
    environ = dict.fromkeys(ENVIRON, "\u200b\r")

    assert not holds_keys(environ)
    with pytest.raises(SettingsError, match="are not set"):
        from_environment(environ)


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
