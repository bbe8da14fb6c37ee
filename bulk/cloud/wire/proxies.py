"""Find the proxy that the environment names for a host. It sends nothing, and shows no password.

``HTTPS_PROXY`` is for https endpoints, ``HTTP_PROXY`` for http endpoints, ``ALL_PROXY`` for both where the first two
are not set. Small letters win over capitals, and an empty value is none. ``NO_PROXY`` lists hosts that need no proxy.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from bulk.cloud.dialects import is_loopback
from bulk.errors import NotSentError
from bulk.redaction import shown_address

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["Proxy", "proxy_for"]

_PORTS = {"http": 80, "https": 443}
_QUOTES = "'\"`"
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that requests go through."""

    url: URL
    """The URL without user name and password: safe to show."""

    variables: str
    """The variable that names it, as messages write it: ``HTTPS_PROXY or https_proxy``."""

    authorization: str | None = field(default=None, repr=False)
    """Value of ``Proxy-Authorization``, if a user is named; secret."""

    def __str__(self) -> str:
        """Return scheme, host and port."""
        return f"{self.url.scheme}://{self.url.host_port_subcomponent}"


def proxy_for(scheme: str, host: str, port: int | None = None) -> Proxy | None:
    """Return the proxy that the environment names for an endpoint; an endpoint on this machine needs none.

    Args:
        scheme: ``https`` or ``http``.
        host: Name or address, without brackets.
        port: ``None``: the scheme's own.

    Raises:
        NotSentError: The variable's value can't be a proxy.
    """
    named = getproxies()
    variable = next((f"{which}_proxy" for which in (scheme, "all") if named.get(which)), None)
    if variable is None or is_loopback(host):
        return None
    # Without the variable, the system's settings may have their own list.
    is_direct = _is_listed(host, port or _PORTS[scheme], named["no"]) if "no" in named else proxy_bypass(host)
    if is_direct:
        return None
    return _parsed(named[variable.removesuffix("_proxy")], f"{variable.upper()} or {variable}")


def _parsed(named: str, variables: str) -> Proxy:
    if reason := _spelling_mistake(named):
        raise _unusable(named, variables, reason)
    # Without a scheme it is HTTP, as in curl.
    address = named if "://" in named else f"http://{named}"
    try:
        parts = urlsplit(address)
        reason = _mistake(parts, parts.port)
        url = URL.build(scheme=parts.scheme, host=parts.hostname or "", port=parts.port)
    except ValueError:
        reason = "its host or port can't be read" + (_ENCODE if "@" in address else "")
    if reason:
        raise _unusable(named, variables, reason)
    return Proxy(url, variables, _authorization(parts))


_ENCODE = "; in a user name or password, write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F"


def _spelling_mistake(named: str) -> str | None:
    """Say which stray characters, as from an environment file, are around a value or in it."""
    if named[0] in _QUOTES or named[-1] in _QUOTES:
        return "it is in quotes: take them out"
    if named.endswith("\r"):
        return "it ends with a carriage return: save the file that sets it with Unix line ends"
    return "it holds a space or a control character: take it out" if _UNSEEN.search(named) else None


def _mistake(parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme.startswith("socks"):
        return "SOCKS proxies are not supported: name an HTTP proxy"
    if parts.scheme not in _PORTS:
        return f"{parts.scheme}:// is no proxy's scheme"
    if "@" in parts.path + parts.query + parts.fragment:
        # The parsed host is part of the password: nothing may connect to it or show it.
        return "its host can't be told from its password" + _ENCODE
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        return "it goes on after host and port (the address of a PAC file is no proxy's)"
    if not parts.hostname:
        return "it names no host"
    return "0 is no port" if port == 0 else None


def _unusable(named: str, variables: str, reason: str) -> NotSentError:
    shown = shown_address(named)
    return NotSentError(
        f"{variables} holds {shown!r}, which is not a proxy address that bulk can use: {reason}", code="proxy_address"
    )


def _authorization(parts: SplitResult) -> str | None:
    """Write user and password as in RFC 7617: in UTF-8, or in the bytes that are percent-encoded."""
    user_info, found, _ = parts.netloc.rpartition("@")
    if not found:
        return None
    user, _, password = user_info.partition(":")
    secret = b":".join(unquote_to_bytes(os.fsencode(text)) for text in (user, password))
    return f"Basic {b64encode(secret).decode()}"


def _is_listed(host: str, port: int, no_proxy: str) -> bool:
    """Say whether ``NO_PROXY`` lists a host, in any form that common tools know.

    The forms are ``*``, ``name`` and ``.name`` with all their subdomains, ``*.name``, an address, and a network such as
    ``10.0.0.0/8``. Each form but the network may end in ``:port``.
    """
    host = host.rstrip(".").lower()
    address = _address(host)
    for item in re.split(r"[,\s]+", no_proxy.lower()):
        name, item_port = _split_port(item.strip(_QUOTES))
        if item_port in {None, port} and (_is_in(address, name) if address else _is_below(host, name)):
            return True
    return False


def _split_port(item: str) -> tuple[str, int | None]:
    if found := re.fullmatch(r"(?:\[(.+)\]|([^:]*)):([0-9]+)", item):
        return found[1] or found[2], int(found[3])
    return item.removeprefix("[").removesuffix("]"), None


def _is_below(host: str, name: str) -> bool:
    name = name.removeprefix("*.").strip(".") if name != "*" else name
    return bool(name) and (host == name or host.endswith(f".{name}") or ("*" in name and fnmatchcase(host, name)))


def _is_in(address: IPv4Address | IPv6Address, name: str) -> bool:
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return "*" in name and fnmatchcase(str(address), name)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
