"""No secret survives, and no more than the secret goes."""

from __future__ import annotations

import pytest

from bulk.redaction import MAX_MESSAGE_CHARACTERS, echoed_string_to_sign, redact, shown_address

SECRET = "Kp9+x/Zq=secret"


@pytest.mark.parametrize(
    "text",
    [
        f"the key {SECRET} is wrong",
        "the key Kp9%2Bx%2FZq%3Dsecret is wrong",
    ],
)
def test_secret_is_removed_plain_and_encoded(text: str) -> None:
    assert redact(text, [SECRET, None, ""]) == "the key *** is wrong"


@pytest.mark.parametrize(
    "text",
    [
        "GET https://h:8686/?Action=List&Signature=LEAKED%3D failed",
        "Cannot connect to http://h/?SecurityToken=LEAKED",
        "bad query: Action=List&Signature=LEAKED&Version=1",
        "bad query: SecurityToken=LEAKED",
        '{"Signature": "LEAKED", "Action": "List"}',
        "server string to sign is:GET&%2F&AccessKeyId%3Dtestid%26SecurityToken%3DLEAKED",
        "string to sign: POST&/&AccessKeyId=testid&Desc=LEAKED",
        "encoded: Action%3DList%26Signature%3DLEAKED",
    ],
)
def test_signature_token_and_string_to_sign_are_removed(text: str) -> None:
    assert "LEAKED" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Specified access key is not found.",
        "Signature is not matched with our calculation.",
        "see https://help.example.com/errors for more",
        "模块名称已存在",
    ],
)
def test_harmless_text_stays_as_it_was(text: str) -> None:
    assert redact(text, [SECRET]) == text


@pytest.mark.parametrize("command", ["\x1b[2J", "\n", "\r", "\0", "\x7f", "\x9b31m", "\u2028", "\u202e"])
def test_what_a_terminal_obeys_becomes_a_space(command: str) -> None:
    assert redact(f"denied{command}ok") == f"denied {command[1:]}ok"


def test_long_text_is_cut() -> None:
    cut = redact("x" * 10_000)

    assert len(cut) == MAX_MESSAGE_CHARACTERS
    assert cut.endswith("…")


def test_secret_is_removed_before_the_text_is_cut() -> None:
    text = "x" * (MAX_MESSAGE_CHARACTERS - 5) + SECRET

    assert SECRET[:4] not in redact(text, [SECRET])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host:8686/", "https://host:8686/"),
        ("host:8686", "host:8686"),
        ("host:8686/?Action=x&Signature=LEAKED", "host:8686/…"),
        ("https://host?Signature=LEAKED", "https://host/…"),
        ("user:LEAKED@host:8686", "***@host:8686"),
        (" https://user:LEAKED@host/LEAKED", " https://***@host/…"),
        ("//user:LEAKED@host", "//***@host"),
        ("user:LEAKED//LEAKED@host", "***/…"),
        ("https://user:LEA?LEAKED@host", "https://***/…"),
        ("host/?Signature=a//LEAKED", "host/…"),
    ],
)
def test_address_is_shown_without_what_may_be_secret_in_it(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_echoed_string_to_sign_is_found() -> None:
    assert echoed_string_to_sign("does not match: GET&%2F&A%3Db , see") == "GET&%2F&A%3Db"
    assert echoed_string_to_sign("does not match") is None
