"""Which addresses of an engine are accepted: anyone who can reach an engine can run programs there."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from bulk.errors import SettingsError

__all__ = ["check_address"]


def check_address(address: str, *, is_insecure_fine: bool) -> None:
    """Refuse an address if somebody on the network could use it to run code on the workers.

    Raises:
        SettingsError: It is no address, or an address without TLS on another machine.
    """
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        known = parts.scheme in {"tcp", "tls"} and bool(parts.hostname) and parts.port is not None
    except ValueError:
        known = False
    if not known:
        raise SettingsError(f"--engine dask:{address}: name the scheduler as tls://HOST:PORT or tcp://HOST:PORT")
    if parts.scheme == "tcp" and not is_insecure_fine and not _is_loopback(parts.hostname or ""):
        raise SettingsError(
            f"--engine dask:{address}: anyone who reaches it can run programs on its workers, and nothing is encrypted;"
            " use tls://, or give --insecure-dask if the network is yours alone"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
