"""What a plan tells, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.model import PROVISIONED_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import InputFound, Outcome

__all__ = ["FullProduct", "Plan", "PlannedRow"]


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row, and what would become of it."""

    line: int
    product_key: str | None
    module_name: str | None
    outcome: Outcome
    message: str | None = None
    already: bool = False
    """`created`, and that was done by an earlier run of this ledger."""


@dataclass(frozen=True, slots=True)
class FullProduct:
    """A product that has no slot for every row."""

    product_key: str
    taken_by: tuple[str, ...]
    """Custom modules that it has on the platform."""

    lines: tuple[int, ...]
    """Lines of the rows that get none."""

    given_to: tuple[int, ...] = ()
    """Lines of the earlier rows that get the slots that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `bulk run` would do with an input now. Its fields are the keys of `bulk plan --json`."""

    input: str
    ledger: str
    target: str
    offline: bool
    """Judged by the files alone: what is on the platform was not asked."""

    rows: int
    outcomes: Mapping[str, int]
    """What the rows would be: each outcome's name → rows, zeros included."""

    requests: Mapping[str, int]
    """Requests that a run would send: ``list`` and ``create``."""

    seconds: float
    """How long they take at the rates asked for."""

    would_create: int = 0
    """`created` rows that a run would create."""

    already_created: int = 0
    """`created` rows that earlier runs of this ledger made."""

    outside: int = 0
    """`pending` rows that ``--limit`` and ``--only`` leave for another run."""

    ends_at: str | None = None
    """When a run that begins now would end: ISO 8601, in this machine's zone; ``None``: nothing holds it up."""

    full_products: tuple[FullProduct, ...] = ()
    examples: tuple[PlannedRow, ...] = ()
    """The first rows of each outcome, in file order."""

    found: InputFound | None = None
    """What was found of the input; ``None``: it was not read to its end."""

    stopped: str | None = None
    """Why the plan is not whole; ``None``: it is."""

    @property
    def exit_code(self) -> int:
        """``DONE``: every row can be provisioned."""
        provisioned = sum(self.outcomes[outcome] for outcome in PROVISIONED_OUTCOMES)
        return ExitCode.DONE if provisioned == self.rows and not self.stopped else ExitCode.INCOMPLETE
