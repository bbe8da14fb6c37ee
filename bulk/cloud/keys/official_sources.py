"""Ask one place where Alibaba Cloud's tools keep keys. It uses their official library; no other module knows it.

The library takes longer to load than the rest of a short run. So this module is imported only if keys are neither
given nor in the plain environment variables. Once loaded, the library remembers the environment of that moment, so
everything that a source needs is passed to it here. Its ``async`` methods also block the event loop: they wait for
locks and read certificates. So its plain methods are called, in a thread.
"""

from __future__ import annotations

import json
import logging
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

from alibabacloud_credentials import provider as official
from alibabacloud_credentials.exceptions import CredentialException
from Tea.exceptions import RetryError

from bulk.cloud.dialects import is_loopback
from bulk.cloud.keys.credentials import ENVIRONMENT, Credentials, from_environment, read_key
from bulk.cloud.keys.renewal import Found
from bulk.errors import SettingsError
from bulk.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["NoKeysError", "Source", "default_sources", "profile_sources"]

_OIDC_VARIABLES = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
_URI_VARIABLE = "ALIBABA_CLOUD_CREDENTIALS_URI"
_OWN_NETWORKS = (ip_network("100.64.0.0/10"), ip_network("169.254.0.0/16"))
"""Addresses of cloud services that only the machine itself can reach, without TLS."""

# The library's loggers write to stderr: tracebacks, and with DEBUG=sdk whole requests with their tokens.
# The same information is in the error that follows, redacted.
for _name in ("credentials", "alibabacloud-tea"):
    logging.getLogger(_name).disabled = True


_OF_ALIBABA = Path("/sys/class/dmi/id/sys_vendor")
"""On an Alibaba Cloud instance it holds the vendor's name."""

_HTTP_STATUS = re.compile(r"(?:http_?code|status code)\W+(\d{3})", re.IGNORECASE)
_PASSING_STATUSES = frozenset({408, 429})
_FIRST_SERVER_ERROR = 500


class NoKeysError(Exception):
    """A source has no keys, or can't renew them; its text says why, without secrets."""

    def __init__(self, reason: str, *, is_passing: bool = False) -> None:
        """Keep why.

        Args:
            reason: In words, without secrets.
            is_passing: The source is set up but gave no proper answer. It may give one later.
        """
        super().__init__(reason)
        self.is_passing = is_passing


class _Provider(Protocol):
    """A source, as the library has it. It keeps its keys, and renews them 15 minutes before they expire."""

    def get_credentials(self) -> Any:  # noqa: ANN401 - of a library without types
        """Return keys, or raise any exception."""
        ...


class Source:
    """A place where keys may be."""

    def __init__(
        self, name: str, make: Callable[[], _Provider], *, file: Path | None = None, is_expected: bool = True
    ) -> None:
        """Ask nobody yet.

        Args:
            name: Its name in messages.
            make: Sets the library's provider up.
            file: The source's file, if it is one. The provider is set up again when another program has written it.
            is_expected: If it does not answer, it may do so later; ``False``: it most likely does not exist here.
        """
        self.name = name
        self._make = make
        self._file = file
        self._is_expected = is_expected
        self._provider: _Provider | None = None
        self._version: tuple[int, ...] = ()
        """The file's number, size and time."""

        self._is_asked = False

    def ask(self, *, anew: bool = False) -> Found:
        """Return the current keys. Blocks.

        Args:
            anew: Ask for new keys, even if the library remembers some.

        Raises:
            NoKeysError: It has none.
            SettingsError: It has something that can't be keys.
        """
        # A library that never answered an earlier call may hold its locks for ever.
        if anew or self._is_asked:
            self._provider = None
        self._is_asked = True
        try:
            return self._found(self._current_provider().get_credentials())
        except (NoKeysError, SettingsError):
            raise
        except RetryError:
            # Its words hold the request with its token.
            reason, is_passing = _no_answer(), True
        except Exception as exc:  # noqa: BLE001 - the library may raise any exception
            reason = redact(" ".join(str(exc).split())) or type(exc).__name__
            is_passing = _is_passing(exc)
        finally:
            self._is_asked = False
        # Raised outside the except block: the library's error must not be even the context of this one.
        raise NoKeysError(reason, is_passing=is_passing and self._is_expected)

    def _current_provider(self) -> _Provider:
        if self._file is not None:
            if not self._file.is_file():
                raise NoKeysError("there is no such file")
            status = self._file.stat()
            version = status.st_ino, status.st_size, status.st_mtime_ns
            if version != self._version:
                self._provider, self._version = None, version
        if self._provider is None:
            self._provider = self._make()
        return self._provider

    def _found(self, keys: Any) -> Found:  # noqa: ANN401 - of a library without types
        try:
            key_id = read_key("its key id", keys.get_access_key_id())
            secret = read_key("its secret", keys.get_access_key_secret())
            token = read_key("its security token", keys.get_security_token())
        except SettingsError as exc:
            # The user wrote these keys on purpose: using other keys, from a later source, would be a surprise.
            raise SettingsError(f"{self.name}: {exc}") from None
        if not (key_id and secret):
            raise NoKeysError("it gave an empty key")
        credentials = Credentials(key_id, secret, token or None)
        # The provider that a profile leads to is wrapped, and the wrapper loses the keys' expiry time.
        return Found(credentials, self.name, keys.get_expiration() or None)


def default_sources(environ: Mapping[str, str], *, insecure_http: bool = False) -> tuple[Source, ...]:
    """Return the official default chain: all sources, in the official order.

    Args:
        environ: ``os.environ``, or a replacement for it.
        insecure_http: Allow an http:// address of another machine in ``ALIBABA_CLOUD_CREDENTIALS_URI``.
    """
    return (
        Source(ENVIRONMENT, lambda: _environment(environ)),
        Source("OIDC token", lambda: _oidc(environ)),
        *profile_sources(environ, environ.get("ALIBABA_CLOUD_PROFILE")),
        Source("RAM role of an ECS instance", lambda: _ecs(environ), is_expected=_has_a_role(environ)),
        Source(_URI_VARIABLE, lambda: _uri(environ, insecure_http=insecure_http)),
    )


def profile_sources(environ: Mapping[str, str], profile: str | None) -> tuple[Source, ...]:
    """Return the two files with profiles: that of the official command line, and that of the SDKs.

    Args:
        environ: ``os.environ``, or a replacement for it.
        profile: Name of the profile; ``None``: the current one of the first file, ``default`` of the second.
    """
    of_cli = _at_home(environ, ".aliyun", "config.json")
    named = environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE")
    of_sdk = Path(named) if named else _at_home(environ, ".alibabacloud", "credentials.ini")
    which = f"profile {profile} of " if profile else ""

    def cli() -> _Provider:
        _require_not_disabled(environ, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED")
        return _typed(official.CLIProfileCredentialsProvider(profile_name=profile, profile_file=str(of_cli)))

    def sdk() -> _Provider:
        return _typed(official.ProfileCredentialsProvider(profile_name=profile or "default", profile_file=str(of_sdk)))

    return (
        Source(f"{which}{of_cli or '~/.aliyun/config.json'}", cli if of_cli else _no_home, file=of_cli),
        Source(f"{which}{of_sdk or '~/.alibabacloud/credentials.ini'}", sdk if of_sdk else _no_home, file=of_sdk),
    )


def _at_home(environ: Mapping[str, str], *parts: str) -> Path | None:
    """Return a file's path in the user's home; ``None`` where there is no home, as in some containers."""
    try:
        return Path(environ.get("HOME") or Path.home(), *parts)
    except RuntimeError:  # no HOME, and a user that the machine does not know
        return None


def _no_home() -> _Provider:
    raise NoKeysError("there is no home folder: HOME is not set, and this user has no entry in passwd")


def _environment(environ: Mapping[str, str]) -> _Provider:
    try:
        keys = from_environment(environ)
    except SettingsError as exc:
        wrong, _, _ = str(exc).partition(":")
        raise NoKeysError(wrong) from None
    return _typed(
        official.StaticSTSCredentialsProvider(
            access_key_id=keys.access_key_id,
            access_key_secret=keys.access_key_secret,
            security_token=keys.security_token,
        )
    )


def _oidc(environ: Mapping[str, str]) -> _Provider:
    missing = [name for name in _OIDC_VARIABLES if not environ.get(name)]
    if missing:
        raise NoKeysError(f"{', '.join(missing)} not set")
    token_file, role_arn, provider_arn = (environ[name] for name in _OIDC_VARIABLES)
    return _typed(
        official.OIDCRoleArnCredentialsProvider(
            role_arn=role_arn,
            oidc_provider_arn=provider_arn,
            oidc_token_file_path=token_file,
            role_session_name=environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or "bulk",
            sts_region_id=environ.get("ALIBABA_CLOUD_STS_REGION"),
            enable_vpc=_is_true(environ, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"),
        )
    )


def _ecs(environ: Mapping[str, str]) -> _Provider:
    _require_not_disabled(environ, "ALIBABA_CLOUD_ECS_METADATA_DISABLED")
    return _typed(
        official.EcsRamRoleCredentialsProvider(
            role_name=environ.get("ALIBABA_CLOUD_ECS_METADATA", ""),
            disable_imds_v1=_is_true(environ, "ALIBABA_CLOUD_IMDSV1_DISABLED"),
            # It would start a scheduler and a thread; bulk asks often enough without them.
            async_update_enabled=False,
        )
    )


def _has_a_role(environ: Mapping[str, str]) -> bool:
    """Say whether this machine should have an instance's role: a setting says so, or it is an Alibaba instance."""
    if environ.get("ALIBABA_CLOUD_ECS_METADATA"):
        return True
    try:
        return "alibaba" in _OF_ALIBABA.read_text(encoding="utf-8", errors="replace").casefold()
    except OSError:
        return False


def _uri(environ: Mapping[str, str], *, insecure_http: bool) -> _Provider:
    uri = environ.get(_URI_VARIABLE, "")
    if not uri:
        raise NoKeysError("not set")
    url = urlsplit(uri)
    if url.scheme != "https" and not (insecure_http or _is_own(url.hostname or "")):
        raise NoKeysError(
            "it is not encrypted: write it with https://, or give --insecure-http if you know the network"
        )
    return _typed(official.URLCredentialsProvider(uri=uri))


def _is_own(host: str) -> bool:
    """Say whether an address is this machine's, or belongs to a service that only this machine reaches."""
    if is_loopback(host):
        return True
    try:
        return any(ip_address(host) in network for network in _OWN_NETWORKS)
    except ValueError:
        return False


def _require_not_disabled(environ: Mapping[str, str], variable: str) -> None:
    if _is_true(environ, variable):
        raise NoKeysError(f"{variable} is set")


def _is_passing(exc: Exception) -> bool:
    """Say whether the library's error means that a source did not answer, or that its answer is unreadable."""
    if status := _HTTP_STATUS.search(str(exc)):
        return int(status[1]) >= _FIRST_SERVER_ERROR or int(status[1]) in _PASSING_STATUSES
    if isinstance(exc, CredentialException):
        return "error retrieving credentials" in str(exc)
    # Broken JSON, JSON that is not an object, or an invalid time.
    if isinstance(exc, (json.JSONDecodeError, AttributeError, KeyError, TypeError)) or "time data" in str(exc):
        return True
    return isinstance(exc, OSError) and not isinstance(exc, (FileNotFoundError, PermissionError))


def _is_true(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "").lower() == "true"


def _no_answer() -> str:
    # The library uses these two but not NO_PROXY: it would send requests for the machine's own service to a proxy.
    proxies = [f"{name.upper()}_PROXY" for name in ("http", "https") if name in getproxies()]
    verb = "is" if len(proxies) == 1 else "are"
    return "no answer" + (f" ({' and '.join(proxies)} {verb} used)" if proxies else "")


def _typed(provider: Any) -> _Provider:  # noqa: ANN401 - of a library without types
    checked: _Provider = provider
    return checked
