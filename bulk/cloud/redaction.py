"""Take out of text what may not be shown or stored: secrets, and characters that a terminal obeys. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk.cloud.signing import percent_encode

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_ID_CHARACTERS", "MAX_MESSAGE_CHARACTERS", "echoed_string_to_sign", "redact", "shown_address", "without"]

MAX_MESSAGE_CHARACTERS = 500
"""Longer messages are cut: a proxy's error page is no message."""

MAX_ID_CHARACTERS = 128
"""The same for error codes and RequestIds, of which the platform's have 36 to 50."""

_MASK = "[redacted]"
_STRING_TO_SIGN = re.compile(r"\b(?:GET|POST)&(?:%2F|/)&\S*", re.IGNORECASE)
_URL_QUERY = re.compile(r"(\bhttps?://[^\s?\"'<>]*)\?[^\s\"'<>]*", re.IGNORECASE)
# The name may stand in a query, a JSON text or a doubly encoded query; the value ends where each of these would end it.
_PARAMETER = re.compile(
    r"(?<![A-Za-z])(Signature|SecurityToken|AccessKeySecret)(\"?\s*[:=]\s*\"?|%3D)(?!\s)[^\s&\"'<>,}]+", re.IGNORECASE
)

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
    text = _STRING_TO_SIGN.sub("[string to sign redacted]", text)
    text = _URL_QUERY.sub(r"\1?" + _MASK, text)
    text = _PARAMETER.sub(r"\1\2" + _MASK, text)
    text = without(secrets, text)
    text = _COMMANDS.sub(" ", text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def without(secrets: Iterable[str | None], text: str) -> str:
    """Return the text without these secrets, plain or as a URL has them; ``None`` and empty ones are passed over."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK).replace(percent_encode(secret), _MASK)
    return text


def shown_address(address: str) -> str:
    """Return what was given as an address without what may be secret in it: user name, password, path, query.

    It need not be an address: a scheme is missing as often as not where one was pasted.
    """
    scheme = found.group() if (found := _SCHEME.match(address)) else ""
    rest = address[len(scheme) :]
    host = _HOST_END.split(rest, maxsplit=1)[0]
    tail = rest[len(host) :]
    if "@" in host:
        host = f"***@{host.rpartition('@')[2]}"
    elif "@" in tail:
        host = "***"  # of a password that holds the character that would end it
    return f"{scheme}{host}{tail if tail in {'', '/'} else '/…'}"


def echoed_string_to_sign(message: str) -> str | None:
    """Return the string to sign that the platform echoes in a refusal, if there is one."""
    found = _STRING_TO_SIGN.search(message)
    return found.group() if found else None
