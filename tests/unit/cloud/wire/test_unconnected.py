"""Why no connection was made: OpenSSL's and the system's own reasons, each with the code that its remedy hangs on."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Any

import pytest

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.unconnected import reason_for
from bulk.model import FailureKind

PLACE = "https://host:8686"
OUTAGE, FATAL = FailureKind.NOT_SENT, FailureKind.FATAL


def of_openssl(kind: type[ssl.SSLError] = ssl.SSLError, **told: Any) -> ssl.SSLError:
    error = kind(1, "foreign words")
    for name, value in told.items():
        setattr(error, name, value)
    return error


def untrusted(code: int, message: str) -> ssl.SSLError:
    return of_openssl(ssl.SSLCertVerificationError, verify_code=code, verify_message=message)


@pytest.mark.parametrize(
    ("error", "code", "kind", "words"),
    [
        (
            untrusted(10, "certificate has expired"),
            "tls",
            FATAL,
            "certificate has expired by this machine's clock",
        ),
        (untrusted(9, "certificate is not yet valid"), "tls", FATAL, "1970-01-02 00:00 UTC"),
        (untrusted(62, "Hostname mismatch"), "tls", FATAL, "Hostname mismatch"),
        (untrusted(64, "IP address mismatch"), "tls", FATAL, "IP address mismatch"),
        (untrusted(18, "self-signed certificate"), "tls", FATAL, "self-signed certificate"),
        (untrusted(20, "unable to get local issuer certificate"), "tls", FATAL, "unable to get local issuer"),
        (
            of_openssl(reason="WRONG_VERSION_NUMBER"),
            "tls_handshake",
            OUTAGE,
            "does not speak TLS (wrong version number)",
        ),
        (of_openssl(reason="TLSV1_ALERT_PROTOCOL_VERSION"), "tls_handshake", OUTAGE, "tlsv1 alert protocol version"),
        (of_openssl(reason="SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls_handshake", OUTAGE, "alert handshake failure"),
        (of_openssl(ssl.SSLEOFError), "tls_handshake", OUTAGE, "closed while TLS began"),
        (socket.gaierror(socket.EAI_NONAME, "Name not known"), "dns", OUTAGE, "host name of https://host:8686 is not"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "dns", OUTAGE, "could not be looked up: Temporary"),
        (OSError(errno.EMFILE, "x"), "too_many_files", OUTAGE, "Too many open files"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "no_local_port", OUTAGE, "Cannot assign requested address"),
        (OSError(errno.ENETUNREACH, "x"), "unreachable", OUTAGE, "Network is unreachable"),
        (OSError(errno.EHOSTUNREACH, "x"), "unreachable", OUTAGE, "No route to host"),
        (OSError(errno.EACCES, "x"), "connection_forbidden", OUTAGE, "Permission denied"),
        (OSError(errno.EPERM, "x"), "connection_forbidden", OUTAGE, "Operation not permitted"),
        (OSError(errno.ECONNREFUSED, "x"), "connection_refused", OUTAGE, "Connection refused"),
        (OSError(errno.ECONNABORTED, "x"), "connection_refused", OUTAGE, "connection abort"),
        (OSError(), "connection_refused", OUTAGE, "no connection to https://host:8686"),
    ],
)
def test_reason_is_the_systems_own(error: OSError, code: str, kind: FailureKind, words: str) -> None:
    reason = reason_for(error, PLACE, now=86_400.0)

    assert reason.code == code
    assert words in reason.words
    assert PLACE in reason.words
    assert "foreign words" not in reason.words
    assert TABLE[code].kind is kind
    assert reason.remedy or TABLE[code].remedy


@pytest.mark.parametrize(
    ("code", "words"), [(10, "clock"), (9, "clock"), (62, "host name"), (64, "host name"), (20, None)]
)
def test_remedy_fits_what_openssl_found(code: int, words: str | None) -> None:
    remedy = reason_for(untrusted(code, "x"), PLACE, now=0.0).remedy

    assert remedy is None if words is None else words in (remedy or "")


def test_errors_of_several_addresses_are_told_once_each_and_a_refusal_says_most() -> None:
    told = "Multiple exceptions: [Errno 101] x ('::1', 1, 0, 0), [Errno 111] y ('127.0.0.1', 1), [Errno 111] z"

    reason = reason_for(OSError(told), PLACE, now=0.0)

    words = f"{os.strerror(errno.ENETUNREACH)}; {os.strerror(errno.ECONNREFUSED)}"
    assert (reason.code, reason.words) == ("connection_refused", f"no connection to {PLACE}: {words}")
