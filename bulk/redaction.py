"""Remove from text what must not be shown or stored: secrets, and characters that control a terminal. Pure.

This is the only list of what is secret, and the only mask. The client, the logs and the command line's last handler use
it.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "MASK",
    "MAX_ID_CHARACTERS",
    "MAX_MESSAGE_CHARACTERS",
    "Mask",
    "echoed_string_to_sign",
    "is_secret_name",
    "masked",
    "redact",
    "shown_address",
    "without",
]

MASK = "***"
"""What replaces a secret."""

MAX_MESSAGE_CHARACTERS = 500
"""Longer messages are cut: a proxy's error page is not a message."""

MAX_ID_CHARACTERS = 128
"""The same for error codes and RequestIds; the platform's have 36 to 50 characters."""

# Each pattern accepts its delimiters plain and encoded, any number of times: a proxy may encode encoded text again.
_AND, _SLASH = "(?:&|%(?:25)*26)", "(?:/|%(?:25)*2F)"
_QUOTE = r"""(?:\\*["']|%(?:25)*22)?"""
_NAMES = r"(?:access[_-]?key|product|device)[_-]?secret|signature|security[_-]?token|sts[_-]?token"
_STRING_TO_SIGN = re.compile(rf"\b(?:GET|POST){_AND}{_SLASH}{_AND}\S*", re.IGNORECASE)
_SIGNED_QUERY = re.compile(
    r"(\bhttps?://[^\s?\"'<>]*)\?(?=[^\s\"'<>]*(?:sign|token|secret|key|credential|passw))[^\s\"'<>]*", re.IGNORECASE
)
_PARAMETER = re.compile(
    rf"((?:{_NAMES}){_QUOTE}\s*(?:[:=>]|%(?:25)*3[AD])\s*{_QUOTE})(?!\s)[^\s&\"'<>,}}]+", re.IGNORECASE
)
_FEW_FORMS = 40
"""Up to so many are found faster one by one."""

_HEAD_CHARACTERS = 5
_ENCODED = re.compile("%[0-9A-F]{2}")
_SECRET_NAME = re.compile(rf"(?:[\w-]*[_-])?(?:{_NAMES})", re.IGNORECASE)

# C0, C1, and characters that break lines or reverse the writing direction: they could forge text in a terminal or log.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SCHEME = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_HOST_END = re.compile(r"[/?#]")


def redact(text: str, secrets: Iterable[str | None] = (), *, longest: int = MAX_MESSAGE_CHARACTERS) -> str:
    """Return the text without secrets, signatures, signed queries, strings to sign and control characters.

    Args:
        text: Anything from outside: a platform's message, an exception's words.
        secrets: Values known to be secret, in plain text; ``None`` and empty ones are ignored.
        longest: Characters of the result at most.
    """
    text = _COMMANDS.sub(" ", masked(text, secrets))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def masked(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Return the whole text without secrets, signatures, signed queries and strings to sign.

    Args:
        text: Anything that will be shown.
        secrets: As `redact` takes them.
    """
    text = _STRING_TO_SIGN.sub(MASK, text)
    text = _SIGNED_QUERY.sub(rf"\1?{MASK}", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    return without(secrets, text)


def without(secrets: Iterable[str | None], text: str) -> str:
    """Return the text without these secrets, in each form of `_forms_of`; ``None`` and empty ones are ignored."""
    for secret in secrets:
        if secret:
            for form in _forms_of(secret):
                text = text.replace(form, MASK)
    return text


class Mask:
    """Removes known secrets from a text, in every form; its ``repr`` shows none.

    The secrets of 150 accounts have 3,000 forms. To look for each of them would cost milliseconds a text. So a text is
    searched once for the beginnings of all forms.
    """

    __slots__ = ("_by_head", "_forms", "_secrets")

    def __init__(self, secrets: Iterable[str | None]) -> None:
        """Learn these secrets; ``None`` and empty ones are ignored."""
        self._secrets = tuple(dict.fromkeys(secret for secret in secrets if secret))
        forms = sorted({form for secret in self._secrets for form in _forms_of(secret)}, key=len, reverse=True)
        has_heads = len(forms) > _FEW_FORMS
        self._forms = tuple(form for form in forms if not has_heads or len(form) < _HEAD_CHARACTERS)
        """The secrets that are looked for one by one, longest first."""

        self._by_head: dict[str, list[str]] = {}
        for form in forms[: len(forms) - len(self._forms)]:
            self._by_head.setdefault(form[:_HEAD_CHARACTERS], []).append(form)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        if self._by_head:
            heads = (text[at : at + _HEAD_CHARACTERS] for at in range(len(text) - _HEAD_CHARACTERS + 1))
            for head in {head for head in heads if head in self._by_head}:
                for form in self._by_head[head]:
                    text = text.replace(form, MASK)
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def __or__(self, other: Mask) -> Mask:
        """Return a mask for the secrets of both."""
        return self if not set(other._secrets) - set(self._secrets) else Mask((*self._secrets, *other._secrets))


@lru_cache(maxsize=1024)  # a secret or two for each of many accounts
def _forms_of(secret: str) -> tuple[str, ...]:
    """Return all forms of a secret: plain, in a URL, in an echoed string to sign, and in JSON."""
    # The platform's keys are letters and digits, which look the same in all forms.
    if secret.isascii() and secret.isalnum():
        return (secret,)
    once = quote(secret, safe="")
    twice = quote(once, safe="")
    encoded = (twice, once, *(_ENCODED.sub(lambda found: found[0].lower(), form) for form in (twice, once)))
    quoted = {json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    # Encoders that are made for scripts in web pages escape these two as well.
    escaped = {form.replace("/", r"\/") for form in quoted} | {form.replace("=", r"\u003d") for form in quoted}
    return secret, *encoded, *quoted, *escaped


def is_secret_name(name: str) -> bool:
    """Return whether a name means a secret, such as ``access_key_secret`` or ``x-acs-security-token``."""
    return _SECRET_NAME.fullmatch(name) is not None


def shown_address(address: str) -> str:
    """Return what was given as an address, without its parts that may be secret: user name, password, path, query.

    It need not be a valid address: a pasted one often lacks the scheme.
    """
    scheme = found.group() if (found := _SCHEME.match(address)) else ""
    rest = address[len(scheme) :]
    host = _HOST_END.split(rest, maxsplit=1)[0]
    tail = rest[len(host) :]
    if "@" in host:
        host = f"{MASK}@{host.rpartition('@')[2]}"
    elif "@" in tail:
        host = MASK  # this is the rest of a password that contains a delimiter
    return f"{scheme}{host}{tail if tail in {'', '/'} else '/…'}"


def echoed_string_to_sign(message: str) -> str | None:
    """Return the string to sign that the platform echoes in a refusal, if there is one."""
    found = _STRING_TO_SIGN.search(message)
    return found.group() if found else None
