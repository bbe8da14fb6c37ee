"""Say which certificate authorities are trusted, by the variables that other tools know.

``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace OpenSSL's own file and folder. If neither is set, ``REQUESTS_CA_BUNDLE``,
else ``CURL_CA_BUNDLE``, replaces both. An empty value counts as not set.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.errors import NotSentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Authorities", "authorities", "trusted"]

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Authorities:
    """Where to look for certificates of authorities."""

    file: str
    """PEM, with one certificate or more; empty: none."""

    folders: str
    """Folders of certificates named as ``openssl rehash`` names them, separated by ``:``; empty: none."""

    file_variable: str | None = None
    """The variable that names the file; ``None``: OpenSSL's own place."""

    folders_variable: str | None = None


def authorities(environ: Mapping[str, str]) -> Authorities:
    """Return what the environment names, or OpenSSL's own places."""
    file, folders = environ.get(_FILE), environ.get(_FOLDER)
    bundle = next((name for name in _BUNDLES if environ.get(name)), None)
    if bundle and not (file or folders):
        path = environ[bundle]
        is_folder = Path(path).is_dir()
        return Authorities("", path, None, bundle) if is_folder else Authorities(path, "", bundle)
    usual = ssl.get_default_verify_paths()
    return Authorities(
        file or usual.openssl_cafile,
        folders or usual.openssl_capath,
        _FILE if file else None,
        _FOLDER if folders else None,
    )


def trusted(environ: Mapping[str, str]) -> ssl.SSLContext | bool:
    """Return what verifies certificates; ``True``: aiohttp's own, which trusts OpenSSL's places. Blocks.

    Raises:
        NotSentError: A variable names nothing that can be read, or this machine knows no authority.
    """
    where = authorities(environ)
    file, folders = _file(where), _folders(where)
    if not (file or folders):
        raise _refused(
            f"this machine knows no certificate authority: there is none in {where.file or 'any file'} "
            f"and {where.folders or 'any folder'}"
        )
    if not any(name in environ for name in (_FILE, _FOLDER, *_BUNDLES)):
        return True  # aiohttp made it when it was loaded: a second one takes 30 ms
    try:
        context = ssl.create_default_context(cafile=file, capath=folders)
    except ssl.SSLError:
        raise _unusable_file(where, "holds no certificate in PEM form") from None
    except OSError as exc:
        raise _unusable_file(where, f"can't be read: {_reason(exc)}") from None
    context.set_alpn_protocols(("http/1.1",))
    return context


def _file(where: Authorities) -> str | None:
    return where.file if where.file_variable or Path(where.file).is_file() else None


def _folders(where: Authorities) -> str | None:
    found = [_has_hashed_names(path, where.folders_variable) for path in where.folders.split(os.pathsep) if path]
    if where.folders_variable and not any(found):
        raise _refused(
            f"{where.folders_variable} names {where.folders!r}, where no certificate has a name that OpenSSL looks "
            "for: run openssl rehash on it"
        )
    return where.folders if any(found) else None


def _unusable_file(where: Authorities, what: str) -> NotSentError:
    return _refused(f"{where.file_variable or 'the usual file of authorities'} names {where.file!r}, which {what}")


def _has_hashed_names(path: str, variable: str | None) -> bool:
    try:
        return any(_is_hashed(name) for name in os.listdir(path))  # noqa: PTH208 - only names are needed
    except OSError as exc:
        if variable is None:
            return False
        raise _refused(f"{variable} names {path!r}, which can't be read: {_reason(exc)}") from None


def _is_hashed(name: str) -> bool:
    """Say whether a file has the form of OpenSSL's certificate names: eight hexadecimal digits, a dot, a number."""
    stem, _, number = name.partition(".")
    return len(stem) == 8 and number.isdecimal()  # noqa: PLR2004 - the number is the name


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "it is no file"


def _refused(message: str) -> NotSentError:
    return NotSentError(message, code="tls_authorities")
