"""Say how a sync ended for one account. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.engine.conclude import gravest
from bulk.exits import ExitCode
from bulk.model import PROVISIONED_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.engine.job import Part
    from bulk.engine.sync.night import Night
    from bulk.engine.sync.plan_file import PlanHeader
    from bulk.model import AccountSummary

__all__ = ["changes_of", "code_of", "notes_of_input", "unprovisioned"]


def code_of(account: AccountSummary, part: Part | None, night: Night | None, waiting: Mapping[str, int]) -> int | None:
    """Return the exit code of the sync as if this were its only account; ``None``: it was not tried."""
    if part is None or night is None or account.exit_code not in {ExitCode.DONE, ExitCode.INCOMPLETE}:
        return account.exit_code
    codes = [part.stop.exit_code] if part.stop.exit_code is not None and not night.finished else []
    if any(waiting.values()):
        codes.append(ExitCode.WITHHELD)
    if night.left or night.unlisted or night.not_restored or unprovisioned(account.outcomes):
        codes.append(ExitCode.INCOMPLETE)
    return gravest(*codes, ExitCode.DONE)


def unprovisioned(outcomes: Mapping[str, int]) -> int:
    """Return how many rows are not as wanted; rows whose change waits for a person don't count."""
    fine = PROVISIONED_OUTCOMES | {Outcome.WITHHELD}
    return sum(rows for outcome, rows in outcomes.items() if outcome not in fine)


def notes_of_input(header: PlanHeader | None, sha256: str) -> tuple[str, ...]:
    """Return a note if an apply read a different input from the one its plan was made from."""
    if header is None or not header.input_sha256 or header.input_sha256 == sha256:
        return ()
    return ("the input changed since the plan was made: differences are left for the next sync",)


def changes_of(parts: Iterable[Part]) -> dict[str, int]:
    """Return how many modules were created, updated and deleted in all accounts."""
    done = [part.counters.changes for part in parts]
    changed = (Outcome.CREATED, Outcome.UPDATED, Outcome.DELETED)
    return {outcome.value: sum(changes.get(outcome, 0) for changes in done) for outcome in changed}
