"""The contents of a plan, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.model import PROVISIONED_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import InputFound, Outcome

__all__ = ["FullProduct", "Plan", "PlannedAccount", "PlannedRow", "plan_json"]


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row, and the outcome that it would have."""

    line: int
    product_key: str | None
    module_name: str | None
    outcome: Outcome
    message: str | None = None
    already: bool = False
    """True: it is `created`, and an earlier run of this ledger did that."""

    account: str | None = None
    """Its account; ``None``, and not a key of the JSON: the job names no accounts, or the row names none of them."""


@dataclass(frozen=True, slots=True)
class FullProduct:
    """A product that does not have a slot for each of its rows."""

    product_key: str
    taken_by: tuple[str, ...]
    """Custom modules that it has on the platform."""

    lines: tuple[int, ...]
    """Lines of the rows that get no slot."""

    given_to: tuple[int, ...] = ()
    """Lines of the earlier rows that get the remaining slots."""

    account: str | None = None
    """Its account; ``None``, and not a key of the JSON: the job names no accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAccount:
    """An account's part of a plan. Its fields are keys of the JSON."""

    target: str
    rows: int
    outcomes: Mapping[str, int]
    """Each outcome → rows. An invalid row that names no account is counted in no account."""

    requests: Mapping[str, int]
    seconds: float
    """How long its requests take at its rates, if no other account shares them."""

    stopped: str | None
    """Why its part is not complete; ``None``: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `bulk run` would do with an input now. Its fields are the keys of `bulk plan --json`."""

    input: str
    ledger: str
    target: str
    offline: bool
    """True: judged by the files alone; the platform was not asked."""

    rows: int
    outcomes: Mapping[str, int]
    """Each outcome's name → rows that would have it, zeros included."""

    requests: Mapping[str, int]
    """Requests that a run would send: ``list`` and ``create``."""

    seconds: float
    """How long they take at the rates of the settings."""

    would_create: int = 0
    """`created` rows that a run would create."""

    already_created: int = 0
    """`created` rows that earlier runs of this ledger created."""

    outside: int = 0
    """`pending` rows that ``--limit`` and ``--only`` exclude: another run has to do them."""

    ends_at: str | None = None
    """When a run that starts now would finish: ISO 8601, in this machine's zone; ``None``: nothing limits its speed."""

    full_products: tuple[FullProduct, ...] = ()
    examples: tuple[PlannedRow, ...] = ()
    """The first rows of each outcome, in file order."""

    accounts: Mapping[str, PlannedAccount] = field(default_factory=dict)
    """Name → account; empty, and not a key of the JSON: the job names none."""

    found: InputFound | None = None
    """What was found in the input; ``None``: it was not read completely."""

    stopped: str | None = None
    """Why the plan is not complete; ``None``: it is."""

    @property
    def exit_code(self) -> int:
        """``DONE``: every row can be provisioned."""
        if any(account.stopped for account in self.accounts.values()):
            return ExitCode.STOPPED
        provisioned = sum(self.outcomes[outcome] for outcome in PROVISIONED_OUTCOMES)
        return ExitCode.DONE if provisioned == self.rows and not self.stopped else ExitCode.INCOMPLETE


def plan_json(plan: Plan) -> dict[str, object]:
    """Return the plan as a JSON object; it has the keys of accounts only if the job names any."""
    keys = asdict(plan) | {"exit_code": plan.exit_code}
    if not plan.accounts:
        del keys["accounts"]
        for shown in (*keys["full_products"], *keys["examples"]):
            del shown["account"]
    return keys
