"""Compute the signatures that a request must carry, from the published rules. Pure: no clock, no I/O.

Written separately from `bulk.cloud.signing` on purpose: a check that shared its code could not catch its mistakes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "V3_ALGORITHM",
    "Authorization",
    "canonical_query",
    "canonical_request",
    "parse_authorization",
    "v2_signature",
    "v2_string_to_sign",
    "v3_signature",
    "v3_string_to_sign",
]

V3_ALGORITHM = "ACS3-HMAC-SHA256"
"""What the Authorization header of a V3 request opens with."""

_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_AUTHORIZATION = re.compile(
    rf"{V3_ALGORITHM} Credential=(?P<key>[^,]*), ?SignedHeaders=(?P<headers>[^,]*), ?Signature=(?P<signature>[^,]*)"
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the Authorization header of a V3 request says."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    """Lower-case names, in the order in which they were signed."""

    signature: str


def parse_authorization(header: str) -> Authorization | None:
    """Read an Authorization header; return ``None`` where it is not a V3 one."""
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        return None
    return Authorization(match["key"], tuple(match["headers"].split(";")), match["signature"])


def canonical_query(params: Mapping[str, str]) -> str:
    """Write parameters sorted by name, names and values percent-encoded by RFC 3986."""
    return "&".join(f"{_encode(name)}={_encode(params[name])}" for name in sorted(params))


def v2_string_to_sign(method: str, params: Mapping[str, str]) -> str:
    """Write what a V2 (RPC) request signs.

    Args:
        method: ``GET`` or ``POST``; it is signed too.
        params: Every parameter of query and form together; ``Signature`` itself is left out.
    """
    signed = {name: value for name, value in params.items() if name != "Signature"}
    # These three are all that is left to encode in text that is encoded already.
    encoded = canonical_query(signed).replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method}&%2F&{encoded}"


def v2_signature(secret: str, string_to_sign: str) -> str:
    """Sign by HMAC-SHA1 with the secret and an ampersand as key, in Base64."""
    digest = hmac.digest(f"{secret}&".encode(), string_to_sign.encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")


def canonical_request(
    method: str,
    path: str,
    *,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    body: bytes,
) -> str:
    """Write the canonical request of V3.

    Args:
        method: HTTP method, upper case.
        path: Path of the URL.
        query: Parameters of the URL alone: a form is covered by the body's hash.
        headers: Every header, by lower-case name.
        signed_headers: Names of the headers that are signed, in their order.
        body: The body as it came.
    """
    signed = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed_headers)
    payload = hashlib.sha256(body).hexdigest()
    return "\n".join([method, path, canonical_query(query), signed, ";".join(signed_headers), payload])


def v3_string_to_sign(canonical: str) -> str:
    """Write what a V3 request signs, from its canonical request."""
    return f"{V3_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def v3_signature(secret: str, string_to_sign: str) -> str:
    """Sign by HMAC-SHA256 with the bare secret as key, in lower-case hex."""
    return hmac.new(secret.encode(), string_to_sign.encode(), "sha256").hexdigest()


def _encode(text: str) -> str:
    # Letters, digits and "_.-~" are never quoted, which is RFC 3986 exactly once "/" is no longer safe.
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")
