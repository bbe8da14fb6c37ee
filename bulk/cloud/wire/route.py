"""Where requests go, worked out once: the connection that they need, and the head of each request."""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from bulk.cloud.wire.aiohttp_errors import unconnected
from bulk.cloud.wire.proxies import proxy_for
from bulk.cloud.wire.proxy_answers import FINAL, refusal
from bulk.cloud.wire.trust import trusted
from bulk.cloud.wire.unconnected import Reason
from bulk.errors import NotSentError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from bulk.cloud.wire.proxies import Proxy

__all__ = ["Route", "Trust", "find_route"]


class Trust:
    """What verifies certificates, read when it is first needed. It is shared: each context takes half a megabyte."""

    def __init__(self) -> None:
        self._reading = asyncio.Lock()
        self._context: ssl.SSLContext | bool | None = None

    async def context(self) -> ssl.SSLContext | bool:
        """Return the TLS context; ``True``: aiohttp's own.

        Raises:
            NotSentError: No certificate can be verified.
        """
        async with self._reading:
            if self._context is None:
                self._context = await asyncio.to_thread(trusted, os.environ)
            return self._context


async def find_route(endpoint: str, method: str, *, trust: Trust | None = None) -> Route:
    """Find the route of all requests of one method to one endpoint, as the environment describes it now.

    Args:
        endpoint: URL without path.
        method: HTTP method in upper case.
        trust: Shared with other routes; ``None``: read it again.

    Raises:
        NotSentError: The endpoint is no address, the environment names something that can't be a proxy, or no
            certificate can be verified.
    """
    route = Route(endpoint, method)
    return Route(endpoint, method, trust=await (trust or Trust()).context()) if route.has_tls else route


class Route:
    """The route of all requests of one method to one endpoint."""

    def __init__(self, endpoint: str, method: str, *, trust: ssl.SSLContext | bool = True) -> None:
        """Describe the route; an event loop must be running.

        The proxy is read from the environment here, once: aiohttp's ``trust_env`` would use a thread for each request.

        Args:
            endpoint: URL without path.
            method: HTTP method in upper case.
            trust: What verifies certificates, also of an https proxy; ``True``: aiohttp's own.

        Raises:
            NotSentError: The environment names something that can't be a proxy, or the endpoint is no address.
        """
        self.endpoint = endpoint
        self.method = method
        try:
            url = URL(endpoint)
            self.target = f"{url.host_subcomponent}:{url.port}"
            """Host and port, as a proxy receives them."""

        except ValueError:
            raise NotSentError(f"no request can be addressed to {endpoint}", code="not_connected") from None
        self.proxy = proxy_for(url.scheme, url.host or "", url.port)
        self.has_tls = url.scheme == "https" or (self.proxy is not None and self.proxy.url.scheme == "https")
        self.has_tunnel = url.scheme == "https" and self.proxy is not None
        """Whether the proxy makes a tunnel, rather than forward each request."""

        self.is_open = self.proxy is None
        """Whether connections can be made in parallel: a proxy has let the first one through, or there is no proxy."""

        self._final: Reason | None = None
        self.asks = _asks(method, url, self.proxy, trust=trust)
        """What aiohttp's connector needs to know: the same for every request."""

        by_plain_proxy = (
            self.proxy is not None and not self.has_tunnel
        )  # such a proxy needs the full address of each request
        self._before = f"{method} {url.origin() if by_plain_proxy else ''}/?"
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.asks.headers.items())
        self._after = f" HTTP/1.1\r\n{headers}\r\n"

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note an answer that came through a proxy: the proxy lets requests through, or it wants a login.

        Raises:
            NotSentError: The proxy refused the login, and did not forward the request.
        """
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and self.proxy and not self.has_tunnel:
            offers = [headers["proxy-authenticate"]] if "proxy-authenticate" in headers else []
            reason = refusal(status, offers, proxy=self.proxy, target=self.target)
            self._final = reason
            raise NotSentError(reason.words, code=reason.code)
        self.is_open = True

    def require_not_refused(self) -> None:
        """Allow no further connection if a proxy has refused for good: wrong passwords get accounts locked.

        Raises:
            NotSentError: It has refused.
        """
        if self._final:
            raise NotSentError(self._final.words, code=self._final.code)

    def connected(self) -> None:
        """Note a connection; if a tunnel was asked for, the proxy has made it."""
        if self.has_tunnel:
            self.is_open = True

    def unconnected(self, exc: BaseException) -> NotSentError:
        """Note a connection that could not be made, and return bulk's own error with the reason."""
        error = unconnected(exc, self.endpoint, proxy=self.proxy, target=self.target)
        if error.code in FINAL:
            self._final = Reason(error.code, str(error))
        return error

    def head(self, query: str) -> bytes:
        """Write the head of a request; requests have no body.

        Args:
            query: Sent byte for byte; encoded, as `cloud.signing.Signer` writes it.
        """
        return f"{self._before}{query}{self._after}".encode()


def _asks(method: str, url: URL, proxy: Proxy | None, *, trust: ssl.SSLContext | bool) -> aiohttp.ClientRequest:
    """Describe a connection to aiohttp. aiohttp itself writes passwords in Latin-1 and fails with all others."""
    if proxy is None:
        return aiohttp.ClientRequest(method, url, ssl=trust)
    login: dict[str, str] = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    if url.scheme != "https":
        return aiohttp.ClientRequest(method, url, proxy=proxy.url, headers=login, ssl=trust)
    # aiohttp adds the host while it connects, and would then not find the connections that it keeps.
    headers: dict[str, str] = {"Host": str(url.host_port_subcomponent), **login}
    return aiohttp.ClientRequest(method, url, proxy=proxy.url, proxy_headers=headers, ssl=trust)
