"""Outcomes of rows and modules, with their traits. To add an outcome, begin here.

Tables of words and colours, the ledger's SQL and the README name outcomes too: a test compares each with `Outcome`.
"""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from typing import Self

__all__ = [
    "OPEN_OUTCOMES",
    "PROVISIONED_OUTCOMES",
    "REASONED_OUTCOMES",
    "ROW_OUTCOMES",
    "TRIED_AGAIN_OUTCOMES",
    "Outcome",
    "Trait",
]


class Trait(Flag):
    """What an outcome says of its row."""

    OPEN = auto()  #: a run still has to settle it
    PROVISIONED = auto()  #: final: costs nothing when the command runs again; exit code 0 needs it for every row
    WHEN_READ = auto()  #: settled by the input alone: no request is ever sent for it
    IN_FLIGHT = auto()  #: a request may have left, and no answer was seen
    UNANSWERED = auto()  #: the platform may never have accepted a request for it
    ABSENT = auto()  #: a listing or a reply said that the platform does not have the module
    WITHOUT_ROW = auto()  #: of a module that no row of the input asks for: never counted among the rows


_NO_TRAIT = Trait(0)


class Outcome(StrEnum):
    """The result of a row. Stored in the ledger: never rename a value."""

    traits: Trait

    PENDING = "pending", Trait.OPEN | Trait.UNANSWERED  #: valid, nothing sent
    SENDING = "sending", Trait.OPEN | Trait.IN_FLIGHT  #: claimed; a request may have left: list before sending again
    CREATED = "created", Trait.PROVISIONED  #: made by this ledger's runs
    UPDATED = "updated", Trait.PROVISIONED  #: was there, and a sync gave it the row's alias or description
    EXISTS = "exists", Trait.PROVISIONED  #: was there already, as the row wants it
    DUPLICATE = "duplicate", Trait.PROVISIONED | Trait.WHEN_READ  #: same key and content as an earlier line
    DRIFTED = "drifted"  #: there already, but alias, description or letter case differ
    MOVED = "moved"  #: not sent: the platform changed after the sync's look, or the plan does not have it
    WITHHELD = "withheld"  #: a sync decided on a change, and a person has to approve it first
    OVER_BUDGET = "over_budget", Trait.ABSENT  #: the product has no slot left
    INVALID = "invalid", Trait.WHEN_READ  #: fails validation, or contradicts an earlier line with the same key
    FAILED = "failed", Trait.UNANSWERED  #: the platform refused for good, or attempts ran out
    UNKNOWN = "unknown", Trait.IN_FLIGHT  #: sent; neither reply nor listing showed the result
    DELETED = "deleted", Trait.WITHOUT_ROW | Trait.ABSENT  #: ours, left the file, and is gone from the platform
    SURPLUS = "surplus", Trait.WITHOUT_ROW  #: ours, left the file, and stays on the platform for a reason

    def __new__(cls, value: str, traits: Trait = _NO_TRAIT) -> Self:
        """Make a member with its traits; only its value is stored."""
        outcome = str.__new__(cls, value)
        outcome._value_ = value
        outcome.traits = traits
        return outcome

    @classmethod
    def having(cls, *traits: Trait) -> frozenset[Outcome]:
        """Return the outcomes with at least one of these traits."""
        return frozenset(outcome for outcome in cls if any(trait in outcome.traits for trait in traits))


PROVISIONED_OUTCOMES = Outcome.having(Trait.PROVISIONED)
OPEN_OUTCOMES = Outcome.having(Trait.OPEN)
ROW_OUTCOMES = tuple(outcome for outcome in Outcome if Trait.WITHOUT_ROW not in outcome.traits)
"""The outcomes of rows, in the order in which they are counted."""

TRIED_AGAIN_OUTCOMES = frozenset(ROW_OUTCOMES) - Outcome.having(Trait.PROVISIONED, Trait.WHEN_READ)
"""Outcomes of rows that the next run tries, including the open ones."""

REASONED_OUTCOMES = frozenset(ROW_OUTCOMES) - Outcome.having(Trait.PROVISIONED, Trait.OPEN)
"""Settled, but not provisioned: a run says why, and what to do."""
