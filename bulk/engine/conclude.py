"""Say how a run ended: what stands in the ledger, what this run did, what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from bulk.exits import ExitCode
from bulk.legible import legible_fields
from bulk.model import PROVISIONED_OUTCOMES, Action, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.engine.job import Job
    from bulk.engine.sessions.recorder import Counters
    from bulk.engine.stop import StopSignal

__all__ = ["Done", "conclude", "summary_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run did, once nobody writes to its ledger any more."""

    run_id: str
    counters: Counters
    elapsed_s: float
    read_in: bool
    """Whether the input got into the ledger; if not, the rows are those of an earlier input."""

    outcomes: Mapping[str, int] | None = None
    """The rows by outcome, where they were counted since anything was recorded; ``None``: count them."""


def conclude(job: Job, done: Done) -> Summary:
    """Count every row of the input as it is now, and add what this run did."""
    ledger, stop, counters = job.ledger, job.stop, done.counters
    outcomes = ledger.outcomes() if done.outcomes is None else done.outcomes
    exit_code = _exit_code(outcomes, stop, read_in=done.read_in)
    return Summary(
        run_id=done.run_id,
        ledger=str(ledger.path),
        input=job.input_name,
        target=str(job.target),
        rows=sum(outcomes.values()),
        outcomes=outcomes,
        absent=ledger.absent(),
        requests={action.figure: counters.requests[action] for action in Action if action in counters.requests},
        retries=counters.retries,
        throttled=counters.throttled,
        recovered=counters.recovered,
        elapsed_s=round(done.elapsed_s, 3),
        exit_code=exit_code,
        stopped=stop.reason if exit_code == stop.exit_code else None,
        # Where every row is provisioned there are none, and to find none in a million rows takes seconds.
        reasons=ledger.reasons() if exit_code else (),
    )


def summary_json(summary: Summary, *, resume: str | None = None) -> bytes:
    """Return the contract's JSON object: every field but the reasons.

    Args:
        summary: How the run ended.
        resume: The command that goes on, where a command line began the run and something is left to do.
    """
    keys = asdict(summary)
    del keys["reasons"]
    if not summary.accounts:
        del keys["accounts"]
    return orjson.dumps(legible_fields(keys | {"resume": resume}))


def _exit_code(outcomes: Mapping[str, int], stop: StopSignal, *, read_in: bool) -> int:
    unprovisioned = sum(rows for outcome, rows in outcomes.items() if outcome not in PROVISIONED_OUTCOMES)
    if stop.exit_code is not None and (unprovisioned or not read_in):
        return stop.exit_code
    return ExitCode.INCOMPLETE if unprovisioned else ExitCode.DONE
