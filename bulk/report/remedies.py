"""Say what to do about rows that are not provisioned, one sentence for each reason."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.cloud.codes import look_up
from bulk.control.budget import WHAT_FREES_A_SLOT
from bulk.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Reason

__all__ = ["message_of", "remedy", "without_advice"]

_BY_OUTCOME: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.DRIFTED: "Change the row to what the platform has, or change the module in the platform's console; "
        "then run again.",
        Outcome.MOVED: "Run the sync again: it lists the platform again.",
        Outcome.WITHHELD: "Read the plan that the sync wrote, then approve it: `bulk status` prints the command.",
        Outcome.OVER_BUDGET: "Delete a module that the product no longer uses, or take the row out; then run again.",
        Outcome.INVALID: "Fix the row as its message says, then run again.",
        Outcome.FAILED: "Run again. If the code comes back, fix what its message names.",
        Outcome.SENDING: "Run again.",
        Outcome.UNKNOWN: "Run again: a listing first shows whether the module is there.",
    }
)

_BY_CODE: Mapping[str | None, str] = MappingProxyType(
    {
        "product_key.unmapped": "Give the product a line in the map and run again, or leave its modules.",
    }
)
"""Reasons that have their own remedy, for any outcome."""


def message_of(reason: Reason) -> str:
    """Return the example's message, without the advice that `remedy` gives too."""
    return without_advice(reason.example_message or "no message")


def without_advice(message: str) -> str:
    """Return a row's message without the advice at its end."""
    return message.removesuffix(WHAT_FREES_A_SLOT)


def remedy(reason: Reason) -> str:
    """Return what the operator can do: the error code's own remedy if it has one."""
    if reason.code in _BY_CODE:
        return _BY_CODE[reason.code]
    known = look_up(reason.code) if reason.code else None
    if known and known.remedy and reason.outcome is Outcome.FAILED:
        return known.remedy
    return _BY_OUTCOME[reason.outcome]
