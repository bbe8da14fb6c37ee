"""The possible results of a request: carried out, a business error, or a gateway error. Values only; no wire format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.worlds.stored import StoredModule

__all__ = ["Done", "Refusal", "Refused", "Result", "error_of"]

_STATUSES: Final = {
    "InternalError": 500,
    "InvalidAccessKeyId.NotFound": 404,
    "NoPermission": 403,
    "ServiceUnavailable": 503,
}
_BUSINESS_PREFIX: Final = "iot."


@dataclass(frozen=True, slots=True)
class Done:
    """It was carried out."""

    data: tuple[StoredModule, ...] | Mapping[str, Any] | None = None
    """Modules, or fields that are shown as they are; ``None``: the reply has no Data."""

    fields: Mapping[str, Any] | None = None
    """The fields beside Data in the reply."""

    is_bare: bool = False
    """Whether the reply says nothing of Success: STS replies don't."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A business error."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gateway error."""

    status: int
    code: str
    message: str


Result = Done | Refused | Refusal


def error_of(code: str, message: str) -> Refused | Refusal:
    """Return the error of a code: ``iot.*`` is a business error, all others are the gateway's."""
    if code.lower().startswith(_BUSINESS_PREFIX):
        return Refused(code, message)
    status = 403 if code.startswith("Forbidden") else _STATUSES.get(code, 400)
    return Refusal(status, code, message)
