"""Hold the keys that requests are signed with, masked wherever they could be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bulk.errors import SettingsError
from bulk.redaction import without
from bulk.stray import is_quoted, stray_in, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ENVIRONMENT",
    "UNNAMED",
    "CredentialProvider",
    "Credentials",
    "ReplaceableCredentials",
    "StaticCredentials",
    "from_environment",
    "holds_keys",
    "read_key",
]

ENVIRONMENT = "environment variables"
"""How messages call the plain variables as a source of keys."""

UNNAMED = "the program that called bulk"
"""How messages call a source that does not say its name."""

_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105 - the variable's name, not its value
_TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105 - the variable's name, not its value

_STAYS = {
    ENVIRONMENT: f"a run reads these once: correct {_ID}, {_SECRET} and {_TOKEN}, then run again",
}


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


@runtime_checkable
class ReplaceableCredentials(CredentialProvider, Protocol):
    """A provider that knows where its keys are from, and can ask there for others when the platform refuses them."""

    @property
    def source(self) -> str:
        """Where the keys are from, as the end of "the keys are from"."""
        ...

    async def replace(self, refused: Credentials) -> str | None:
        """Ask the source for other keys than these; many calls for the same keys ask once.

        Returns:
            ``None`` if `current` returns others now; else why there are none, as the end of a sentence.
        """
        ...


class StaticCredentials:
    """Keys that stay as they are."""

    def __init__(self, credentials: Credentials, *, source: str = UNNAMED) -> None:
        """Keep the keys.

        Args:
            credentials: The keys.
            source: Where they are from, as the end of "the keys are from".
        """
        self._credentials = credentials
        self.source = source

    async def current(self) -> Credentials:
        """Return the keys."""
        return self._credentials

    async def replace(self, refused: Credentials) -> str | None:
        """See `ReplaceableCredentials.replace`: there never are others."""
        return None if refused != self._credentials else _STAYS.get(self.source, "they stay as they are during a run")


def holds_keys(environ: Mapping[str, str]) -> bool:
    """Say whether the plain environment variables hold keys."""
    return all(trimmed(environ.get(name, "")) for name in (_ID, _SECRET))


def from_environment(environ: Mapping[str, str]) -> Credentials:
    """Read the keys from the official environment variables.

    Args:
        environ: ``os.environ``, or what stands in for it.

    Raises:
        SettingsError: One is missing or empty, and the message names all that are; or one holds what no key can hold.
    """
    key_id, secret, token = (read_key(name, environ.get(name)) for name in (_ID, _SECRET, _TOKEN))
    missing = [name for name, value in ((_ID, key_id), (_SECRET, secret)) if not value]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SettingsError(
            f"{' and '.join(missing)} {verb} not set: requests can't be signed without the account's key"
        )
    return Credentials(key_id, secret, token or None)


def read_key(name: str, value: str | None) -> str:
    """Return a part of a key as it was meant, empty if there is none.

    What can't be seen at its ends is left out: a key that was read from a file often brings the end of its line along.

    Args:
        name: What messages call it; they never show the value.
        value: As the source has it.

    Raises:
        SettingsError: It is in quotes, or holds a character that no key can hold.
    """
    text = trimmed(value or "")
    if is_quoted(text):
        raise SettingsError(
            f"{name} has quotes around its value, which belong to the key then (docker's --env-file keeps them): "
            "remove the quotes"
        )
    if stray := stray_in(text):
        raise SettingsError(f"{name} holds {stray}, which no key can hold: copy the value anew from where you got it")
    return text
