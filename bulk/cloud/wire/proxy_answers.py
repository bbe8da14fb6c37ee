"""Say what a proxy's refusal means: which proxy, its status, and the host and port that bulk asked for. Pure."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from bulk.cloud.wire.unconnected import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.cloud.wire.proxies import Proxy

__all__ = ["FINAL", "refusal"]

_LOGIN, _DENIED = "proxy_login", "proxy_denied"
FINAL = frozenset({_LOGIN, _DENIED})
"""Codes of refusals after which the proxy is not asked again: it would refuse again, and lock the account."""

_PASSING = frozenset({408, 425, 429})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")


def refusal(status: int, offers: Iterable[str], *, proxy: Proxy, target: str) -> Reason:
    """Say why a proxy did not connect.

    Args:
        status: Of its answer to CONNECT.
        offers: Its ``Proxy-Authenticate`` headers.
        proxy: Who answered.
        target: Host and port that bulk asked it for.
    """
    told = f"the proxy {proxy} refused to connect to {target}: {_named(status)}"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return Reason(_LOGIN, f"{told}; {_login(offers, proxy)}")
    if 400 <= status < 500 and status not in _PASSING:  # noqa: PLR2004 - the client errors of HTTP
        return Reason(_DENIED, told)
    if status < 400:  # noqa: PLR2004 - as above
        told += "; what answers there is no proxy for https, or wants you to log in first"
    return Reason("proxy", told)


def _named(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _login(offers: Iterable[str], proxy: Proxy) -> str:
    schemes = [found.group() for offer in offers if (found := _SCHEME.match(offer.strip()))]
    if schemes and "basic" not in {scheme.lower() for scheme in schemes}:
        return f"it asks for a login by {' or '.join(schemes)}, and bulk knows only Basic"
    if proxy.authorization is None:
        return f"{proxy.variables} holds no user name and password"
    return f"it does not accept the user name and password of {proxy.variables}"
