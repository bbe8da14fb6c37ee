"""Hold the keys that requests are signed with, masked wherever they could be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bulk.cloud.redaction import without
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CredentialProvider", "Credentials", "StaticCredentials", "from_environment", "holds_keys"]

_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105 - the variable's name, not its value
_TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105 - the variable's name, not its value


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair, with the token that comes with it if it is temporary. Its ``repr`` shows no secret."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    """Of the Security Token Service; ``None`` for a long-lived key."""

    def mask(self, text: str) -> str:
        """Return the text without these secrets, plain or as a URL has them."""
        return without((self.access_key_secret, self.security_token), text)


class CredentialProvider(Protocol):
    """Where keys come from; temporary ones are renewed behind it."""

    async def current(self) -> Credentials:
        """Return the keys to sign the next request with.

        Called before every request: must cost next to nothing, and return the same object, while nothing has changed.
        """
        ...


class StaticCredentials:
    """Keys that stay as they are."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials:
        """Return the keys."""
        return self._credentials


def holds_keys(environ: Mapping[str, str]) -> bool:
    """Say whether the plain environment variables hold keys."""
    return all(environ.get(name, "").strip() for name in (_ID, _SECRET))


def from_environment(environ: Mapping[str, str]) -> Credentials:
    """Read the keys from the official environment variables.

    Args:
        environ: ``os.environ``, or what stands in for it.

    Raises:
        SettingsError: One is missing or empty; the message names all that are.
    """
    # A key that was read from a file often brings the file's last newline along; no key holds white space.
    key_id, secret, token = (environ.get(name, "").strip() for name in (_ID, _SECRET, _TOKEN))
    missing = [name for name, value in ((_ID, key_id), (_SECRET, secret)) if not value]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SettingsError(
            f"{' and '.join(missing)} {verb} not set: requests can't be signed without the account's key"
        )
    return Credentials(key_id, secret, token or None)
