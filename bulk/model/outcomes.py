"""What becomes of a row, and all that depends on it: the one place that a new outcome is added to.

Tables of words and colours, the ledger's SQL and the README name outcomes too: a test compares each with `Outcome`.
"""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from typing import Self

__all__ = [
    "OPEN_OUTCOMES",
    "PROVISIONED_OUTCOMES",
    "REASONED_OUTCOMES",
    "TRIED_AGAIN_OUTCOMES",
    "Outcome",
    "Trait",
]


class Trait(Flag):
    """What an outcome says of its row."""

    OPEN = auto()  #: a run still has to settle it
    PROVISIONED = auto()  #: final: it costs nothing when the command runs again; exit code 0 needs every row to be so
    WHEN_READ = auto()  #: settled by the input alone: no request is ever sent for it
    IN_FLIGHT = auto()  #: a request may have left whose answer nobody saw
    UNANSWERED = auto()  #: the platform may never have accepted a request for it


_NO_TRAIT = Trait(0)


class Outcome(StrEnum):
    """What became of a row. Stored in the ledger: never rename a value."""

    traits: Trait

    PENDING = "pending", Trait.OPEN | Trait.UNANSWERED  #: valid, nothing sent
    SENDING = "sending", Trait.OPEN | Trait.IN_FLIGHT  #: claimed; a request may have left: list before sending again
    CREATED = "created", Trait.PROVISIONED  #: made by this ledger's runs
    EXISTS = "exists", Trait.PROVISIONED  #: was there already, as the row wants it
    DUPLICATE = "duplicate", Trait.PROVISIONED | Trait.WHEN_READ  #: same key and content as an earlier line
    DRIFTED = "drifted"  #: there already, but alias, description or letter case differ
    OVER_BUDGET = "over_budget"  #: the product has no slot left
    INVALID = "invalid", Trait.WHEN_READ  #: fails validation, or contradicts an earlier line with the same key
    FAILED = "failed", Trait.UNANSWERED  #: the platform refused for good, or attempts ran out
    UNKNOWN = "unknown", Trait.IN_FLIGHT  #: sent, and neither reply nor listing could tell

    def __new__(cls, value: str, traits: Trait = _NO_TRAIT) -> Self:
        """Keep the traits beside the value that is stored."""
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
TRIED_AGAIN_OUTCOMES = frozenset(Outcome) - Outcome.having(Trait.PROVISIONED, Trait.WHEN_READ)
"""Rows that the next run tries, the open ones among them."""

REASONED_OUTCOMES = frozenset(Outcome) - Outcome.having(Trait.PROVISIONED, Trait.OPEN)
"""Settled, but not provisioned: a run says why, and what to do."""
