"""Which certificate authorities are trusted: the variables, who wins, and what is refused."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.trust import Authorities, authorities, trusted
from bulk.errors import NotSentError
from bulk.model import FailureKind

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
USUAL = ssl.get_default_verify_paths()


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(NotSentError) as caught:
        trusted(environ)
    assert TABLE[caught.value.code].kind is FailureKind.FATAL
    return str(caught.value)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (USUAL.openssl_cafile, USUAL.openssl_capath)),
        (dict.fromkeys(VARIABLES, ""), (USUAL.openssl_cafile, USUAL.openssl_capath)),
        ({"SSL_CERT_FILE": "a"}, ("a", USUAL.openssl_capath)),
        ({"SSL_CERT_DIR": "a"}, (USUAL.openssl_cafile, "a")),
        ({"CURL_CA_BUNDLE": "a"}, ("a", "")),
        ({"REQUESTS_CA_BUNDLE": "a", "CURL_CA_BUNDLE": "b"}, ("a", "")),
        ({"SSL_CERT_FILE": "c", "REQUESTS_CA_BUNDLE": "a", "CURL_CA_BUNDLE": "b"}, ("c", USUAL.openssl_capath)),
    ],
)
def test_openssls_variables_win_over_those_of_other_tools(environ: dict[str, str], expected: tuple[str, str]) -> None:
    found = authorities(environ)

    assert (found.file, found.folders) == expected


def test_bundle_may_be_a_folder(tmp_path: Path) -> None:
    found = authorities({"REQUESTS_CA_BUNDLE": str(tmp_path)})

    assert found == Authorities("", str(tmp_path), None, "REQUESTS_CA_BUNDLE")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "no certificate in PEM form"),
        (b"\x30\x82\x01\x0a", "no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "no certificate in PEM form"),
    ],
)
def test_file_that_holds_no_certificate_is_refused_by_its_variable(
    tmp_path: Path, variable: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)

    told = refusal({variable: str(path)})

    assert f"{variable} names {str(path)!r}" in told
    assert words in told


@pytest.mark.parametrize(("name", "words"), [("missing", "No such file"), ("", "openssl rehash")])
def test_folder_without_a_certificate_is_refused_by_its_variable(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "authority.pem").touch()  # not called as OpenSSL looks for it

    told = refusal({"SSL_CERT_DIR": str(tmp_path / name)})

    assert "SSL_CERT_DIR names" in told
    assert words in told


def test_machine_that_knows_no_authority_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = USUAL._replace(openssl_cafile=str(tmp_path / "none.pem"), openssl_capath=str(tmp_path / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)

    assert "knows no certificate authority" in refusal({})


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Return the file of a certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "authority.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_machine_that_names_nothing_trusts_as_aiohttp_does(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: USUAL._replace(openssl_cafile=str(authority)))

    assert trusted({}) is True


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authority_of_a_file_is_trusted_and_nothing_but_http_is_spoken(authority: Path, variable: str) -> None:
    context = trusted({variable: str(authority), "SSL_CERT_DIR": ""})

    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert [known["subject"] for known in context.get_ca_certs()] == [((("commonName", "authority"),),)]
