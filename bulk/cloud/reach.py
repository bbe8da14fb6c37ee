"""Try the way to an endpoint, without a request: the connection, and the certificate at its other end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from bulk.cloud.route import proxy_for
from bulk.errors import NotSentError

__all__ = ["Reach", "reach"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Reach:
    """How an endpoint was reached."""

    connect_s: float
    """What the connection took, with the TLS handshake."""

    proxy: str | None = None
    """URL of the proxy that stands before it, without a password; only the proxy was connected to then."""

    tls_version: str | None = None
    certificate_ends_at: float | None = None
    """In seconds since the epoch."""


async def reach(endpoint: str, *, timeout_s: float = 5.0) -> Reach:
    """Connect as a run would, verify the certificate, and hang up.

    Args:
        endpoint: URL without path.
        timeout_s: For all of it.

    Raises:
        NotSentError: It can't be reached, or its certificate is not to be trusted; its code is the transport's.
    """
    url = urlsplit(endpoint)
    proxy = proxy_for(url.scheme, url.hostname or "")
    aim = urlsplit(proxy) if proxy else url
    place = f"{aim.scheme}://{aim.hostname}" + (f":{aim.port}" if aim.port else "")
    try:
        async with asyncio.timeout(timeout_s):
            context = await asyncio.to_thread(ssl.create_default_context) if aim.scheme == "https" else None
            started = time.monotonic()
            _, writer = await asyncio.open_connection(aim.hostname, aim.port or _PORTS[aim.scheme], ssl=context)
    except (OSError, TimeoutError) as exc:
        raise _translated(exc, f"the proxy {place}" if proxy else place, proxied=bool(proxy)) from None
    connect_s = time.monotonic() - started
    secured = writer.get_extra_info("ssl_object")
    # No polite end of TLS, which could be waited for in vain: nothing was said.
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    if proxy or secured is None:
        return Reach(connect_s, place if proxy else None)
    ends_at = ssl.cert_time_to_seconds(secured.getpeercert()["notAfter"])
    return Reach(connect_s, None, secured.version(), ends_at)


def _translated(error: OSError, place: str, *, proxied: bool) -> NotSentError:
    match error:
        case ssl.SSLCertVerificationError():
            code, words = "tls", f"the certificate of {place} is not to be trusted: {error.verify_message}"
        case ssl.SSLError():
            code, words = "tls_handshake", f"no encrypted connection to {place} could be made"
        case socket.gaierror():
            code, words = "dns", f"the host name of {place} is not known"
        case TimeoutError():
            code, words = "connect_timeout", f"no connection to {place} in time"
        case _:
            # asyncio puts several addresses' errors into one text without a number.
            reason = f": {os.strerror(error.errno)}" if error.errno else ""
            code, words = "connection_refused", f"no connection to {place}{reason}"
    return NotSentError(words, code="proxy" if proxied else code)
