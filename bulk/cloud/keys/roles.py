"""Assume a role with the keys of another source, and keep the role's keys until they expire soon."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bulk.cloud.keys.credentials import StaticCredentials
from bulk.cloud.keys.renewal import Found
from bulk.cloud.keys.token_service import TokenService
from bulk.cloud.wire.transport import HttpTransport
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.model import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.keys.renewal import Fetch
    from bulk.cloud.keys.token_service import Granted, Role

__all__ = ["AssumedRole", "assuming"]

_RENEWED_AHEAD_S = 900.0
"""Leaves many tries before the old keys expire; the official tools do the same."""

_UNKNOWN_END_S = 900.0
"""The shortest lifetime of a role's keys: assumed if the time in the reply can't be read."""

_PASSING = frozenset({FailureKind.CLOCK, FailureKind.DOUBTFUL, FailureKind.NOT_SENT, FailureKind.THROTTLED})

_MAY_NOT = (
    "The user of these keys needs sts:AssumeRole; the role's trust policy must name that user, and external_id must be "
    "the one that it asks for. The keys of an account itself, without a user, can't assume roles."
)
_REMEDIES = (
    ("nopermission", _MAY_NOT),
    ("forbidden", _MAY_NOT),
    ("notauthorized", _MAY_NOT),
    ("entitynotexist.role", "Check role_arn: the account has no such role."),
    ("invalidparameter.rolearn", "Write role_arn as acs:ram::UID:role/NAME."),
    ("invalidparameter.rolesessionname", "A session's name has 2 to 64 letters, digits and . @ - _."),
)
"""Beginning of an error code, in lower case → what to do (page "AssumeRole", and "STS FAQ" of OSS)."""


def assuming(endpoint: str, role: Role) -> Callable[[Found], Granted | Failure]:
    """Return a function that asks the Security Token Service for a role's keys.

    The function blocks, and needs a thread without an event loop.

    Args:
        endpoint: URL of the service, without path.
        role: The role.
    """

    async def ask(base: Found) -> Granted | Failure:
        keys = StaticCredentials(base.credentials, source=base.source, stays="the token service refused them")
        async with HttpTransport(limit=1) as transport:
            return await TokenService(endpoint=endpoint, credentials=keys, transport=transport).assume(role)

    return lambda base: asyncio.run(ask(base))


class AssumedRole:
    """A source of keys. How to ask it: see `cloud.renewal.Fetch`."""

    def __init__(
        self,
        base: Fetch,
        role: Role,
        *,
        assume: Callable[[Found], Granted | Failure],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask nobody yet.

        Args:
            base: Gives the keys that may assume the role.
            role: The role.
            assume: Asks for the role's keys, signed with the base's keys; see `assuming`.
            wall_clock: Seconds since the epoch.
        """
        self._base = base
        self._role = role
        self._assume = assume
        self._wall_clock = wall_clock
        self._kept: Found | None = None
        self._renew_at = 0.0

    def fetch(self, *, anew: bool = False) -> Found:
        """Return the current keys. Blocks; call it from one thread at a time.

        Args:
            anew: Ask for new keys, and ignore those kept here and in the base source.

        Raises:
            SettingsError: There are none; says why, without secrets.
            KeysUnavailableError: The same, and asking later may help.
        """
        if self._kept is not None and not anew and self._wall_clock() < self._renew_at:
            return self._kept
        base = self._base(anew=anew)
        granted = self._assume(base)
        if isinstance(granted, Failure) and not anew and granted.kind not in _PASSING:
            # The base keys may have been replaced, and a source that remembers the old ones did not notice.
            others = self._base(anew=True)
            if others.credentials != base.credentials:
                base, granted = others, self._assume(others)
        if isinstance(granted, Failure):
            raise self._error(granted, base)
        return self._keep(granted, base)

    def _keep(self, granted: Granted, base: Found) -> Found:
        ends_at = granted.ends_at or self._wall_clock() + _UNKNOWN_END_S
        self._renew_at = ends_at - _RENEWED_AHEAD_S
        source = f"role {self._role.arn}, assumed with the keys from {base.source}"
        self._kept = Found(granted.credentials, source, granted.ends_at, base.credentials)
        return self._kept

    def _error(self, failure: Failure, base: Found) -> SettingsError:
        remedy = next((text for code, text in _REMEDIES if failure.code.lower().startswith(code)), failure.remedy)
        end = "" if failure.message.endswith((".", "!", "?")) else "."
        words = f"role {self._role.arn} can't be assumed with the keys from {base.source}"
        message = f"{words}: {failure.code}, {failure.message}{end}{f' {remedy}' if remedy else ''}"
        return (KeysUnavailableError if failure.kind in _PASSING else SettingsError)(message)
