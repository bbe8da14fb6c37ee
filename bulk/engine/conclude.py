"""Say how a run ended: what stands in the ledger, what this run did, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import orjson

from bulk.exits import ExitCode
from bulk.model import PROVISIONED_OUTCOMES, Action, Summary
from bulk.names import legible_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.engine.recorder import Counters
    from bulk.engine.stop import StopSignal
    from bulk.ledger.store import Ledger
    from bulk.model import Target

__all__ = ["conclude", "summary_json"]


def conclude(
    ledger: Ledger,
    *,
    run_id: str,
    source: str,
    target: Target,
    counters: Counters,
    elapsed_s: float,
    stop: StopSignal,
    read_in: bool,
    outcomes: Mapping[str, int] | None = None,
) -> Summary:
    """Count every row of the input as it stands now, and add what this run did.

    Args:
        ledger: Nobody writes to it any more.
        run_id: The run's id.
        source: The input's name.
        target: What requests were written for.
        counters: What this run did.
        elapsed_s: How long it took.
        stop: Whether, and why, it ended early.
        read_in: Whether the input got into the ledger; if not, the rows are those of an earlier input.
        outcomes: The rows by outcome, where they were counted since anything was recorded; ``None``: count them.
    """
    if outcomes is None:
        outcomes = ledger.outcomes()
    exit_code = _exit_code(outcomes, stop, read_in=read_in)
    return Summary(
        run_id=run_id,
        ledger=str(ledger.path),
        input=source,
        target=str(target),
        rows=sum(outcomes.values()),
        outcomes=outcomes,
        absent=ledger.absent(),
        requests={action.figure: counters.requests[action] for action in Action if action in counters.requests},
        retries=counters.retries,
        throttled=counters.throttled,
        recovered=counters.recovered,
        elapsed_s=round(elapsed_s, 3),
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
    return orjson.dumps(legible_fields(keys | {"resume": resume}))


def _exit_code(outcomes: Mapping[str, int], stop: StopSignal, *, read_in: bool) -> int:
    unprovisioned = sum(rows for outcome, rows in outcomes.items() if outcome not in PROVISIONED_OUTCOMES)
    if stop.exit_code is not None and (unprovisioned or not read_in):
        return stop.exit_code
    return ExitCode.INCOMPLETE if unprovisioned else ExitCode.DONE
