"""Parse a request, in either dialect and either signature scheme, before anything in it is trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from bulk.model import Dialect
from bulk.sandbox.signature import V3_ALGORITHM, Authorization, parse_authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Call", "read_call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it arrived; nothing is checked yet."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""

    body: bytes = field(repr=False)
    dialect: Dialect
    is_v3: bool
    """Signed by ACS3-HMAC-SHA256 in its headers rather than by parameters."""

    authorization: Authorization | None = None
    """Of a V3 request, if its header could be read."""

    params: Mapping[str, str]
    """Query and form together."""

    @property
    def action(self) -> str:
        """What is asked for, empty where the request does not say."""
        return self._common("Action", "x-acs-action")

    @property
    def version(self) -> str:
        """The API's version, empty where the request does not say."""
        return self._common("Version", "x-acs-version")

    @property
    def nonce(self) -> str:
        """The nonce that makes it different from every other request."""
        return self._common("SignatureNonce", "x-acs-signature-nonce")

    @property
    def timestamp(self) -> str:
        """When it was sent, as the sender says."""
        return self._common("Timestamp", "x-acs-date")

    @property
    def access_key_id(self) -> str:
        """The key id that it claims."""
        if self.is_v3:
            return self.authorization.access_key_id if self.authorization else ""
        return self.params.get("AccessKeyId", "")

    @property
    def security_token(self) -> str:
        """The token that comes with temporary keys, empty where there is none."""
        return self._common("SecurityToken", "x-acs-security-token")

    @property
    def wants_xml(self) -> bool:
        """Whether the reply must be XML: the alibaba dialect's default if Format does not say JSON."""
        default = "JSON" if self.is_v3 or self.dialect is Dialect.TUYA else "XML"
        return self.params.get("Format", default).upper() != "JSON"

    @property
    def subject(self) -> str:
        """What it is about: product and module."""
        return f"{self.params.get('ProductKey', '')}/{self.params.get('ModuleName', '')}"

    def _common(self, param: str, header: str) -> str:
        return self.headers.get(header, "") if self.is_v3 else self.params.get(param, "")


def read_call(method: str, target: str, *, headers: Mapping[str, str], body: bytes, dialect: Dialect | None) -> Call:
    """Split a request into its parts.

    Args:
        method: HTTP method.
        target: Path and query as in the request line.
        headers: By lower-case name.
        body: The whole body.
        dialect: The only dialect that is spoken; ``None``: as the request looks.
    """
    path, _, query_text = target.partition("?")
    query = _parse_params(query_text)
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    form = _parse_params(body.decode("utf-8", "replace")) if is_form and body else {}
    authorization = headers.get("authorization", "")
    is_v3 = authorization.startswith(V3_ALGORITHM)
    params = query | form if form else query
    return Call(
        method=method,
        path=path,
        query=query,
        form=form,
        headers=headers,
        body=body,
        dialect=dialect or _guess_dialect(method, params, is_v3=is_v3),
        is_v3=is_v3,
        authorization=parse_authorization(authorization) if is_v3 else None,
        params=params,
    )


def _parse_params(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {_decode(name): _decode(value) for name, _, value in pairs}


def _decode(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _guess_dialect(method: str, params: Mapping[str, str], *, is_v3: bool) -> Dialect:
    # Tuya's samples are GET and name none of these three (Compute Signature page and API samples).
    named = params.keys() & {"Version", "Format", "SignatureVersion"}
    return Dialect.ALIBABA if is_v3 or method != "GET" or named else Dialect.TUYA
