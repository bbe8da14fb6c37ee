"""Where requests go, taken apart once: the connection that they need, and the head of each."""

from __future__ import annotations

from functools import cached_property
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from bulk.cloud.dialects import is_loopback
from bulk.cloud.redaction import shown_address
from bulk.errors import NotSentError

__all__ = ["Route", "proxy_for"]


class Route:
    """The way of all requests of one method to one endpoint."""

    def __init__(self, endpoint: str, method: str) -> None:
        """Find the way; an event loop must be running.

        The proxy is taken from the environment here, once: aiohttp's ``trust_env`` asks a thread for each request.

        Args:
            endpoint: URL without path.
            method: HTTP method in upper case.

        Raises:
            NotSentError: What the environment names can't be a proxy, or the endpoint no address.
        """
        self.endpoint = endpoint
        self.method = method
        try:
            url = URL(endpoint)
        except ValueError:
            raise NotSentError(f"no request can be addressed to {endpoint}", code="not_connected") from None
        proxy = proxy_for(url.scheme, url.host or "")
        self.asks = aiohttp.ClientRequest(method, url, proxy=URL(proxy) if proxy else None)
        """What aiohttp's connector wants to know: the same for every request."""

        by_plain_proxy = proxy is not None and url.scheme == "http"  # which must be told where a request goes
        self._before = f"{method} {url.origin() if by_plain_proxy else ''}/?"

    def head(self, query: str) -> bytes:
        """Write a request, which has no body, once a connection is there.

        Args:
            query: Goes out byte for byte; encoded, as `cloud.signing.Signer` writes it.
        """
        return f"{self._before}{query}{self._after}".encode()

    @cached_property
    def _after(self) -> str:
        # Read late: to a plain proxy, aiohttp adds the authorization while it connects.
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.asks.headers.items())
        return f" HTTP/1.1\r\n{headers}\r\n"


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host; this machine itself needs none.

    Raises:
        NotSentError: What it names can't be a proxy.
    """
    direct = is_loopback(host) or bool(proxy_bypass(host))
    named = None if direct else getproxies().get(scheme)
    if named is None:
        return None
    # Without a scheme it is HTTP, as to curl.
    proxy = named if "://" in named else f"http://{named}"
    try:
        url = urlsplit(proxy)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        variable = f"{scheme}_proxy"
        shown = shown_address(named)
        raise NotSentError(
            f"{variable.upper()} or {variable} holds {shown!r}, which is no proxy's address", code="proxy_address"
        )
    return proxy
