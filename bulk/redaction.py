"""Take out of text what may not be shown or stored: secrets, and characters that a terminal obeys. Pure.

The only list of what is secret and the only mask: the client, the logs and the last handler of the command line use it.
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
"""What takes the place of a secret."""

MAX_MESSAGE_CHARACTERS = 500
"""Longer messages are cut: a proxy's error page is no message."""

MAX_ID_CHARACTERS = 128
"""The same for error codes and RequestIds, of which the platform's have 36 to 50."""

# Each pattern takes its delimiters plain and encoded, however often: a proxy encodes what was encoded already.
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
"""So many are looked for faster one by one."""

_HEAD_CHARACTERS = 5
_ENCODED = re.compile("%[0-9A-F]{2}")
_SECRET_NAME = re.compile(rf"(?:[\w-]*[_-])?(?:{_NAMES})", re.IGNORECASE)

# C0, C1, and what divides lines or turns the direction of writing: in a terminal or a log they would forge text.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SCHEME = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_HOST_END = re.compile(r"[/?#]")


def redact(text: str, secrets: Iterable[str | None] = (), *, longest: int = MAX_MESSAGE_CHARACTERS) -> str:
    """Return the text without secrets, signatures, signed queries, strings to sign and control characters.

    Args:
        text: Anything from outside: a platform's message, an exception's words.
        secrets: Values known to be secret, plain; ``None`` and empty ones are passed over.
        longest: Characters that are left of it at most.
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
    """Return the text without these secrets, in each of `_forms_of` them; ``None`` and empty ones are passed over."""
    for secret in secrets:
        if secret:
            for form in _forms_of(secret):
                text = text.replace(form, MASK)
    return text


class Mask:
    """Takes known secrets out of a text, however they are written; its ``repr`` shows none.

    The secrets of 150 accounts have 3,000 forms. To look for each of them would cost milliseconds a text, so a text is
    looked through once for how they begin.
    """

    __slots__ = ("_by_head", "_forms", "_secrets")

    def __init__(self, secrets: Iterable[str | None]) -> None:
        """Know these; ``None`` and empty ones are passed over."""
        self._secrets = tuple(dict.fromkeys(secret for secret in secrets if secret))
        forms = sorted({form for secret in self._secrets for form in _forms_of(secret)}, key=len, reverse=True)
        has_heads = len(forms) > _FEW_FORMS
        self._forms = tuple(form for form in forms if not has_heads or len(form) < _HEAD_CHARACTERS)
        """Those that are looked for one by one, longest first."""

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
        """Return what takes the secrets of both out."""
        return self if not set(other._secrets) - set(self._secrets) else Mask((*self._secrets, *other._secrets))


@lru_cache(maxsize=1024)  # a secret or two for each of many accounts
def _forms_of(secret: str) -> tuple[str, ...]:
    """Return how a secret is written: plain, as a URL has it, as an echoed string to sign has it, as JSON has it."""
    # Keys of the platform are letters and digits, and are the same in all of them.
    if secret.isascii() and secret.isalnum():
        return (secret,)
    once = quote(secret, safe="")
    twice = quote(once, safe="")
    encoded = (twice, once, *(_ENCODED.sub(lambda found: found[0].lower(), form) for form in (twice, once)))
    quoted = {json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    # Encoders that think of a page's script escape these two as well.
    escaped = {form.replace("/", r"\/") for form in quoted} | {form.replace("=", r"\u003d") for form in quoted}
    return secret, *encoded, *quoted, *escaped


def is_secret_name(name: str) -> bool:
    """Return whether what is called so is a secret, such as ``access_key_secret`` or ``x-acs-security-token``."""
    return _SECRET_NAME.fullmatch(name) is not None


def shown_address(address: str) -> str:
    """Return what was given as an address without what may be secret in it: user name, password, path, query.

    It need not be an address: a scheme is missing as often as not where one was pasted.
    """
    scheme = found.group() if (found := _SCHEME.match(address)) else ""
    rest = address[len(scheme) :]
    host = _HOST_END.split(rest, maxsplit=1)[0]
    tail = rest[len(host) :]
    if "@" in host:
        host = f"{MASK}@{host.rpartition('@')[2]}"
    elif "@" in tail:
        host = MASK  # of a password that holds the character that would end it
    return f"{scheme}{host}{tail if tail in {'', '/'} else '/…'}"


def echoed_string_to_sign(message: str) -> str | None:
    """Return the string to sign that the platform echoes in a refusal, if there is one."""
    found = _STRING_TO_SIGN.search(message)
    return found.group() if found else None
