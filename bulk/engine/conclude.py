"""Report how a run ended: what the ledger says, what this run did, what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import orjson

from bulk.engine.job import part_of, spoken_target
from bulk.engine.sessions.recorder import Counters
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.exits import ExitCode
from bulk.ledger.views.accounts import Counted
from bulk.legible import legible_fields
from bulk.model import NOT_IN_JSON, ONLY_OF_A_SYNC, PROVISIONED_OUTCOMES, ROW_OUTCOMES, AccountSummary, Action, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.engine.job import Job, Part

__all__ = ["Done", "conclude", "gravest", "summary_json"]


_GRAVEST_FIRST = (130, 143, 3, 5, 1, 6, 0)
"""Exit code of a run with several accounts: the first of these that any account has. Any other code is an error's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run did, after the last write to its ledger."""

    run_id: str
    elapsed_s: float
    read_in: bool
    """Whether the ledger has this input; if not, the rows are those of an earlier input."""

    counted: Counted | None = None
    """The rows by outcome, if they were counted after the last change; ``None``: count them."""


def conclude(job: Job, done: Done) -> Summary:
    """Count every row of the input as it is now, and add what this run did."""
    ledger = job.ledger
    counted = done.counted or _count(job)
    outcomes = counted.outcomes
    counters = Counters.sum_of(part.counters for part in job.parts)
    accounts = _accounts(job, counted, read_in=done.read_in) if job.names_accounts else {}
    own_code = _exit_code(outcomes, job.stop, read_in=done.read_in)
    exit_code = gravest(own_code, *(one.exit_code for one in accounts.values() if one.exit_code is not None))
    return Summary(
        run_id=done.run_id,
        ledger=str(ledger.path),
        input=job.input_name,
        target=spoken_target(job.accounts),
        rows=sum(outcomes.values()),
        outcomes=outcomes,
        absent=ledger.absent(),
        requests=_figures(counters),
        retries=counters.retries,
        throttled=counters.throttled,
        recovered=counters.recovered,
        elapsed_s=round(done.elapsed_s, 3),
        exit_code=exit_code,
        stopped=job.stop.reason if exit_code == job.stop.exit_code else _stopped(accounts),
        accounts=accounts,
        # If every row is provisioned there are none, and a search through a million rows takes seconds.
        reasons=ledger.reasons() if exit_code else (),
    )


def summary_json(summary: Summary, *, resume: str | None = None) -> bytes:
    """Return the contract's JSON object: every field but the reasons.

    Args:
        summary: How the run ended.
        resume: The command that continues, if a command line started the run and work is left.
    """
    keys = asdict(summary)
    for name in NOT_IN_JSON if summary.changes is not None else NOT_IN_JSON | ONLY_OF_A_SYNC:
        del keys[name]
    if not summary.accounts:
        del keys["accounts"]
    return orjson.dumps(legible_fields(keys | {"resume": resume}))


def _count(job: Job) -> Counted:
    return job.ledger.counted() if job.names_accounts else Counted(job.ledger.outcomes(), {})


def _accounts(job: Job, counted: Counted, *, read_in: bool) -> dict[str, AccountSummary]:
    # Excluded accounts did nothing, and nothing stopped them.
    parts = {account.name: part_of(account, stop=StopSignal(), listener=ignore) for account in job.accounts}
    tried = {part.name: part for part in job.parts}
    ended = {
        name: _account(counted.by_account.get(name, {}), part, read_in=read_in)
        for name, part in (parts | tried).items()
    }
    return {name: one if name in tried else replace(one, exit_code=None) for name, one in ended.items()}


def _account(outcomes: Mapping[str, int], part: Part, *, read_in: bool) -> AccountSummary:
    exit_code = _exit_code(outcomes, part.stop, read_in=read_in)
    return AccountSummary(
        outcomes={outcome.value: outcomes.get(outcome, 0) for outcome in ROW_OUTCOMES},
        requests=_figures(part.counters),
        throttled=part.counters.throttled,
        stopped=part.stop.reason if exit_code == part.stop.exit_code else None,
        exit_code=exit_code,
    )


def _figures(counters: Counters) -> dict[str, int]:
    return {action.figure: counters.requests[action] for action in Action if action in counters.requests}


def _stopped(accounts: Mapping[str, AccountSummary]) -> str | None:
    """Return why accounts stopped while the run continued: the first reason, and how many there are."""
    reasons = {name: account.stopped for name, account in accounts.items() if account.stopped}
    for name, reason in reasons.items():
        first = f"account {name}: {reason}"
        return first if len(reasons) == 1 else f"{len(reasons)} accounts, the first: {first}"
    return None


def gravest(*exit_codes: int) -> int:
    """Return the most serious exit code, in the order of `_GRAVEST_FIRST`."""
    return min(exit_codes, key=lambda code: _GRAVEST_FIRST.index(code) if code in _GRAVEST_FIRST else -1)


def _exit_code(outcomes: Mapping[str, int], stop: StopSignal, *, read_in: bool) -> int:
    unprovisioned = sum(rows for outcome, rows in outcomes.items() if outcome not in PROVISIONED_OUTCOMES)
    if stop.exit_code is not None and (unprovisioned or not read_in):
        return stop.exit_code
    return ExitCode.INCOMPLETE if unprovisioned else ExitCode.DONE
