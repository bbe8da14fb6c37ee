"""Say where an account's keys are, and open them: a profile, your own variables, the official chain, or a role."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.cloud.dialects import checked_endpoint
from bulk.cloud.keys.credentials import OFFICIAL_PREFIX, StaticCredentials, holds_keys
from bulk.errors import SettingsError
from bulk.events import CredentialsFound, ignore
from bulk.settings.account import check_key_env, check_role_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.cloud.keys.credentials import AccountCredentials, Credentials
    from bulk.cloud.keys.renewal import Fetch
    from bulk.events import Listener

__all__ = ["KeysSource", "default_rate_group", "open_credentials", "token_endpoint"]

_UID = re.compile(r"acs:ram::([0-9]+):")
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSource:
    """Where the keys of one account are. It holds settings only, no secret."""

    profile: str | None = None
    """Name of a profile of the official tools."""

    key_env: str | None = None
    """What the names of three variables begin with: ``PREFIX_ACCESS_KEY_ID``, ``…_ACCESS_KEY_SECRET`` and
    ``…_SECURITY_TOKEN``. With neither profile nor prefix: the official default chain."""

    role_arn: str | None = None
    """Role to assume with the keys that were found, ``acs:ram::UID:role/NAME``."""

    external_id: str | None = None
    """What the role's trust policy asks for."""

    sts_endpoint: str | None = None
    """Host or URL of the Security Token Service; ``None``: the official one."""

    session_name: str = "bulk"
    """What the account's audit log calls the sessions of the role."""

    profile_named_by: str = "credentials_profile"
    """The setting that names the profile, for messages."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            SettingsError: It does; the message names the settings.
        """
        if self.profile and self.key_env is not None:
            raise SettingsError(f"{self.profile_named_by} and key_env both say where the keys are: give one of them")
        check_key_env(self.key_env)
        check_role_arn(self.role_arn)
        if self.external_id is not None and self.role_arn is None:
            raise SettingsError("external_id belongs to a role: give role_arn too, or leave it out")
        if not _SESSION_NAME.fullmatch(self.session_name):
            raise SettingsError(f"session name {self.session_name!r} must be 2 to 64 letters, digits and . @ - _")

    @property
    def uid(self) -> str | None:
        """The ID of the account that the role belongs to; ``None``: no role says it."""
        found = _UID.match(self.role_arn or "")
        return found[1] if found else None


def default_rate_group(source: KeysSource, keys: AccountCredentials) -> str | None:
    """Return what identifies accounts that share the platform's rates, without asking the platform.

    Returns:
        The UID in the role's name, else the AccessKeyId of the long-lived key. ``None``: the keys that were found are
        temporary and have another id each time, so only the setting ``rate_group`` can say it.
    """
    return source.uid or keys.long_lived_key_id


def token_endpoint(source: KeysSource, environ: Mapping[str, str], *, insecure_http: bool = False) -> str:
    """Return the URL of the account's Security Token Service.

    Args:
        source: May name the service.
        environ: May name a region, or the private network, as for the official tools.
        insecure_http: Allow an http:// address of another machine.

    Raises:
        SettingsError: Its name can't be a host.
    """
    named = source.sts_endpoint
    if not named:
        region = environ.get(f"{OFFICIAL_PREFIX}_STS_REGION", "").strip()
        is_private = environ.get(f"{OFFICIAL_PREFIX}_VPC_ENDPOINT_ENABLED", "").lower() == "true"
        named = f"sts{'-vpc' if is_private else ''}.{f'{region}.' if region else ''}aliyuncs.com"
    try:
        return checked_endpoint(named if "://" in named else f"https://{named}", insecure_http=insecure_http)
    except SettingsError as exc:
        raise SettingsError(f"sts_endpoint: {exc}") from None


async def open_credentials(
    source: KeysSource,
    *,
    environ: Mapping[str, str],
    insecure_http: bool = False,
    listener: Listener = ignore,
) -> AccountCredentials:
    """Find an account's keys. Temporary ones are renewed from then on, separately for each account.

    Args:
        source: Where they are.
        environ: ``os.environ``, or a replacement for it.
        insecure_http: Allow http:// addresses of other machines for services that give keys.
        listener: Receives an event that says where the keys come from, with a mask for every secret that was read on
            the way to them. Later it receives one when temporary keys are renewed or can't be.

    Raises:
        SettingsError: There are none; the message says where bulk looked.
        KeysUnavailableError: The same, and a source that is set up did not answer.
    """
    service = token_endpoint(source, environ, insecure_http=insecure_http) if source.role_arn else ""
    static = _from_variables(source, environ)
    if static is not None:
        keys = await static.current()
        listener(CredentialsFound(static.source, keys.mask))
        return await _with_role(source, _same(keys, static.source), service, listener) if service else static
    from bulk.cloud.keys.renewal import RenewedCredentials  # noqa: PLC0415 - keys in the environment never expire

    fetch = await asyncio.to_thread(_official_fetch, source, environ, insecure_http=insecure_http)
    renewed = await RenewedCredentials.open(fetch, listener=listener)
    return await _with_role(source, fetch, service, listener) if service else renewed


def _from_variables(source: KeysSource, environ: Mapping[str, str]) -> StaticCredentials | None:
    """Return the keys of plain variables, if the source means those; nothing has to be loaded for them."""
    if source.key_env is not None:
        return StaticCredentials.of_environment(environ, prefix=source.key_env)
    if not source.profile and holds_keys(environ):
        return StaticCredentials.of_environment(environ)
    return None


def _same(keys: Credentials, source: str) -> Fetch:
    from bulk.cloud.keys.renewal import Found  # noqa: PLC0415 - as above

    found = Found(keys, source)

    def fetch(*, anew: bool = False) -> Found:  # noqa: ARG001 - variables can't change during a run
        return found

    return fetch


def _official_fetch(source: KeysSource, environ: Mapping[str, str], *, insecure_http: bool) -> Fetch:
    # The official library takes a sixth of a second to load: load it only if it is needed, off the event loop.
    from bulk.cloud.keys.official_chain import OfficialChain  # noqa: PLC0415 - see above

    return OfficialChain(
        environ, profile=source.profile, named_by=source.profile_named_by, insecure_http=insecure_http
    ).fetch


async def _with_role(source: KeysSource, base: Fetch, service: str, listener: Listener) -> AccountCredentials:
    """Assume the source's role with the keys that the base gives."""
    from bulk.cloud.keys.renewal import RenewedCredentials  # noqa: PLC0415 - as above
    from bulk.cloud.keys.roles import AssumedRole, assuming  # noqa: PLC0415 - as above
    from bulk.cloud.keys.token_service import Role  # noqa: PLC0415 - as above

    role = Role(source.role_arn or "", source.external_id, source.session_name)
    assumed = AssumedRole(base, role, assume=assuming(service, role))
    return await RenewedCredentials.open(assumed.fetch, listener=listener)
