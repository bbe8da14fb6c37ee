"""Judge a refusal of the keys: repeat with other keys, or end the run with the source of the keys in the message."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.cloud.keys.credentials import UNNAMED, ReplaceableCredentials
from bulk.model import FailureKind

if TYPE_CHECKING:
    from bulk.cloud.keys.credentials import CredentialProvider, Credentials
    from bulk.model import Failure

__all__ = ["KeyRefusals"]

_ID = re.compile(r"[A-Za-z0-9._-]+")
_MARKS = tuple("<>()[]{},;:")
"""Characters that get in when keys are copied from a text or a configuration; no known secret has them."""

_TYPICAL_ID_PREFIXES = ("LTAI", "STS.")


class KeyRefusals:
    """What the platform says of a client's keys.

    Keys may expire while a machine sleeps, or be revoked during a run. So their source is asked for other keys, once.
    If those are refused too, or there are none, no request can succeed.
    """

    def __init__(self, provider: CredentialProvider) -> None:
        """Begin with keys that the platform has neither accepted nor refused yet.

        Args:
            provider: Asked for other keys when its keys are refused, if it can give others.
        """
        self._provider = provider
        self._accepted: Credentials | None = None
        self._on_trial: Credentials | None = None
        """The keys that replaced refused ones; not accepted yet, unless they are the same as ``_accepted``."""

    def accepted(self, keys: Credentials) -> None:
        """Note that the platform accepted a request that was signed with these keys."""
        self._accepted = keys

    @property
    def has_accepted(self) -> bool:
        """Whether any request was accepted so far, with any keys."""
        return self._accepted is not None

    async def judge(self, failure: Failure, refused: Credentials) -> Failure:
        """Return the failure as ``KEYS`` if the request is worth repeating with other keys, else as ``FATAL``.

        Args:
            failure: The platform refused the request because of its keys.
            refused: The keys.
        """
        if refused is self._on_trial and refused is not self._accepted:
            return self._fatal(failure, refused, "asked again, it gave others, and these are refused too")
        why_none = await self._replace(refused)
        if why_none is not None:
            return self._fatal(failure, refused, why_none)
        self._on_trial = await self._provider.current()
        return failure

    async def _replace(self, refused: Credentials) -> str | None:
        if isinstance(self._provider, ReplaceableCredentials):
            return await self._provider.replace(refused)
        return None if await self._provider.current() != refused else "asked again, it gave the same"

    def _fatal(self, failure: Failure, refused: Credentials, fate: str) -> Failure:
        provider = self._provider
        source = provider.source if isinstance(provider, ReplaceableCredentials) else UNNAMED
        parts = (f"The keys are from {source}; {fate}.", failure.remedy, _hint(refused))
        return replace(failure, kind=FailureKind.FATAL, remedy=" ".join(part for part in parts if part))


def _hint(keys: Credentials) -> str | None:
    """Say what may be wrong with keys, judging by their form, without showing them."""
    if keys.access_key_secret.startswith(_TYPICAL_ID_PREFIXES):
        return "The secret looks like a key id: id and secret may be swapped."
    if keys.access_key_id.startswith("STS.") and not keys.security_token:
        return "The key id is that of temporary keys, and no security token comes with it."
    if not _ID.fullmatch(keys.access_key_id):
        return (
            "The key id holds more than letters, digits, '.', '_' and '-': give the id alone, without its name and "
            "without marks around it."
        )
    if keys.access_key_secret.startswith(_MARKS) or keys.access_key_secret.endswith(_MARKS):
        return "The secret begins or ends with a mark: give the secret alone, without marks around it."
    return None
