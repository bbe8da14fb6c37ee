"""Sign requests by Alibaba's RPC scheme, version 2 (HMAC-SHA1). Pure: nonce and time are given.

Both dialects use it. The Tuya page could be read up to the string to sign, which is word for word the same;
that its key ends in ``&`` too and that its digest is Base64 is an assumption, from its twin and its SignatureMethod.
"""

from __future__ import annotations

import base64
import hmac
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SignedQuery", "canonical_query", "percent_encode", "sign", "signature", "string_to_sign", "timestamp"]


@dataclass(frozen=True, slots=True)
class SignedQuery:
    """A query that is ready to be sent, byte for byte. Whoever reads it can replay it: never show it."""

    text: str = field(repr=False)
    """The canonical query with its ``Signature`` at the end."""

    signed_text: str = field(repr=False)
    """The string to sign, to compare with the one that the platform echoes when it refuses a signature."""


def sign(parameters: Mapping[str, str], method: str, *, secret: str) -> SignedQuery:
    """Sign a request whose parameters all stand in the query.

    Args:
        parameters: Name → value as plain text; without ``Signature``.
        method: HTTP method in upper case, which is signed too.
        secret: The AccessKey secret.
    """
    query = canonical_query(parameters)
    signed_text = string_to_sign(method, query)
    # Base64 holds only these three beside unreserved characters.
    encoded = signature(secret, signed_text).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return SignedQuery(f"{query}&Signature={encoded}", signed_text)


@lru_cache(maxsize=512)  # names, constants and the product come again: it saves a third of the time to sign
def percent_encode(text: str) -> str:
    """Encode UTF-8 by RFC 3986: all but ``A-Za-z0-9-_.~`` becomes ``%XX`` in upper case."""
    return quote(text, safe="")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Join the parameters, sorted by name, encoded."""
    return "&".join([f"{percent_encode(name)}={percent_encode(value)}" for name, value in sorted(parameters.items())])


def string_to_sign(method: str, query: str) -> str:
    """Build the text that is signed for a request to ``/``.

    Args:
        method: HTTP method in upper case.
        query: As `canonical_query` gave it.
    """
    # Beside unreserved characters a canonical query holds only these three, so that this is its percent-encoding,
    # in a tenth of the time.
    encoded = query.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method}&%2F&{encoded}"


def signature(secret: str, text: str) -> str:
    """Return the Base64 of the HMAC-SHA1 of ``text`` under ``secret&``."""
    keyed = _keyed(secret).copy()
    keyed.update(text.encode())
    return base64.b64encode(keyed.digest()).decode()


@lru_cache(maxsize=4)  # formatting costs ten times as much as looking up, and a second has many requests
def timestamp(second: int) -> str:
    """Write a time in whole seconds since the epoch as the platform reads it: ``2018-01-20T12:00:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


@lru_cache(maxsize=4)  # to key an HMAC costs more than to compute it, and a key lives for an hour at least
def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(f"{secret}&".encode(), digestmod="sha1")
