"""Say why no connection was made: bulk's own code, and the system's or OpenSSL's reason. Pure.

Their messages may hold addresses, but never a URL.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import time
from typing import NamedTuple

__all__ = ["Reason", "reason_for"]

_NO_LONGER, _NOT_YET = 10, 9
_OTHER_NAMES = frozenset({62, 63, 64})  # host name, e-mail address, IP address
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"})
_UNKNOWN_NAMES = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

_CODES = {
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
    errno.EADDRNOTAVAIL: "no_local_port",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.EACCES: "connection_forbidden",
    errno.EPERM: "connection_forbidden",
}
_CHECK_DATES = "Compare this machine's clock with a right one; if it is right, the endpoint needs a new certificate."
_CHECK_NAME = "Check the endpoint's host name: it must be a name that the certificate is made for."
_CHECK_PORT = "Check the endpoint's port: https needs one that speaks TLS."

_NUMBERED = re.compile(r"\[Errno (\d+)\]")


class Reason(NamedTuple):
    """Why there is no connection."""

    code: str
    """One of those in `cloud.codes`."""

    words: str
    remedy: str | None = None
    """What to do about it, if the code alone does not say."""


def reason_for(error: OSError, place: str, *, now: float) -> Reason:
    """Say why there is no connection.

    Args:
        error: From the operating system, the resolver or OpenSSL.
        place: Where bulk tried to connect, as messages show it.
        now: This machine's time in seconds since the epoch, with which a certificate's dates were compared.
    """
    match error:
        case ssl.SSLCertVerificationError():
            return _untrusted(error, place, now)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return _broken_off(place)
        case ssl.SSLError():
            return _no_handshake(error, place)
        case socket.gaierror():
            return _unresolved(error, place)
        case _:
            return _unconnected(error, place)


def _untrusted(error: ssl.SSLCertVerificationError, place: str, now: float) -> Reason:
    number = getattr(error, "verify_code", 0)
    words = f"the certificate of {place} is not trusted: {getattr(error, 'verify_message', 'no reason given')}"
    if number in {_NO_LONGER, _NOT_YET}:
        return Reason("tls", f"{words} by this machine's clock, {_minute(now)}", _CHECK_DATES)
    return Reason("tls", words, _CHECK_NAME if number in _OTHER_NAMES else None)


def _no_handshake(error: ssl.SSLError, place: str) -> Reason:
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return Reason("tls_handshake", f"what answers at {place} does not speak TLS ({_plain(reason)})", _CHECK_PORT)
    told = f": {_plain(reason)}" if reason else ""
    return Reason("tls_handshake", f"no encrypted connection to {place} could be made{told}")


def _broken_off(place: str) -> Reason:
    return Reason("tls_handshake", f"no encrypted connection to {place} could be made: it was closed while TLS began")


def _unresolved(error: socket.gaierror, place: str) -> Reason:
    if error.errno in _UNKNOWN_NAMES or error.errno is None:
        return Reason("dns", f"the host name of {place} is not known" + (f": {error.strerror}" if error.errno else ""))
    return Reason("dns", f"the host name of {place} could not be looked up: {error.strerror}")


def _unconnected(error: OSError, place: str) -> Reason:
    numbers = _numbers(error)
    words = "; ".join(os.strerror(number) for number in numbers)
    code = next((_CODES[number] for number in numbers if number in _CODES), "connection_refused")
    # If a name has several addresses, a refusal says more than an address that can't be reached.
    if code == "unreachable" and errno.ECONNREFUSED in numbers:
        code = "connection_refused"
    return Reason(code, f"no connection to {place}" + (f": {words}" if words else ""))


def _numbers(error: OSError) -> list[int]:
    """Return the system's error numbers. Errors of several addresses come as one text without its own number."""
    if error.errno:
        return [error.errno] if error.errno > 0 else []
    return list(dict.fromkeys(int(number) for number in _NUMBERED.findall(str(error))))


def _minute(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def _plain(reason: str) -> str:
    return reason.lower().replace("_", " ")
