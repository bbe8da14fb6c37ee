"""Show the state of a ledger on one screen, between runs or during one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulk.legible import brief_run_id
from bulk.model import Action, Outcome
from bulk.report.accounts import Gravity, account_line, account_table, gravity_of
from bulk.report.approvals import approval_lines, cut_off_lines, waiting_of
from bulk.report.summary import outcome_lines, reason_lines
from bulk.report.tones import Tone, plain
from bulk.report.wording import (
    MEANINGS,
    cut,
    outcome_words,
    spell_count,
    spell_duration,
    spell_ending,
    spell_rate,
    task_words,
    wrapped,
)
from bulk.shell import shell_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.ledger.views.pulse import Pulse
    from bulk.ledger.views.status import LedgerStatus, RunRecord
    from bulk.report.tones import Paint

__all__ = ["status_json", "status_line", "status_lines"]

_SHOWN_RUNS = 4
_ACCOUNT_LINES = 14
_OF_A_SYNC = ("command", "applied", "user")
"""Keys in the list of runs that only a sync and an apply have."""

_REASONS_ROOM = 9
"""Lines for reasons, so that the whole fits a screen of 24 lines."""


def status_lines(
    status: LedgerStatus,
    pulse: Pulse | None = None,
    *,
    width: int = 80,
    paint: Paint = plain,
    now: datetime | None = None,
    program: Sequence[str] = ("bulk",),
    go_on: str | None = None,
) -> list[str]:
    """Return the screen that shows a ledger: first, what waits for approval.

    Args:
        status: What was read from it.
        pulse: Speed of the run that is at work on it.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
        now: Aware time by which a plan is too old; ``None``: treat no plan as too old.
        program: What starts `bulk` here.
        go_on: The command that tries again what a fleet has left; ``None``: it is not a fleet's ledger, or not known.
    """
    waiting = waiting_of(status.approvals, now=now, program=program, sandbox=status.sandbox_options)
    lines = [
        *approval_lines(waiting, width=width, paint=paint),
        *cut_off_lines(status.cut_off, width=width, paint=paint, program=program, sandbox=status.sandbox_options),
        *(paint(line, Tone.HEADING) for line in wrapped(f"{status.path}: {_what_is_in(status)}", width)),
        cut(f"To {status.spoken_target}", width),
        cut(_work(status), width),
        *([cut(f"Now: {_rates(status, pulse)}", width)] if pulse else []),
        "",
        *outcome_lines(status.outcomes, width=width, paint=paint),
    ]
    if status.absent:
        lines.append(cut(f"  No longer in the input: {spell_count(status.absent, 'module')} that it had before", width))
    if status.accounts:
        lines += ["", *_accounts(status, width, paint)]
    told = [reason for reason in status.reasons if reason.outcome is not Outcome.WITHHELD or not status.approvals]
    if told:
        reasons = reason_lines(told, width=width, room=_REASONS_ROOM, all_by="bulk status --json")
        lines += ["", paint("Why rows are not provisioned", Tone.HEADING), *reasons]
        if go_on:
            lines += ["To go on, with the settings of the fleet:", f"  {go_on}"]
    if status.runs:
        lines += ["", paint("Runs, the last first", Tone.HEADING), *_runs(status, width)]
    return lines


def status_json(status: LedgerStatus, pulse: Pulse | None) -> dict[str, object]:
    """Return the status as a JSON object; its keys about accounts are there only if the ledger knows their names."""
    # The target is one string, as in a run's summary.
    keys = asdict(status) | {"target": status.spoken_target, "now": pulse.keys() if pulse else None}
    for run in keys["runs"]:
        if run["command"] == "run":
            for key in _OF_A_SYNC:
                del run[key]
    for key in ("approvals", "cut_off"):
        if not keys[key]:
            del keys[key]
    if not status.accounts:
        del keys["accounts"]
        for reason in keys["reasons"]:
            del reason["example_account"]
    return keys


def _accounts(status: LedgerStatus, width: int, paint: Paint) -> list[str]:
    lines = [
        account_line(
            name,
            account.outcomes,
            # While a run is at work, the end of an earlier one does not matter.
            exit_code=None if status.holder else account.exit_code,
            stopped=status.reason_of(account),
        )
        for name, account in status.accounts.items()
    ]
    return account_table(
        lines,
        ("exit", "provisioned"),
        width=width,
        room=_ACCOUNT_LINES,
        all_by=f"bulk status {shell_path(status.path)} --json",
        nameless=status.rows - sum(account.rows for account in status.accounts.values()),
        paint=paint,
    )


def status_line(status: LedgerStatus, pulse: Pulse | None) -> str:
    """Return one line about a ledger while a run is at work, for a pipe."""
    counts = ", ".join(
        f"{outcome_words(outcome)} {status.outcomes[outcome]:,}" for outcome in MEANINGS if status.outcomes.get(outcome)
    )
    accounts = f"; {_done(status)}" if status.accounts else ""
    return f"{spell_count(status.rows, 'row')}: {counts}{accounts}" + (f"; {_rates(status, pulse)}" if pulse else "")


def _done(status: LedgerStatus) -> str:
    gravities = [gravity_of(account.outcomes, stopped=None) for account in status.accounts.values()]
    done = sum(gravity is not Gravity.OPEN for gravity in gravities)
    return f"{done:,} of {spell_count(len(gravities), 'account')} done"


def _rates(status: LedgerStatus, pulse: Pulse) -> str:
    asked = {run.run_id: run.create_per_s for run in status.runs}.get(status.holder.run_id) if status.holder else None
    asked = None if status.accounts else asked  # each account asked for that rate
    of = f" of {spell_rate(asked)}" if asked else ""
    others = ", ".join(
        f"{action.noun}s {per_s:,.1f}" for action, per_s in pulse.per_s.items() if action is not Action.CREATE
    )
    failures = "".join(f", {code} {attempts:,}" for code, attempts in pulse.failures.items())
    return (
        f"creates {pulse.per_s[Action.CREATE]:,.1f}{of}, {others}/s"
        f" in the last {spell_duration(round(pulse.span_s))}{failures}"
    )


def _what_is_in(status: LedgerStatus) -> str:
    return f"{spell_count(status.rows, 'row')} of {status.input}" if status.input else "no input was read yet"


def _work(status: LedgerStatus) -> str:
    return f"At work: {status.holder}" if status.holder else "No run is at work on it."


def _runs(status: LedgerStatus, width: int) -> Iterator[str]:
    shown = sorted(status.runs, key=lambda run: run.started_at, reverse=True)
    for run in shown[:_SHOWN_RUNS]:
        ending = spell_ending(run, is_at_work=status.is_at_work(run))
        began = f"{datetime.fromisoformat(run.started_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        yield cut(f"  {brief_run_id(run.run_id)}  {began}  {_task(run)}{ending}", width)
    if len(shown) > _SHOWN_RUNS:
        yield f"  and {spell_count(len(shown) - _SHOWN_RUNS, 'earlier run')}"


def _task(run: RunRecord) -> str:
    return "" if run.command == "run" else f"{task_words(run)}, "
