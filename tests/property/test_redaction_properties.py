"""No form of a secret passes any of the ways on which text leaves the program."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk.cli.app import main
from bulk.cli.commands.settings import settings as command
from bulk.cloud.failures import lost
from bulk.cloud.keys.credentials import Credentials
from bulk.errors import OutcomeUnknownError
from bulk.logs.listener import Redactor
from bulk.model import Action
from bulk.redaction import MASK, is_secret_name, masked, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What begins so is none of the words around it, which hypothesis would try.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE64 = st.text(f"{LETTERS}0123456789+/=", min_size=12, max_size=40).map("Zq7{}".format)
ANY = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=12, max_size=40).map(
    "Zq7{}".format
)


def _once(text: str) -> str:
    return quote(text, safe="")


def _twice(text: str) -> str:
    return _once(_once(text))


FORMS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "percent-encoded": _once,
    "percent-encoded, lower case": lambda secret: "".join(
        character if character.isascii() and character.isalnum() else _once(character).lower() for character in secret
    ),
    "doubly encoded": _twice,
    "JSON": lambda secret: json.dumps({"x": secret}),
    "JSON as it is read": lambda secret: json.dumps({"x": secret}, ensure_ascii=False),
    "JSON for a script": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "string to sign": lambda secret: f"GET&%2F&{_once('SecurityToken=' + _once(secret))}",
    "string to sign, slash as it is": lambda secret: f"POST&/&SecurityToken={secret}",
}
"""How a secret whose value is known may be written."""

AROUND: Mapping[str, str] = {
    "query": "Action=List&Signature={plain}&Version=1",
    "query of a token": "SecurityToken={once}&x=1",
    "token of its older name": "sts_token={plain}",
    "header": "x-acs-security-token: {plain}",
    "encoded query": "Action%3DList%26Signature%3D{once}%26x",
    "doubly encoded query": "Action%253DList%2526SecurityToken%253D{twice}%2526x",
    "URL": "GET https://h:8686/?Action=List&Signature={once} failed",
    "JSON": '{{"access_key_secret": "{plain}", "x": 1}}',
    "JSON in JSON": '{{"body": "{{\\"SecurityToken\\":\\"{plain}\\"}}"}}',
    "encoded JSON": "%7B%22AccessKeySecret%22%3A%22{once}%22%7D",
    "variable": "ALIBABA_CLOUD_SECURITY_TOKEN='{plain}'",
    "string to sign": "server string to sign is:GET&%2F&AccessKeyId%3Dx%26SecurityToken%3D{twice}",
    "string to sign of a POST": "POST&%2F&Desc%3D{twice}%26x",
    "string to sign, slash as it is": "POST&/&Desc={plain}&x",
    "encoded string to sign": "POST%26%252F%26Desc%253D{twice}",
}
"""What tells a secret whose value is not known."""


def _crash(text: str, secret: str) -> str:
    """Return what is printed where a command meets a bug whose exception has the text in it."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret)
        patch.setattr(command, "callback", fail)
        main(["settings", "-v"])
    return said.getvalue()


WAYS: Mapping[str, Callable[[str, str], str]] = {
    "stored and shown": lambda text, secret: redact(text, [secret]),
    "uncut": lambda text, secret: masked(text, [secret]),
    "logged words": lambda text, secret: Redactor([secret]).text(text),
    "logged field": lambda text, secret: str(Redactor([secret])(None, "info", {"deep": [{"er": ValueError(text)}]})),
    "failure": lambda text, secret: (
        lost(OutcomeUnknownError(text), Credentials("id", "another", secret), action=Action.LIST).message
    ),
    "last handler": _crash,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(secret=ANY)
@example(secret='Kp9+x/Zq="secret\\')
@example(secret="密钥/密钥/密钥/密钥/密钥=")
def test_secret_that_is_known_passes_in_no_form(way: str, form: str, secret: str) -> None:
    text = FORMS[form](secret)

    shown = WAYS[way](f"odd: {text} .", secret)

    assert MASK in shown
    assert not [each for each in (secret, _once(secret), _twice(secret)) if each in shown.replace(MASK, "")]
    assert json.dumps(secret)[1:-1] not in shown


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("around", AROUND)
@settings(max_examples=40)
@given(secret=BASE64)
def test_secret_that_is_not_known_is_told_by_what_is_around_it(way: str, around: str, secret: str) -> None:
    text = AROUND[around].format(plain=secret, once=_once(secret), twice=_twice(secret))

    shown = WAYS[way](text, "a-secret-that-is-elsewhere")

    assert MASK in shown
    assert not [each for each in (secret, _once(secret), _twice(secret)) if each in shown]


@given(secret=BASE64)
def test_keys_mask_themselves_in_every_form(secret: str) -> None:
    keys = Credentials("id", secret, f"token{secret}")

    assert [form for form in FORMS.values() if secret in keys.mask(form(secret))] == []


@pytest.mark.parametrize("name", ["Signature", "access_key_secret", "AccessKeySecret", "x-acs-security-token"])
def test_name_of_a_secret_is_known_in_every_spelling(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["SignatureMethod", "access_key_id", "event", "signature_nonce"])
def test_name_that_only_begins_like_a_secret_is_none(name: str) -> None:
    assert not is_secret_name(name)
