"""Sign requests by Alibaba's RPC scheme, version 2 (HMAC-SHA1). Pure: nonce and time are given.

Both dialects use it. The Tuya page could be read up to the string to sign, which is word for word the same. Two things
are assumptions, from its twin and its SignatureMethod: its key ends in ``&`` too, and its digest is Base64.
"""

from __future__ import annotations

import binascii
import hmac
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Signer", "canonical_query", "percent_encode", "signature", "string_to_sign", "timestamp", "unsigned"]

_SIGNATURE = "&Signature="


class Signer:
    """Signs requests with one key. Their common part is encoded only once; a third of the work is left."""

    def __init__(self, method: str, common: Mapping[str, str], *, secret: str) -> None:
        """Only store what is signed.

        Args:
            method: HTTP method in upper case, which is signed too.
            common: Parameters of every request: name → value as plain text.
            secret: The AccessKey secret.
        """
        self._method = method
        self._common = dict(common)
        self._secret = secret
        self._forms: dict[tuple[str, ...], str] = {}

    def sign(self, parameters: Mapping[str, str], *, nonce: str, timestamp: str) -> str:
        """Return the query of a request with these parameters and the common ones. Send it byte for byte.

        Anyone who reads it can replay it: never show it.

        Args:
            parameters: Of the action: name → value as plain text, all of them in the query.
            nonce: Never used before; only unreserved characters.
            timestamp: As `timestamp` writes it.
        """
        values = dict(zip(parameters, map(percent_encode, parameters.values()), strict=True))
        values["SignatureNonce"] = nonce
        values["Timestamp"] = percent_encode(timestamp)
        names = tuple(values)
        query = (self._forms.get(names) or self._add_form(names)) % values
        digest = signature(self._secret, string_to_sign(self._method, query))
        # Base64 has only these three besides unreserved characters.
        encoded = digest.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        return f"{query}{_SIGNATURE}{encoded}"

    def _add_form(self, names: tuple[str, ...]) -> str:
        """Write the query of all requests with these parameters, with ``%(Name)s`` in place of each value."""
        values = {name: percent_encode(value).replace("%", "%%") for name, value in self._common.items()}
        values |= {name: f"%({name})s" for name in names}
        self._forms[names] = canonical_query(values)
        return self._forms[names]


@lru_cache(maxsize=512)  # products, aliases and times repeat, and a lookup costs a tenth of encoding
def percent_encode(text: str) -> str:
    """Encode UTF-8 by RFC 3986: all but ``A-Za-z0-9-_.~`` becomes ``%XX`` in upper case."""
    return quote(text, safe="")


def canonical_query(encoded: Mapping[str, str]) -> str:
    """Join parameters, sorted by name: a name of unreserved characters → its value as `percent_encode` gave it."""
    return "&".join([f"{name}={value}" for name, value in sorted(encoded.items())])


def string_to_sign(method: str, query: str) -> str:
    """Build the text that is signed for a request to ``/``.

    Args:
        method: HTTP method in upper case.
        query: As `canonical_query` gave it.
    """
    # A canonical query has only these three besides unreserved characters, so this is its percent-encoding, in a
    # tenth of the time.
    encoded = query.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method}&%2F&{encoded}"


def unsigned(query: str) -> str:
    """Return a signed query without its signature."""
    return query.rpartition(_SIGNATURE)[0]


def signature(secret: str, text: str) -> str:
    """Return the Base64 of the HMAC-SHA1 of ``text`` under ``secret&``."""
    keyed = _keyed(secret).copy()
    keyed.update(text.encode())
    return binascii.b2a_base64(keyed.digest(), newline=False).decode()


@lru_cache(maxsize=4)  # formatting costs ten times as much as a lookup, and a second has many requests
def timestamp(second: int) -> str:
    """Write a time in whole seconds since the epoch as the platform reads it: ``2018-01-20T12:00:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


# hmac.digest() releases the interpreter's lock for each text. Beside a busy writer it then waits to get the lock back:
# that was 7% of the event loop's time. An object that is keyed once and copied keeps the lock.


@lru_cache(maxsize=4)
def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(f"{secret}&".encode(), digestmod="sha1")
