"""No secret survives, and no more than the secret goes."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bulk.redaction import MASK, MAX_MESSAGE_CHARACTERS, Mask, echoed_string_to_sign, redact, shown_address

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


MANY = [f"{number:03}tok/en+of=account" for number in range(100)]


@pytest.mark.parametrize("secrets", [MANY[:2], MANY], ids=["few", "many"])
def test_mask_takes_each_secret_out_in_each_form(secrets: list[str]) -> None:
    mask = Mask(secrets)
    once = quote(MANY[1], safe="")
    forms = [MANY[0], MANY[1], once, quote(once, safe=""), MANY[1].replace("/", r"\/"), f"x{MANY[1]}{MANY[0]}y"]

    masked_forms = [mask(f"before {form} after") for form in forms]

    assert masked_forms == [f"before {MASK} after"] * 5 + [f"before x{MASK}{MASK}y after"]


def test_mask_of_many_takes_out_short_ones_and_ones_within_others() -> None:
    mask = Mask([*MANY, "abc", MANY[3][:12], None, ""])

    assert mask(f"abc {MANY[3]} {MANY[3][:12]}!") == f"{MASK} {MASK} {MASK}!"
    assert mask("") == ""
    assert mask("nothing of it") == "nothing of it"


def test_masks_add_up_and_show_nothing() -> None:
    mask = Mask(MANY[:60]) | Mask(MANY[40:])

    assert [mask(secret) for secret in MANY] == [MASK] * 100
    assert MANY[0] not in repr(mask)
    assert (mask | Mask(MANY[5:6])) is mask
