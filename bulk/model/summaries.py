"""How a job ended, as values.

A part of `bulk.model`, which offers them to all other modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model.outcomes import Outcome

__all__ = ["NOT_IN_JSON", "ONLY_OF_A_SYNC", "AccountSummary", "Reason", "Summary", "SyncFigures"]

NOT_IN_JSON = frozenset({"reasons", "notes", "figures", "undo", "to_accept"})
"""Fields of a summary that are for screens and metrics."""

ONLY_OF_A_SYNC = frozenset({"changes", "withheld", "surplus", "plan"})
"""Fields that only the summary of a sync or an apply has in its JSON."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why rows of a run are not provisioned."""

    outcome: Outcome
    code: str | None
    rows: int
    example_line: int
    example_message: str | None
    example_account: str | None = None
    """The line's account; ``None``: no accounts are named, or the line names none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """How a run ended for one account. Its fields are keys of the JSON."""

    outcomes: Mapping[str, int]
    """Its rows of the input by present outcome, zeros included."""

    requests: Mapping[str, int]
    throttled: int
    stopped: str | None
    """Why its requests ended early, with the remedy; ``None``: it went through."""

    exit_code: int | None
    """The exit code that the run would have without other accounts; ``None``: ``--account`` left this one out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFigures:
    """What a sync did for one account, and what it left."""

    converged: bool
    """The whole account was looked at, and is as the file says."""

    changes: Mapping[str, int]
    """Changes that were carried out: `ChangeKind` → how many. All kinds are there, here and in the next."""

    withheld: Mapping[str, int]
    """Changes that need approval, by kind."""

    contested: int
    """Rows whose update is not sent any more, because someone undoes it every night."""

    surplus: Mapping[str, int]
    """Reason → modules that this ledger owns, that left the file and stay; reasons without a module are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended. Its fields are the keys of `bulk run --json`, which adds the command that goes on."""

    run_id: str
    ledger: str
    input: str
    target: str
    rows: int
    """Rows of the input."""

    outcomes: Mapping[str, int]
    """All rows of the input by present outcome: each outcome's name → rows, zeros included."""

    absent: int
    """Modules that earlier inputs asked for and this one does not."""

    requests: Mapping[str, int]
    """This run's requests as the platform saw them: `Action.figure` → how many."""

    retries: int
    """Attempts of this run after one that failed."""

    throttled: int
    recovered: int
    elapsed_s: float
    exit_code: int
    stopped: str | None = None
    """Why the run stopped early, with the remedy; ``None``: it went through."""

    accounts: Mapping[str, AccountSummary] = field(default_factory=dict)
    """Name → account; empty, and not a key of the JSON: the job names none."""

    changes: Mapping[str, int] | None = None
    """What a sync created, updated and deleted; ``None``, here and in the next three: it was no sync."""

    withheld: Mapping[str, int] | None = None
    """Creates, updates and deletes that need approval."""

    surplus: int | None = None
    """Modules that this ledger owns, that left the file, and that stay."""

    plan: str | None = None
    """Path of the plan to approve what is withheld; ``None``: nothing is."""

    figures: Mapping[str, SyncFigures] = field(default_factory=dict)
    """Of a sync: account → figures, for accounts that were looked at. Not a key of the JSON."""

    undo: str | None = None
    """Path of the input that undoes a sync's updates and deletes; ``None``: it sent none. Not a key of the JSON."""

    notes: tuple[str, ...] = ()
    """Notes on a sync for the user, one sentence each. Not a key of the JSON."""

    to_accept: bool = False
    """A sync's input lost much, and no change waits: to accept it, apply a plan of it. Not a key of the JSON."""

    reasons: tuple[Reason, ...] = field(default=())
    """Why rows are not provisioned, most frequent first. Not a key of the JSON."""
