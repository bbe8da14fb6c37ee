"""Try to reach an endpoint without a request: test the connection, and the certificate at its other end."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass

from bulk.cloud.wire.connections import Connections
from bulk.cloud.wire.route import find_route

__all__ = ["Reach", "reach"]


@dataclass(frozen=True, slots=True)
class Reach:
    """How an endpoint was reached."""

    connect_s: float
    """How long the connection took, with the TLS handshake."""

    proxy: str | None = None
    """URL of the proxy in between, without a password. For an http endpoint, only the proxy was connected to."""

    tls_version: str | None = None
    certificate_ends_at: float | None = None
    """In seconds since the epoch."""

    address: str | None = None
    """The address of the connection: the endpoint's, or the proxy's."""


async def reach(endpoint: str, *, timeout_s: float = 5.0) -> Reach:
    """Connect as a run does, through its proxy, to any address that answers. Verify the certificate, then close.

    Args:
        endpoint: URL without path.
        timeout_s: For all of it.

    Raises:
        NotSentError: It can't be reached, or its certificate is not trusted; its code is the transport's.
    """
    route = await find_route(endpoint, "GET")
    async with Connections(limit=1) as connections:
        started = time.monotonic()
        connection = await connections.take(route, connect_s=timeout_s)
        connect_s = time.monotonic() - started
        transport = connection.transport
        secured = transport.get_extra_info("ssl_object") if transport and endpoint.startswith("https:") else None
        peer = transport.get_extra_info("peername") if transport else None
        # Nothing was sent, and the other side may never complete a clean close.
        connection.close()
    version, ends_at = _certificate(secured)
    return Reach(connect_s, str(route.proxy) if route.proxy else None, version, ends_at, peer[0] if peer else None)


def _certificate(secured: ssl.SSLObject | None) -> tuple[str | None, float | None]:
    certificate = secured.getpeercert() if secured else None
    if secured is None or not certificate:
        return None, None
    return secured.version(), ssl.cert_time_to_seconds(str(certificate["notAfter"]))
