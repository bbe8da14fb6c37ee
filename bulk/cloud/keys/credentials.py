"""Hold the keys that requests are signed with, and mask them in everything that could show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bulk.errors import SettingsError
from bulk.redaction import Mask
from bulk.stray import is_quoted, stray_in, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ENVIRONMENT",
    "OFFICIAL_PREFIX",
    "UNNAMED",
    "AccountCredentials",
    "CredentialProvider",
    "Credentials",
    "ReplaceableCredentials",
    "StaticCredentials",
    "from_environment",
    "holds_keys",
    "read_key",
    "variables_of",
]

ENVIRONMENT = "environment variables"
"""How messages name the plain variables as a source of keys."""

UNNAMED = "the program that called bulk"
"""How messages name a source that has no name."""

OFFICIAL_PREFIX = "ALIBABA_CLOUD"
"""The names of the official variables begin with it."""

_OF_ID = "_ACCESS_KEY_ID"
_STAYS = "they stay as they are during a run"


def variables_of(prefix: str) -> tuple[str, str, str]:
    """Return the names of the variables with key id, secret and token that have this prefix."""
    return f"{prefix}{_OF_ID}", f"{prefix}_ACCESS_KEY_SECRET", f"{prefix}_SECURITY_TOKEN"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair, with the token that comes with it if it is temporary. Its ``repr`` shows no secret."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    """Of the Security Token Service; ``None`` for a long-lived key."""

    @property
    def long_lived_key_id(self) -> str | None:
        """The key id, if it stays the same; ``None``: the key is temporary, and the next one has another."""
        return None if self.security_token else self.access_key_id

    @property
    def mask(self) -> Mask:
        """Removes these secrets from a text, plain or as they are encoded in a URL."""
        return Mask((self.access_key_secret, self.security_token))


class CredentialProvider(Protocol):
    """Where keys come from; it also renews temporary ones."""

    async def current(self) -> Credentials:
        """Return the keys to sign the next request with.

        This is called before every request. As long as nothing has changed it must cost almost nothing and return the
        same object.
        """
        ...


@runtime_checkable
class ReplaceableCredentials(CredentialProvider, Protocol):
    """A provider that knows where its keys come from, and can ask for others when the platform refuses them."""

    @property
    def source(self) -> str:
        """Where the keys come from: completes the sentence "the keys are from"."""
        ...

    async def replace(self, refused: Credentials) -> str | None:
        """Ask the source for other keys than these. Many calls for the same keys ask the source once.

        Returns:
            ``None`` if `current` now returns other keys; else why there are none, as the end of a sentence.
        """
        ...


class AccountCredentials(ReplaceableCredentials, Protocol):
    """The keys of an account. They also say which key identifies the account."""

    @property
    def long_lived_key_id(self) -> str | None:
        """The AccessKeyId of the long-lived key: the one in use, or the one that assumed the role.

        ``None``: not known, because the keys that were found are temporary.
        """
        ...


class StaticCredentials:
    """Keys that never change."""

    def __init__(self, credentials: Credentials, *, source: str = UNNAMED, stays: str | None = None) -> None:
        """Keep the keys.

        Args:
            credentials: The keys.
            source: Where they come from: completes the sentence "the keys are from".
            stays: Why there are never others, as the end of a sentence; ``None``: a sentence that fits the source.
        """
        self._credentials = credentials
        self.source = source
        self._why_none = stays or (_read_once(OFFICIAL_PREFIX) if source == ENVIRONMENT else _STAYS)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], *, prefix: str = OFFICIAL_PREFIX) -> StaticCredentials:
        """Read the keys from environment variables, which can't change during a run.

        Raises:
            SettingsError: As `from_environment`.
        """
        source = ENVIRONMENT if prefix == OFFICIAL_PREFIX else f"{ENVIRONMENT} {prefix}_…"
        return cls(from_environment(environ, prefix=prefix), source=source, stays=_read_once(prefix))

    @property
    def long_lived_key_id(self) -> str | None:
        """See `AccountCredentials.long_lived_key_id`."""
        return self._credentials.long_lived_key_id

    async def current(self) -> Credentials:
        """Return the keys."""
        return self._credentials

    async def replace(self, refused: Credentials) -> str | None:
        """See `ReplaceableCredentials.replace`: there are never others."""
        return None if refused != self._credentials else self._why_none


def _read_once(prefix: str) -> str:
    key_id, secret, token = variables_of(prefix)
    return f"a run reads these once: correct {key_id}, {secret} and {token}, then run again"


def holds_keys(environ: Mapping[str, str]) -> bool:
    """Say whether the plain environment variables hold keys."""
    return all(trimmed(environ.get(name, "")) for name in variables_of(OFFICIAL_PREFIX)[:2])


def from_environment(environ: Mapping[str, str], *, prefix: str = OFFICIAL_PREFIX) -> Credentials:
    """Read the keys from environment variables.

    Args:
        environ: ``os.environ``, or a replacement for it.
        prefix: What their names begin with.

    Raises:
        SettingsError: One is missing or empty: the message names all of them. Or one holds what no key can hold.
    """
    names = variables_of(prefix)
    key_id, secret, token = (read_key(name, environ.get(name)) for name in names)
    missing = [name for name, value in ((names[0], key_id), (names[1], secret)) if not value]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SettingsError(
            f"{' and '.join(missing)} {verb} not set: requests can't be signed without the account's key"
            f"{_nearest(environ, prefix)}"
        )
    return Credentials(key_id, secret, token or None)


def _nearest(environ: Mapping[str, str], prefix: str) -> str:
    """Name the variables that may have been meant, if no variable has the given prefix."""
    if prefix == OFFICIAL_PREFIX:
        return ""
    prefixes = [name.removesuffix(_OF_ID) for name in environ if name.endswith(_OF_ID)]
    by_letters = {other.casefold().strip("_"): other for other in sorted(prefixes) if other != prefix}
    near = get_close_matches(prefix.casefold().strip("_"), by_letters, n=1)
    return f"; {by_letters[near[0]]}{_OF_ID} is set: is key_env {by_letters[near[0]]!r}?" if near else ""


def read_key(name: str, value: str | None) -> str:
    """Return a part of a key as it was meant, empty if there is none.

    Invisible characters at its ends are removed: a key that was read from a file often has a line ending.

    Args:
        name: Its name in messages; they never show the value.
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
        raise SettingsError(f"{name} holds {stray}, which no key can hold: copy the value again from where you got it")
    return text
