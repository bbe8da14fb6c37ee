from __future__ import annotations

import datetime as dt
import ssl
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, ssl.SSLContext]]:
    """Return what makes a certificate that vouches for itself, to trust or not, and what serves TLS with it."""
    numbers = count(1)

    def make(name: x509.GeneralName, *, days: int = 90) -> tuple[Path, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(itself)
            .issuer_name(itself)
            .public_key(key.public_key())
            .serial_number(next(numbers))
            .not_valid_before(now - dt.timedelta(days=100))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .sign(key, hashes.SHA256())
        )
        folder = tmp_path_factory.mktemp("tls")
        certificate, private = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        unencrypted = serialization.NoEncryption()
        private.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        return certificate, context

    return make
