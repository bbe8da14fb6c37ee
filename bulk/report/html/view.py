"""Put what was read from a ledger into the words and figures of the page. Pure: no I/O, no markup."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import orjson

from bulk.model import PROVISIONED_OUTCOMES, ROW_OUTCOMES, Action, Outcome
from bulk.report.approvals import apply_command
from bulk.report.html.accounts import accounts_view
from bulk.report.html.content import MOST_CHANGES, MOST_PRODUCTS, SHOWN_OUTCOMES
from bulk.report.html.sync import sync_view
from bulk.report.remedies import message_of, remedy, without_advice
from bulk.report.summary import retry_command, undo_command
from bulk.report.tones import Tone, tone_of
from bulk.report.wording import (
    MEANINGS,
    outcome_words,
    spell_count,
    spell_duration,
    spell_ending,
    spell_rate,
    task_words,
)
from bulk.shell import shell_join, shell_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.ledger.views.status import LedgerStatus, RunRecord
    from bulk.model import Reason
    from bulk.report.html.charts import RunChart
from bulk.report.html.content import Content

__all__ = ["PRINTED_ROWS", "view_of"]

PRINTED_ROWS = 200
"""Rows that are printed; `page.css` has the same number."""

_MOST_RUNS = 50
_FIGURE_AND_UNIT = re.compile(r"(\d) (ms|s|min|h|d|UTC)\b")


def view_of(content: Content, *, written_at: datetime, program: Sequence[str]) -> dict[str, Any]:
    """Return the template's values.

    Args:
        content: What was read from the ledger.
        written_at: Now, UTC.
        program: What starts `bulk` here, for the commands that go on.
    """
    status = content.status
    provisioned = sum(status.outcomes[outcome] for outcome in PROVISIONED_OUTCOMES)
    runs = sorted(status.runs, key=lambda run: run.started_at, reverse=True)
    charts = [_chart(chart, of_accounts=bool(status.accounts)) for chart in content.charts]
    results = f"{shell_join(program)} results {shell_path(content.path)} --outcome"
    return {
        "title": PurePath(status.input).name if status.input else "no input yet",
        "input": status.input,
        "target": _spoken_target(status),
        "accounts": accounts_view(status),
        "sync": sync_view(content, now=written_at, program=program),
        "ledger": status.path,
        "written_at": _clock_time(written_at),
        "rows_in_all": status.rows,
        "verdict": _verdict(status, provisioned),
        "provisioned": provisioned,
        "tone": _tone(status),
        "ending": _how_it_ended(status, runs),
        "ways_on": list(_ways_on(content, runs, program)),
        "outcomes": list(_outcomes(status)),
        "absent": status.absent,
        "pending": status.outcomes[Outcome.PENDING],
        "charts": charts,
        "chart_data": charts,
        "reasons": [_reason(reason) for reason in status.reasons],
        "crowded": [
            product._replace(message=without_advice(product.message or "not recorded")) for product in content.crowded
        ],
        "most_products": MOST_PRODUCTS,
        "over_budget_command": f"{results} {Outcome.OVER_BUDGET}",
        "rows": content.rows,
        "unprovisioned": sum(status.outcomes[outcome] for outcome in SHOWN_OUTCOMES),
        "printed_rows": PRINTED_ROWS,
        "most_changes": MOST_CHANGES,
        "surplus_command": f"{results} {Outcome.SURPLUS}",
        "undo_command": undo_command(content.path, program=program),
        "results_command": f"{results} {','.join(sorted(SHOWN_OUTCOMES))}",
        "runs": [_run(run, status) for run in runs[:_MOST_RUNS]],
        "earlier_runs": max(0, len(runs) - _MOST_RUNS),
        "status_command": f"{shell_join(program)} status {shell_path(content.path)} --json",
    }


def _verdict(status: LedgerStatus, provisioned: int) -> str:
    if status.rows:
        return f"{provisioned:,} of {spell_count(status.rows, 'row')} provisioned"
    return "The input has no rows" if status.input else "No input was read yet"


def _spoken_target(status: LedgerStatus) -> str:
    if not status.accounts:
        return str(status.target)
    return f"{spell_count(len(status.accounts), 'account')}, {status.spoken_target}"


def _tone(status: LedgerStatus) -> Tone:
    """Return the worst tone of all rows. A ledger without rows is no success."""
    tones = {tone_of(outcome) for outcome in ROW_OUTCOMES if status.outcomes[outcome]} or {Tone.WARNING}
    return next(tone for tone in (Tone.BAD, Tone.WARNING, Tone.GOOD) if tone in tones)


def _how_it_ended(status: LedgerStatus, runs: Sequence[RunRecord]) -> str:
    if status.holder:
        return f"At work now: {status.holder}."
    if not runs:
        return "No run yet."
    last = runs[0]
    when = f" ended {_clock_time(datetime.fromisoformat(last.ended_at))}" if last.ended_at else ""
    alone = [account for account in status.accounts.values() if status.reason_of(account)]
    if alone and all(account.stopped != last.stopped for account in status.accounts.values()):
        stopped = f"{len(alone):,} of {spell_count(len(status.accounts), 'account')}"
        return f"The last run{when}: exit code {last.exit_code}, stopped: {stopped}."
    return f"The last run{when}: {spell_ending(last, is_at_work=False).removesuffix('.')}."


def _ways_on(content: Content, runs: Sequence[RunRecord], program: Sequence[str]) -> Iterator[tuple[str, str]]:
    status = content.status
    resume = _summary(runs[0]).get("resume") if runs else None
    if resume:
        yield "To go on:", resume
    elif status.cut_off and status.cut_off.plan:
        command = apply_command(status.cut_off.plan, program, status.sandbox_options)
        yield "The last apply was cut off. To go on, with the same settings:", command
    # Changes that wait for approval have their own section, with the command that approves them.
    if any(status.outcomes[outcome] for outcome in SHOWN_OUTCOMES - {Outcome.WITHHELD}) and status.input:
        label = "To write the rows not provisioned into a file of their own:"
        yield label, retry_command(content.path, status.input, program=program, input_format=content.input_format)


def _outcomes(status: LedgerStatus) -> Iterator[dict[str, Any]]:
    for outcome, meaning in MEANINGS.items():
        if rows := status.outcomes.get(outcome):
            yield {"name": outcome_words(outcome), "rows": rows, "meaning": meaning, "tone": tone_of(outcome)}


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "rows": reason.rows,
        "name": outcome_words(reason.outcome),
        "code": reason.code,
        "line": reason.example_line,
        "account": reason.example_account,
        "message": message_of(reason),
        "remedy": remedy(reason),
    }


def _chart(chart: RunChart, *, of_accounts: bool) -> dict[str, Any]:
    began = _clock_time(datetime.fromtimestamp(chart.at[0], UTC))
    return {**asdict(chart), "began": began, "words": _chart_words(chart, began, of_accounts=of_accounts)}


def _chart_words(chart: RunChart, began: str, *, of_accounts: bool) -> str:
    """Return what the charts show, in words for readers who can't see them."""
    asked = f"{spell_rate(chart.asked_per_s)} asked for" if chart.asked_per_s else "no limit asked for"
    if of_accounts:
        asked = "all accounts together"
    throttled = (
        f"{spell_count(chart.throttled_in_all, 'request')} throttled" if chart.throttled_in_all else "no throttling"
    )
    creates = chart.requests[Action.CREATE.figure]
    others = ", ".join(
        spell_count(chart.requests[action.figure], action.noun)
        for action in Action
        if action is not Action.CREATE and action.figure in chart.requests
    )
    half, most, nearly_all = (f"{latency_ms:,g} ms" for latency_ms in chart.latency_ms if latency_ms is not None)
    words = (
        f"From {began}, for {spell_duration(chart.seconds)}: {spell_count(creates, 'create')} "
        f"({creates / chart.seconds:,.1f}/s on average, {asked}), {others}, "
        f"{throttled}. Half of all requests took up to {half}, 95% up to {most}, 99% up to {nearly_all}. "
        f"A point is {spell_duration(chart.slot_s) if chart.slot_s > 1 else 'one second'}."
    )
    return _FIGURE_AND_UNIT.sub("\\1\u00a0\\2", words)


def _run(run: RunRecord, status: LedgerStatus) -> dict[str, Any]:
    began = datetime.fromisoformat(run.started_at)
    requests = _summary(run).get("requests")
    return {
        "run_id": run.run_id,
        "task": task_words(run),
        "began": _clock_time(began),
        "took": spell_duration((datetime.fromisoformat(run.ended_at) - began).total_seconds()) if run.ended_at else "–",
        "asked": f"creates {spell_rate(run.create_per_s)}, listings {spell_rate(run.list_per_s)}",
        "sent": _sent(requests) if requests else "not recorded",
        "ending": spell_ending(run, is_at_work=status.is_at_work(run)),
    }


def _sent(requests: Mapping[str, int]) -> str:
    """Return each action that was sent; creates and listings even if none was."""
    always = (Action.CREATE, Action.LIST)
    shown = [*always, *(action for action in Action if action not in always and requests.get(action.figure))]
    return ", ".join(spell_count(requests.get(action.figure, 0), action.noun) for action in shown)


def _summary(run: RunRecord) -> dict[str, Any]:
    summary: dict[str, Any] = orjson.loads(run.summary) if run.summary else {}
    return summary


def _clock_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
